"""``reporting.incoming_stock``: what was ordered of suppliers, what of it has come, and how late it is."""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import between, one_of
from include.contract.table import key
from transforms.engines import Frame
from transforms.incoming import purchases

_STATUSES = ("cancelled", "received", "overdue", "open")

TABLE = Table(
    schema="reporting",
    name="incoming_stock",
    grain="One row per line of a purchase order, open or not.",
    doc="As of the end of the data-through date. Empty where the shop's folder has no purchase_order_lines.sql. A shop "
    "that knows only how many units are to come to a shelf has a row per shelf to which some are, without days. Of a "
    "line whose units come on several days, the shop says how many have come by now: before the latest of those days "
    "none are known.",
    columns=(
        key("purchase_order_lines", "purchase_order_line_id", "The line."),
        Column("purchase_order", Type.TEXT, "Its purchase order; null where the shop does not say.", nullable=True),
        Column("supplier", Type.TEXT, "Who delivers it; null where the shop does not say.", nullable=True),
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse it comes to."),
        Column("ordered_units", Type.UNITS, "Units ordered."),
        Column("received_units", Type.UNITS, "Units that have come; more than ordered where too many were sent."),
        Column(
            "open_units", Type.UNITS, "max(0, ordered_units − received_units); 0 once what is missing is cancelled."
        ),
        Column("currency", Type.TEXT, "ISO 4217 code of unit_cost; null where that is.", nullable=True),
        Column("unit_cost", Type.CENTS, "What one unit costs the shop; null when unknown.", nullable=True),
        Column("ordered_on", Type.DAY, "Business day of the order; null when unknown.", nullable=True),
        Column("expected_on", Type.DAY, "The day it is expected, as said last; null when nobody said.", nullable=True),
        Column("received_on", Type.DAY, "The latest day on which units came; null while none have.", nullable=True),
        Column(
            "cancelled_on",
            Type.DAY,
            "From which day what is missing is expected no more; null while it is.",
            nullable=True,
        ),
        Column(
            "lead_days",
            Type.INTEGER,
            "received_on − ordered_on, of a line of which nothing is open; null otherwise.",
            nullable=True,
        ),
        Column(
            "late_days",
            Type.INTEGER,
            "Days after expected_on: to received_on, or to the data-through date while units are open; negative "
            "before it; null without expected_on, and of a line of which nothing came.",
            nullable=True,
        ),
        Column(
            "status",
            Type.TEXT,
            "The first that applies: received (all of it came), cancelled (what is missing is expected no more), "
            "overdue (expected by the data-through date), open.",
        ),
    ),
    primary_key=("purchase_order_line_id",),
    rebuild=Rebuild.full(),
    rules=(
        one_of("status", "status_known", "A status is one of the four.", list(_STATUSES), severity=Severity.STOP),
        between("open_units", "open_not_negative", "open_units is not negative.", least=0, severity=Severity.STOP),
    ),
)


def build(purchase_order_lines: Frame, as_of: int) -> Frame:
    """Every line of some units."""
    is_open = nw.col("open_units") > 0
    ended_on = nw.when(is_open).then(nw.lit(as_of)).otherwise(nw.col("received_on"))
    is_whole = nw.col("received_units") >= nw.col("ordered_units")
    return (
        purchases(purchase_order_lines, as_of)
        .filter((nw.col("quantity") > 0) | (nw.col("received") > 0))
        .with_columns(
            ordered_units=nw.col("quantity"),
            received_units=nw.col("received"),
            open_units=nw.col("open"),
        )
        .with_columns(
            lead_days=nw.when(~is_open).then(nw.col("received_on") - nw.col("ordered_on")),
            late_days=ended_on - nw.col("expected_on"),
            status=nw.when(is_whole)
            .then(nw.lit("received"))
            .when(~is_open)
            .then(nw.lit("cancelled"))
            .when(nw.col("overdue") > 0)
            .then(nw.lit("overdue"))
            .otherwise(nw.lit("open")),
        )
        .select(column.lake_name for column in TABLE.columns)
    )
