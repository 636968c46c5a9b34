"""Nearest-rank percentiles: the ⌈p·n⌉-th smallest, so that each is a value that occurred.

As Hyndman and Fan's first definition (Sample Quantiles in Statistical Packages, 1996); no engine interpolates.
"""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from transforms.arithmetic import ONE, numbered, rounded_up
from transforms.engines import Frame, by_key


def nearest_rank(rows: Frame, key: Sequence[str], value: str, ties: Sequence[str], percents: Sequence[int]) -> Frame:
    """One row per key, with the columns ``<value>_p<percent>``.

    Args:
        rows: with the key's columns, the value's and those of the ties.
        key: the columns that name a key.
        value: an integer column; nulls do not count.
        ties: columns by which rows of one value are ordered; no two rows of a key may agree on all of them.
        percents: whole percents, 1 to 100.
    """
    known = rows.filter(~nw.col(value).is_null()).select(*key, value, *ties, one=ONE)

    def rank(part: Frame) -> Frame:
        placed = numbered(part, "place", list(key), [value, *ties])
        return placed.with_columns(count=nw.col("one").sum().over(list(key)))

    names = {percent: f"{value}_p{percent}" for percent in percents}
    ranked = by_key(known, list(key), rank).with_columns(
        nw.when(nw.col("place") == rounded_up(nw.col("count") * percent, nw.lit(100))).then(nw.col(value)).alias(name)
        for percent, name in names.items()
    )
    return ranked.group_by(list(key)).agg(nw.col(name).max() for name in names.values())
