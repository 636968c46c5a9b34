"""``reporting.daily_product_sales``: sales and refunds per day, product, warehouse and currency.

It sums the same rows as ``reporting.daily_sales``, by product and warehouse, so every shared measure adds up to the
day's.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import ZERO, flag, ratio, with_worth
from transforms.engines import Frame
from transforms.sales_lines import returned_lines, sold_lines

_KEY = ["day", "product_id", "warehouse_id", "currency"]

TABLE = Table(
    schema="reporting",
    name="daily_product_sales",
    grain="One row per business day, product, warehouse and currency with a sale or a refund.",
    doc="Void orders do not count. Refunds, and what comes back by a cancelling, count on their day, as in "
    "reporting.daily_sales.",
    columns=(
        Column("day", Type.DAY, "The business day."),
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse that ships it."),
        Column("currency", Type.TEXT, "ISO 4217 code of every amount of the row."),
        Column("units", Type.UNITS, "Units sold that day."),
        Column("refunded_units", Type.UNITS, "Units refunded, taken out of an order, or of one cancelled, that day."),
        Column("gross_sales", Type.CENTS, "Σ gross sales of the lines."),
        Column("discounts", Type.CENTS, "Σ of the lines' shares of the order discounts."),
        Column(
            "returns", Type.CENTS, "Refunds given that day, and lines that came out of or back with orders, before tax."
        ),
        Column("net_sales", Type.CENTS, "gross_sales − discounts − returns."),
        Column("cost", Type.CENTS, "Cost of the units ordered; null when any is unknown.", nullable=True),
        Column("returned_cost", Type.CENTS, "Cost of the units refunded; null when any is unknown.", nullable=True),
        Column(
            "gross_margin",
            Type.CENTS,
            "net_sales − cost + returned_cost; null when a cost is unknown.",
            nullable=True,
        ),
        Column(
            "average_price",
            Type.RATIO,
            "(gross_sales − discounts) / units, in major units; null when nothing was ordered.",
            nullable=True,
        ),
    ),
    primary_key=("day", "product_id", "warehouse_id", "currency"),
    rebuild=Rebuild.by(
        "day", order_lines=("sold_on", "removed_on", "cancelled_on", "order_item_id@refunds"), refunds="refunded_on"
    ),
    rules=(
        *(
            between(name, f"{name}_not_negative", f"{name} is not negative.", least=0, severity=Severity.STOP)
            for name in ("units", "refunded_units", "gross_sales_cents", "discounts_cents", "returns_cents")
        ),
        at_most(
            "discounts_cents",
            "gross_sales_cents",
            "discounts_within_gross",
            "Discounts are no more than gross sales.",
            severity=Severity.STOP,
        ),
    ),
)


def build(order_lines: Frame, refunds: Frame, minor_units: int, unit_parts: int) -> Frame:
    """Stack sales and refunds and sum them; a join would fan out money."""
    sold = sold_lines(order_lines).select(
        *_KEY,
        units=nw.col("quantity"),
        refunded_units=ZERO,
        gross_sales_cents=nw.col("gross_sales_cents"),
        discounts_cents=nw.col("discount_allocated_cents"),
        returns_cents=ZERO,
        cost_cents=nw.col("cost_cents"),
        returned_cost_cents=ZERO,
        unknown_costs=flag(nw.col("cost_cents").is_null()),
        unknown_returned_costs=ZERO,
    )
    # Of a line that comes back in parts, what all of them cost so far less what they had before: rounded once.
    returned = returned_lines(refunds, order_lines).with_columns(
        units_after=nw.col("units_before") + nw.col("refunded_units")
    )
    returned = with_worth(
        returned,
        unit_parts,
        cost_after=("units_after", "unit_cost_cents"),
        cost_before=("units_before", "unit_cost_cents"),
    )
    returned_cost = nw.col("cost_after") - nw.col("cost_before")
    given_back = returned.select(
        *_KEY,
        units=ZERO,
        refunded_units=nw.col("refunded_units"),
        gross_sales_cents=ZERO,
        discounts_cents=ZERO,
        returns_cents=nw.col("returns_cents"),
        cost_cents=ZERO,
        returned_cost_cents=returned_cost,
        unknown_costs=ZERO,
        unknown_returned_costs=flag(returned_cost.is_null()),
    )
    measures = [name for name in sold.collect_schema().names() if name not in _KEY]
    paid = nw.col("gross_sales_cents") - nw.col("discounts_cents")
    return (
        nw.concat([sold, given_back])
        .group_by(_KEY)
        .agg(nw.col(name).sum() for name in measures)
        .with_columns(
            cost_cents=nw.when(nw.col("unknown_costs") == 0).then(nw.col("cost_cents")),
            returned_cost_cents=nw.when(nw.col("unknown_returned_costs") == 0).then(nw.col("returned_cost_cents")),
            net_sales_cents=paid - nw.col("returns_cents"),
            average_price=ratio(paid * unit_parts, nw.col("units") * minor_units),
        )
        .with_columns(
            gross_margin_cents=nw.col("net_sales_cents") - nw.col("cost_cents") + nw.col("returned_cost_cents")
        )
        .drop("unknown_costs", "unknown_returned_costs")
    )
