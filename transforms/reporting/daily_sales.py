"""``reporting.daily_sales``: one row per business day and currency, without gaps.

Net sales = gross sales − discounts − returns, each on its own day (``transforms.sales_lines``): Shopify's sales reports
(https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/sales-report). So are total
sales: net sales with shipping and tax, each less what was given back of it. What was given back and no line explains
(goodwill, a fee) is of no product: it is in other_refunds and lowers total sales, but not net sales, which are those of
all products. A new customer places their first order that day, a returning one has ordered before. A guest's order,
which names no customer, is neither: it counts as an order, and in guest_orders.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from transforms.arithmetic import flag, ratio
from transforms.engines import Frame
from transforms.known_customers import of_known_customers
from transforms.sales_lines import (
    before_cancelling,
    counted_orders,
    returned_lines,
    returned_orders,
    sold_lines,
    summed_refunds,
)

_KEY = ["day", "currency"]

TABLE = Table(
    schema="reporting",
    name="daily_sales",
    grain="One row per business day and currency, from the currency's first order or refund of no line through the "
    "data-through date.",
    doc="A void order counts only in cancelled_orders: its refunds count nowhere, as its sales do not. Where a shop's "
    "cancellations are returns (shop.toml), none is void: a cancelled order counts on its day all the same, and comes "
    "back on the day of its cancelling with what was left of its lines, shipping and tax. Refunds count on the day "
    "they were given, also those of no known order. A line that was added to an order counts on the day it was added; "
    "one that was taken out is a return on the day it was. The order, its customer, shipping and tax count on the "
    "order's day.",
    columns=(
        Column("day", Type.DAY, "The business day."),
        Column("currency", Type.TEXT, "ISO 4217 code of every amount of the row."),
        Column("orders", Type.INTEGER, "Orders placed that day that are not void."),
        Column(
            "cancelled_orders",
            Type.INTEGER,
            "Orders placed that day and void since; where cancellations are returns, orders cancelled that day.",
        ),
        Column("customers", Type.INTEGER, "Distinct customers of orders; a guest is none."),
        Column("new_customers", Type.INTEGER, "Customers whose first order, in any currency, is one of orders."),
        Column("returning_customers", Type.INTEGER, "customers − new_customers."),
        Column("guest_orders", Type.INTEGER, "Those of orders that name no customer."),
        Column("units", Type.UNITS, "Units sold."),
        Column("refunded_units", Type.UNITS, "Units refunded, taken out of an order, or of one cancelled, that day."),
        Column(
            "returned_units",
            Type.UNITS,
            "Units that came back that day, where the shop says when; they count once they are refunded.",
        ),
        Column("gross_sales", Type.CENTS, "Σ gross sales of lines."),
        Column("discounts", Type.CENTS, "Σ discounts of lines."),
        Column(
            "returns",
            Type.CENTS,
            "Refunds of lines given that day, and lines that came out of or back with orders, before tax.",
        ),
        Column("net_sales", Type.CENTS, "gross_sales − discounts − returns; negative on a day of many returns."),
        Column(
            "shipping", Type.CENTS, "Σ shipping of orders, less its discounts, without tax; refunds do not reduce it."
        ),
        Column("shipping_refunds", Type.CENTS, "Shipping given back that day, without tax."),
        Column(
            "tax",
            Type.CENTS,
            "Tax of orders, on their goods and shipping; refunds do not reduce it.",
        ),
        Column(
            "tax_refunds",
            Type.CENTS,
            "Tax given back that day, with returns, other_refunds and shipping_refunds, as far as the shop says.",
        ),
        Column(
            "other_refunds",
            Type.CENTS,
            "Given back that day and explained by no line, without shipping and tax: goodwill, a fee. Less by "
            "what was so given back of orders that come back whole that day, so it may be negative.",
        ),
        Column(
            "total_sales",
            Type.CENTS,
            "net_sales − other_refunds + shipping − shipping_refunds + tax − tax_refunds.",
        ),
        Column(
            "average_order_value",
            Type.RATIO,
            "Σ (gross sales − discounts) of orders / orders, in major units; null on a day without orders.",
            nullable=True,
        ),
        Column(
            "rounding",
            Type.CENTS,
            "Σ rounding of orders, less that of orders that come back whole that day. Not in total_sales: with it, the "
            "day's orders come to what their totals say.",
        ),
    ),
    primary_key=("day", "currency"),
    rebuild=Rebuild.by(
        "day",
        reporting_orders=("ordered_on", "cancelled_on", "order_id@order_refunds"),
        order_lines=("sold_on", "removed_on", "cancelled_on", "order_item_id@refunds"),
        refunds=("refunded_on", "returned_on"),
        order_refunds="refunded_on",
        filled=("currency@reporting_orders", "currency@order_refunds"),
    ),
    rules=(
        *(
            between(name, f"{name}_not_negative", f"{name} is not negative.", least=0, severity=Severity.STOP)
            for name in (
                "orders",
                "cancelled_orders",
                "new_customers",
                "returning_customers",
                "guest_orders",
                "units",
                "refunded_units",
                "returned_units",
                "gross_sales_cents",
                "returns_cents",
                "shipping_cents",
                "shipping_refunds_cents",
                "tax_cents",
                "tax_refunds_cents",
            )
        ),
        at_most("customers", "orders", "customers_within_orders", "A customer has an order.", severity=Severity.STOP),
        at_most(
            "guest_orders",
            "orders",
            "guests_within_orders",
            "Orders of guests are some of orders.",
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

_COUNTS = [
    "orders",
    "cancelled_orders",
    "customers",
    "new_customers",
    "guest_orders",
    "units",
    "refunded_units",
    "returned_units",
]
_AMOUNTS = ["gross_sales_cents", "discounts_cents", "shipping_cents", "tax_cents", "rounding_cents"]
_GIVEN_BACK = ["returns_cents", "tax_of_lines", "other_refunds_cents", "shipping_refunds_cents", "tax_refunds_cents"]


def build(
    reporting_orders: Frame,
    order_lines: Frame,
    refunds: Frame,
    order_refunds: Frame,
    calendar: Frame,
    minor_units: int,
) -> Frame:
    """Every day of every currency, with orders placed, orders cancelled and refunds given."""
    placed = reporting_orders.with_columns(day=nw.col("ordered_on"))
    kept, back = counted_orders(placed), returned_orders(placed)
    void = placed.filter(~nw.col("voided_on").is_null())
    cancelled = nw.concat([frame.select(_KEY) for frame in (void, back)])
    net_sales = nw.col("gross_sales_cents") - nw.col("discounts_cents") - nw.col("returns_cents")
    shipping = nw.col("shipping_cents") - nw.col("shipping_refunds_cents")
    tax = nw.col("tax_cents") - nw.col("tax_refunds_cents")
    returned = returned_lines(refunds, order_lines)
    of_no_line = order_refunds.select(
        *("order_id", "currency", "amount_cents", "shipping_cents", "tax_cents"), day=nw.col("refunded_on")
    )
    return (
        _days(calendar, placed, of_no_line)
        .join(_orders(kept), on=_KEY, how="left")
        .join(_sales(sold_lines(order_lines)), on=_KEY, how="left")
        .join(_customers(kept), on=_KEY, how="left")
        .join(cancelled.group_by(_KEY).agg(nw.len().alias("cancelled_orders")), on=_KEY, how="left")
        .join(_returns(returned), on=_KEY, how="left")
        .join(_given_back(of_no_line, placed, back), on=_KEY, how="left")
        .join(_came_back(returned), on=_KEY, how="left")
        .join(_rounding(kept, back), on=_KEY, how="left")
        .with_columns(nw.col(*_COUNTS, *_AMOUNTS, *_GIVEN_BACK).fill_null(0))
        .with_columns(tax_refunds_cents=nw.col("tax_refunds_cents") + nw.col("tax_of_lines"))
        .with_columns(
            returning_customers=nw.col("customers") - nw.col("new_customers"),
            net_sales_cents=net_sales,
            total_sales_cents=net_sales - nw.col("other_refunds_cents") + shipping + tax,
            average_order_value=ratio(nw.col("order_value_cents").fill_null(0), nw.col("orders") * minor_units),
        )
        .drop("tax_of_lines", "order_value_cents")
    )


def _days(calendar: Frame, *rows: Frame) -> Frame:
    """Each currency's days, from its first row on."""
    dated = nw.concat([frame.select("currency", "day") for frame in rows])
    first = dated.group_by("currency").agg(nw.col("day").min().alias("first_day"))
    days = calendar.select("day").join(first, how="cross")
    return days.filter(nw.col("day") >= nw.col("first_day")).drop("first_day")


def _orders(kept: Frame) -> Frame:
    """Orders that are not void, by day."""
    return (
        kept.with_columns(
            new_customers=flag(nw.col("is_first_order")),
            guest_orders=flag(nw.col("customer_id").is_null()),
            order_value_cents=nw.col("gross_sales_cents") - nw.col("discount_cents"),
        )
        .group_by(_KEY)
        .agg(
            nw.len().alias("orders"),
            nw.col("new_customers").sum(),
            nw.col("guest_orders").sum(),
            nw.col("shipping_cents", "tax_cents", "order_value_cents").sum(),
        )
    )


def _rounding(kept: Frame, back: Frame) -> Frame:
    """What totals are more than their parts: of orders on their day, and back on the day of a cancelling."""
    came_back = back.select(*_KEY, rounding_cents=-nw.col("rounding_cents"))
    rows = nw.concat([kept.select(*_KEY, "rounding_cents"), came_back])
    return rows.group_by(_KEY).agg(nw.col("rounding_cents").sum())


def _sales(sold: Frame) -> Frame:
    """Lines by day."""
    return sold.group_by(_KEY).agg(
        nw.col("quantity").sum().alias("units"),
        nw.col("gross_sales_cents").sum(),
        nw.col("discount_allocated_cents").sum().alias("discounts_cents"),
    )


def _customers(kept: Frame) -> Frame:
    """Distinct customers, counted as rows of one per customer."""
    one_each = of_known_customers(kept).group_by([*_KEY, "customer_id"]).agg(nw.len().alias("orders_of_customer"))
    return one_each.group_by(_KEY).agg(nw.len().alias("customers"))


def _returns(returned: Frame) -> Frame:
    """Refunds and removals of lines by day."""
    return returned.group_by(_KEY).agg(
        nw.col("refunded_units", "returns_cents").sum(), nw.col("tax_refunds_cents").sum().alias("tax_of_lines")
    )


def _given_back(of_no_line: Frame, placed: Frame, back: Frame) -> Frame:
    """Refunds of no line by day, less those of void orders; one of no known order is of none. And what came back."""
    orders = placed.select("order_id", "cancelled_on", "voided_on")
    of_orders = of_no_line.with_columns(refunded_on=nw.col("day")).join(orders, on="order_id", how="left")
    of_orders = of_orders.with_columns(is_void=~nw.col("voided_on").is_null())
    amounts = ["amount_cents", "shipping_cents", "tax_cents"]
    kept = before_cancelling(of_orders.filter(~nw.col("is_void"))).select(*_KEY, *amounts)
    came_back = back.select(
        *_KEY,
        amount_cents=-nw.col("cancelled_refunds_cents"),
        shipping_cents=nw.col("cancelled_shipping_cents"),
        tax_cents=nw.col("cancelled_tax_cents"),
    )
    return summed_refunds(nw.concat([kept, came_back]), _KEY)


def _came_back(returned: Frame) -> Frame:
    """Units by the day on which they came back."""
    back = returned.filter(~nw.col("returned_on").is_null()).with_columns(day=nw.col("returned_on"))
    return back.group_by(_KEY).agg(nw.col("refunded_units").sum().alias("returned_units"))
