"""Amounts of different currencies are never added: a row with one amount uses the main currency of its key."""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from transforms.arithmetic import numbered
from transforms.engines import Frame, by_key


def main_currency(sales: Frame, key: Sequence[str]) -> Frame:
    """The currency in which most units of each key were sold, ties to the first by name.

    Args:
        sales: ``reporting.daily_product_sales``, or rows of it.
        key: the columns that name the key.

    Returns:
        The key and ``currency``; one row per key in ``sales``.
    """
    sums = sales.group_by([*key, "currency"]).agg(nw.col("units").sum())
    most_first = sums.with_columns(fewer=-nw.col("units"))
    ranked = by_key(most_first, key, lambda rows: numbered(rows, "rank", key, ["fewer", "currency"]))
    return ranked.filter(nw.col("rank") == 1).select(*key, "currency")
