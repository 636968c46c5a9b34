"""What is to come: units of purchase order lines that have not come yet, and that nobody has cancelled."""

from __future__ import annotations

import narwhals as nw

from transforms.arithmetic import flag
from transforms.demand import SHELF
from transforms.engines import Frame


def purchases(purchase_order_lines: Frame, as_of: int) -> Frame:
    """Purchase order lines with ``received`` filled, and what of them is ``open`` and ``overdue`` at the day's end.

    Both are units. Overdue is what was expected by the day and has not come.
    """
    missing = nw.col("quantity") - nw.col("received")
    is_open = nw.col("cancelled_on").is_null() & (missing > 0)
    return purchase_order_lines.with_columns(nw.col("received").fill_null(0)).with_columns(
        open=flag(is_open) * missing, overdue=flag(is_open & (nw.col("expected_on") <= as_of)) * missing
    )


def on_order(purchase_order_lines: Frame, as_of: int) -> Frame:
    """The shelves that lines are for, with ``on_order_units``, ``overdue_units`` and ``next_expected_on``."""
    is_awaited = (nw.col("open") > 0) & (nw.col("expected_on") > as_of)
    return (
        purchases(purchase_order_lines, as_of)
        .with_columns(awaited_on=nw.when(is_awaited).then(nw.col("expected_on")))
        .group_by(SHELF)
        .agg(
            nw.col("open").sum().alias("on_order_units"),
            nw.col("overdue").sum().alias("overdue_units"),
            nw.col("awaited_on").min().alias("next_expected_on"),
        )
    )
