"""``features.customer_labels``: each customer's orders in the 90 days after a day, once the window has closed.

The columns mirror ``features.customer_activity``, looking forward: they are the targets of a model trained on features
as of the same day. Churn without a contract means no order in the window (the non-contractual setting of Fader and
Hardie's "buy till you die" models).
"""

from __future__ import annotations

from typing import Final

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import between
from include.contract.table import key
from transforms.arithmetic import ZERO, flag, numbered
from transforms.engines import Frame, by_key
from transforms.known_customers import of_known_customers
from transforms.sales_lines import counted_orders, refunded_lines

WINDOW_DAYS: Final = 90  # part of the columns' names

TABLE = Table(
    schema="features",
    name="customer_labels",
    grain="One row per day whose next 90 days have closed, and customer who had placed an order by then.",
    doc="The window is the 90 days after as_of. Orders void by its end, and guests', do not count.",
    columns=(
        Column("as_of", Type.DAY, "The business day; the window begins at its end."),
        key("customers", "customer_id", "The customer."),
        Column(
            "currency",
            Type.TEXT,
            "ISO 4217 code of net_sales_next_90d: the one in customer_activity of as_of; where that is null, the one "
            "of most orders in the window; null without any.",
            nullable=True,
        ),
        Column("orders_next_90d", Type.INTEGER, "Orders placed in the window."),
        Column(
            "net_sales_next_90d",
            Type.CENTS,
            "Sales minus discounts of the orders placed in the window, minus refunds given in it, also of earlier "
            "orders.",
        ),
        Column("churned_90d", Type.BOOLEAN, "Whether no order was placed in the window."),
    ),
    primary_key=("as_of", "customer_id"),
    rebuild=Rebuild.as_of("as_of", lag_days=WINDOW_DAYS),
    rules=(
        between(
            "orders_next_90d",
            "orders_not_negative",
            "orders_next_90d is not negative.",
            least=0,
            severity=Severity.STOP,
        ),
    ),
)


def build(reporting_orders: Frame, order_lines: Frame, refunds: Frame, as_of: int) -> Frame:
    """Every customer with an order before the window, with the orders in it.

    Args:
        reporting_orders: as of the window's end.
        order_lines: the same.
        refunds: the source.
        as_of: the last day of the window; the labels are as of the day 90 days earlier.
    """
    start = as_of - WINDOW_DAYS
    orders, lines = of_known_customers(reporting_orders), of_known_customers(order_lines)
    known = orders.filter(nw.col("ordered_on") <= start).select("customer_id").unique()
    counted = _counted(orders, start)
    main = _currencies(counted)
    ordered = counted.group_by("customer_id").agg(nw.col("is_next").sum().alias("orders_next_90d"))
    return (
        known.join(main, on="customer_id", how="left")
        .join(ordered, on="customer_id", how="left")
        .join(_net_sales(orders, lines, refunds, start), on=["customer_id", "currency"], how="left")
        .with_columns(nw.col("orders_next_90d", "net_sales_next_90d_cents").fill_null(0))
        .with_columns(as_of=nw.lit(start, dtype=nw.Int64), churned_90d=nw.col("orders_next_90d") == 0)
        .select(column.lake_name for column in TABLE.columns)
    )


def _counted(orders: Frame, start: int) -> Frame:
    """Orders with two flags: valid before the window; placed in the window and valid."""
    was_kept = nw.col("voided_on").is_null() | (nw.col("voided_on") > start)
    return orders.with_columns(
        was_kept=flag((nw.col("ordered_on") <= start) & was_kept),
        is_next=flag((nw.col("ordered_on") > start) & nw.col("voided_on").is_null()),
    )


def _currencies(counted: Frame) -> Frame:
    """Each customer's currency: of most orders before the window, then of most in it, then by name."""
    by_currency = (
        counted.group_by(["customer_id", "currency"])
        .agg(nw.col("was_kept").sum(), nw.col("is_next").sum())
        .filter(nw.col("was_kept") + nw.col("is_next") > 0)
        .with_columns(fewer_before=-nw.col("was_kept"))
        # A currency from before the window stays; orders in the window do not change it.
        .with_columns(fewer_next=nw.when(nw.col("was_kept") > 0).then(0).otherwise(-nw.col("is_next")))
    )
    order = ["fewer_before", "fewer_next", "currency"]
    ranked = by_key(by_currency, ["customer_id"], lambda rows: numbered(rows, "rank", "customer_id", order))
    return ranked.filter(nw.col("rank") == 1).select("customer_id", "currency")


def _net_sales(orders: Frame, order_lines: Frame, refunds: Frame, start: int) -> Frame:
    """Stack orders and refunds of the window and sum them."""
    sold = (
        counted_orders(orders)
        .filter(nw.col("ordered_on") > start)
        .select("customer_id", "currency", paid=nw.col("gross_sales_cents") - nw.col("discount_cents"), returns=ZERO)
    )
    given_back = refunded_lines(refunds, order_lines).filter(nw.col("day") > start)
    returned = given_back.select("customer_id", "currency", paid=ZERO, returns=nw.col("returns_cents"))
    return (
        nw.concat([sold, returned])
        .with_columns(net_sales_next_90d_cents=nw.col("paid") - nw.col("returns"))
        .group_by(["customer_id", "currency"])
        .agg(nw.col("net_sales_next_90d_cents").sum())
    )
