"""Exact arithmetic in a build: flags are whole numbers, and a ratio is one division of two whole numbers at the end.

Floats are never summed, so every engine gives the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from transforms.engines import Frame

# Frames that are stacked must agree on types, and a bare 0 is an INT32 on DuckDB.
ZERO = nw.lit(0, dtype=nw.Int64)
ONE = nw.lit(1, dtype=nw.Int64)


def flag(condition: nw.Expr) -> nw.Expr:
    """1 where the condition holds, else 0: to be summed, or multiplied with what counts only there."""
    return nw.when(condition).then(ONE).otherwise(ZERO)


def numbered(rows: Frame, name: str, key: str, order_by: Sequence[str]) -> Frame:
    """Number the rows of each key from 1; for use inside a step of ``by_key``.

    It adds up ones, because ``cum_count`` on pandas (narwhals 2.29) orders wrongly, without an error, when it counts a
    column that it also orders by.

    Args:
        rows: all rows of the keys they hold.
        name: the new column.
        key: the column that names the key.
        order_by: ascending; no two rows of a key may agree on all of these.
    """
    ones = rows.with_columns(_one=ONE)
    return ones.with_columns(nw.col("_one").cum_sum().over(key, order_by=order_by).alias(name)).drop("_one")


def ratio(numerator: nw.Expr, denominator: nw.Expr) -> nw.Expr:
    """One division; null where there is nothing to divide by."""
    return nw.when(denominator > 0).then(numerator / denominator)
