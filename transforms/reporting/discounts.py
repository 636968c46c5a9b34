"""``reporting.discounts``: what was taken off per day and currency, by code or promotion.

A line's own discount counts under the line's code, the rest of its order's discount under the order's: Shopify's sales
by discount (https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/sales-report) and the
``code`` of Medusa's adjustments. So an order with several codes stands under each of them, and every cent under one.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from transforms.arithmetic import flag
from transforms.engines import Frame
from transforms.known_customers import of_known_customers
from transforms.sales_lines import sold_lines

_KEY = ["day", "currency", "discount_code"]

TABLE = Table(
    schema="reporting",
    name="discounts",
    grain="One row per business day, currency and code under which something was taken off.",
    doc="Days are those on which lines were sold; a void order counts nowhere. discounts add up to those of "
    "reporting.daily_sales. Nothing else adds up: an order with two codes is one of orders under both, with all that "
    "was sold of it that day. A code for free delivery takes nothing off sales, and is not here.",
    columns=(
        Column("day", Type.DAY, "The business day."),
        Column("currency", Type.TEXT, "ISO 4217 code of every amount of the row."),
        Column("discount_code", Type.TEXT, "Code or promotion, as the shop writes it; empty for discounts without."),
        Column("orders", Type.INTEGER, "Orders of which something was sold that day, with a discount under the code."),
        Column("customers", Type.INTEGER, "Distinct customers of orders; a guest is none."),
        Column("new_customers", Type.INTEGER, "Customers whose first order, in any currency, is one of orders."),
        Column("units", Type.UNITS, "Units sold in orders that day."),
        Column("gross_sales", Type.CENTS, "Σ gross sales of these, discounted lines or not."),
        Column("discounts", Type.CENTS, "Taken off under this code."),
        Column(
            "net_sales",
            Type.CENTS,
            "Σ net sales of these: less all discounts, and refunds so far; 0 of a line that was taken out.",
        ),
    ),
    primary_key=("day", "currency", "discount_code"),
    rebuild=Rebuild.by("day", reporting_orders="order_id@order_lines", order_lines="sold_on"),
    rules=(
        between("orders", "orders_positive", "A row is of at least one order.", least=1, severity=Severity.STOP),
        between(
            "discounts_cents", "discounts_positive", "A row is of at least one cent.", least=1, severity=Severity.STOP
        ),
        at_most("customers", "orders", "customers_within_orders", "A customer has an order.", severity=Severity.STOP),
        at_most(
            "new_customers",
            "customers",
            "new_within_customers",
            "New customers are some of customers.",
            severity=Severity.STOP,
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


def build(reporting_orders: Frame, order_lines: Frame) -> Frame:
    """Add up, per code, what was taken off lines, and the orders that they belong to."""
    orders = reporting_orders.select(
        "order_id",
        "customer_id",
        "currency",
        new_customers=flag(nw.col("is_first_order")),
        code_of_order=nw.col("discount_code"),
    )
    lines = sold_lines(order_lines)
    # One row per order, day and code on either side of the join, so that what was sold counts once under a code.
    sold = lines.group_by("order_id", "day").agg(
        nw.col("quantity").sum().alias("units"), nw.col("gross_sales_cents", "net_sales_cents").sum()
    )
    given = _given(lines.join(orders.select("order_id", "code_of_order"), on="order_id", how="inner"))
    orders = orders.join(sold, on="order_id", how="inner").join(given, on=["order_id", "day"], how="inner")
    sums = orders.group_by(_KEY).agg(
        nw.len().alias("orders"),
        nw.col("new_customers", "units", "gross_sales_cents", "discounts_cents", "net_sales_cents").sum(),
    )
    one_each = of_known_customers(orders).group_by([*_KEY, "customer_id"]).agg(nw.len().alias("orders_of_customer"))
    customers = one_each.group_by(_KEY).agg(nw.len().alias("customers"))
    return (
        sums.join(customers, on=_KEY, how="left")
        .with_columns(nw.col("customers").fill_null(0))
        .select(column.lake_name for column in TABLE.columns)
    )


def _given(lines: Frame) -> Frame:
    """One row per order, day and code, with ``discounts_cents``, which is never 0."""
    own = lines.select("order_id", "day", "discount_code", discounts_cents=nw.col("own_discount_cents"))
    shares = lines.select(
        "order_id",
        "day",
        discount_code=nw.col("code_of_order"),
        discounts_cents=nw.col("discount_allocated_cents") - nw.col("own_discount_cents"),
    )
    parts = nw.concat([own, shares]).filter(nw.col("discounts_cents") != 0)
    return (
        parts.with_columns(nw.col("discount_code").fill_null(""))
        .group_by("order_id", "day", "discount_code")
        .agg(nw.col("discounts_cents").sum())
    )
