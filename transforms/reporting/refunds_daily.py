"""``reporting.refunds_daily``: what was refunded per day and currency, and whether it went back on the shelf.

The same rows as in ``reporting.daily_sales``, so its units and returns add up to that day's.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import between
from transforms.engines import Frame
from transforms.sales_lines import returned_lines

TABLE = Table(
    schema="reporting",
    name="refunds_daily",
    grain="One row per business day, currency and restocked (yes or no) on which something was refunded.",
    doc="A day without refunds has no row. Refunds count on the day they were given; those of void orders do not "
    "count. A line that was taken out of its order, or came back when that was cancelled, is a refund of its units on "
    "that day, and counts as restocked.",
    columns=(
        Column("day", Type.DAY, "The business day."),
        Column("currency", Type.TEXT, "ISO 4217 code of every amount of the row."),
        Column("restocked", Type.BOOLEAN, "Whether the units went back on the shelf."),
        Column("refunds", Type.INTEGER, "Refunds given that day, and lines that came out of or back with orders."),
        Column("refunded_units", Type.UNITS, "Units refunded, taken out of an order, or of one cancelled, that day."),
        Column(
            "returns", Type.CENTS, "Refunds given that day, and lines that came out of or back with orders, before tax."
        ),
    ),
    primary_key=("day", "currency", "restocked"),
    rebuild=Rebuild.by(
        "day", refunds="refunded_on", order_lines=("removed_on", "cancelled_on", "order_item_id@refunds")
    ),
    rules=(
        between("refunds", "refunds_positive", "A row is of at least one refund.", least=1, severity=Severity.STOP),
        between(
            "refunded_units",
            "refunded_units_not_negative",
            "Nothing or more is refunded.",
            least=0,
            severity=Severity.STOP,
        ),
        between(
            "returns_cents",
            "returns_cents_not_negative",
            "returns_cents is nothing or more.",
            least=0,
            severity=Severity.STOP,
        ),
    ),
)


def build(refunds: Frame, order_lines: Frame) -> Frame:
    """Add up the refunds of orders that are not void."""
    return (
        returned_lines(refunds, order_lines)
        .group_by("day", "currency", "restocked")
        .agg(
            nw.len().alias("refunds"),
            nw.col("refunded_units").sum(),
            nw.col("returns_cents").sum(),
        )
    )
