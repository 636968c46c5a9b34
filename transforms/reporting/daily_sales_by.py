"""``reporting.daily_sales_by``: the sales of a day by the values of every dimension: by channel, store, country.

The figures are those of ``reporting.daily_sales``, each counted where its order or line has it: Shopify's sales by
channel or by billing location
(https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/sales-report). A shop declares
its dimensions in its folder, in ``dimensions.toml``; the channel is always one.
"""

from __future__ import annotations

from dataclasses import replace

import narwhals as nw

from include.contract import Column, Dimensions, Table, Type
from transforms.arithmetic import ONE, ZERO, flag, ratio
from transforms.dimensions import by_value
from transforms.engines import Frame
from transforms.reporting.daily_sales import TABLE as DAILY_SALES
from transforms.sales_lines import before_cancelling, counted_orders, returned_lines, returned_orders, sold_lines

_KEY = ["day", "currency", "dimension", "value"]
# A customer may buy in two stores a day.
_NOT_BY_VALUE = {"customers", "returning_customers"}

TABLE = Table(
    schema="reporting",
    name="daily_sales_by",
    grain="One row per business day, currency, dimension and value of which something was sold or given back that day.",
    doc="Filter by one dimension: every dimension has all sales. Over its values, every figure but "
    "average_order_value adds up to reporting.daily_sales. The empty value has what has none: an order without, a "
    "refund of no known order, and, of a dimension that lines have (a product's, a warehouse's), what is of the whole "
    "order: orders, shipping, tax and refunds of no line. An order that gets another value has it on all its days. "
    "What was sold of a product, to a customer or from a warehouse has the value of its newest version.",
    columns=(
        Column("day", Type.DAY, "The business day."),
        Column("currency", Type.TEXT, "ISO 4217 code of every amount of the row."),
        Column(
            "dimension", Type.TEXT, "channel, or what the shop's folder declares; a column of reporting.order_lines."
        ),
        Column("value", Type.TEXT, "What the order, or the line, has there; empty where it has nothing."),
        *(column for column in DAILY_SALES.columns if column.name not in {"day", "currency"} | _NOT_BY_VALUE),
    ),
    primary_key=("day", "currency", "dimension", "value"),
    rebuild=replace(DAILY_SALES.rebuild, filled=()),
    rules=tuple(rule for rule in DAILY_SALES.rules if not rule.reads & _NOT_BY_VALUE),
)

_COUNTS = [
    "orders",
    "cancelled_orders",
    "new_customers",
    "guest_orders",
    "units",
    "refunded_units",
    "returned_units",
]
_AMOUNTS = [
    "gross_sales_cents",
    "discounts_cents",
    "returns_cents",
    "shipping_cents",
    "shipping_refunds_cents",
    "tax_cents",
    "tax_refunds_cents",
    "other_refunds_cents",
    "rounding_cents",
]
_OF_ORDER = ["order_id", "customer_id", "currency", "ordered_on", "cancelled_on", "voided_on", "is_first_order"]
_OF_ORDER += ["gross_sales_cents", "discount_cents", "shipping_cents", "tax_cents"]
_OF_ORDER += ["rounding_cents", "cancelled_refunds_cents", "cancelled_shipping_cents", "cancelled_tax_cents"]
_OF_LINE = ["order_item_id", "currency", "is_void", "sold_on", "quantity", "gross_sales_cents"]
_OF_LINE += ["discount_allocated_cents"]


def build(
    reporting_orders: Frame,
    order_lines: Frame,
    refunds: Frame,
    order_refunds: Frame,
    dimensions: Dimensions,
    minor_units: int,
) -> Frame:
    """Everything that counts on a day, once for each dimension, added up by its values."""
    placed = by_value(reporting_orders, _OF_ORDER, dimensions, of_lines=False)
    sold = sold_lines(by_value(order_lines, _OF_LINE, dimensions, of_lines=True))
    values = by_value(order_lines, ["order_item_id"], dimensions, of_lines=True)
    returned = returned_lines(refunds, order_lines).join(values, on="order_item_id", how="inner")
    counted = [
        *_of_orders(placed),
        _of_lines(sold),
        *_of_returns(returned),
        *_given_back(order_refunds, placed, dimensions),
    ]
    net_sales = nw.col("gross_sales_cents") - nw.col("discounts_cents") - nw.col("returns_cents")
    shipping = nw.col("shipping_cents") - nw.col("shipping_refunds_cents")
    tax = nw.col("tax_cents") - nw.col("tax_refunds_cents")
    return (
        nw.concat(counted)
        .group_by(_KEY)
        .agg(nw.col(*_COUNTS, *_AMOUNTS, "order_value_cents").sum())
        .with_columns(
            net_sales_cents=net_sales,
            total_sales_cents=net_sales - nw.col("other_refunds_cents") + shipping + tax,
            average_order_value=ratio(nw.col("order_value_cents"), nw.col("orders") * minor_units),
        )
        .drop("order_value_cents")
    )


def _counted(rows: Frame, day: str, **figures: nw.Expr) -> Frame:
    """What rows add to the figures of their day, 0 to all others; so that all rows can be stacked and added up."""
    names = [*_COUNTS, *_AMOUNTS, "order_value_cents"]
    return rows.select(nw.col(day).alias("day"), *_KEY[1:], *(figures.get(name, ZERO).alias(name) for name in names))


def _of_orders(placed: Frame) -> list[Frame]:
    """Orders on the day they were placed, those that came back by being cancelled on the day of that."""
    void = placed.filter(~nw.col("voided_on").is_null())
    return [
        _counted(
            counted_orders(placed),
            "ordered_on",
            orders=ONE,
            new_customers=flag(nw.col("is_first_order")),
            guest_orders=flag(nw.col("customer_id").is_null()),
            shipping_cents=nw.col("shipping_cents"),
            tax_cents=nw.col("tax_cents"),
            order_value_cents=nw.col("gross_sales_cents") - nw.col("discount_cents"),
            rounding_cents=nw.col("rounding_cents"),
        ),
        _counted(void, "ordered_on", cancelled_orders=ONE),
        _counted(returned_orders(placed), "day", cancelled_orders=ONE, rounding_cents=-nw.col("rounding_cents")),
    ]


def _of_lines(sold: Frame) -> Frame:
    """Lines on the day they were sold."""
    return _counted(
        sold,
        "day",
        units=nw.col("quantity"),
        gross_sales_cents=nw.col("gross_sales_cents"),
        discounts_cents=nw.col("discount_allocated_cents"),
    )


def _of_returns(returned: Frame) -> list[Frame]:
    """Refunds and removals of lines on their day; units on the day on which they came back."""
    return [
        _counted(
            returned,
            "day",
            refunded_units=nw.col("refunded_units"),
            returns_cents=nw.col("returns_cents"),
            tax_refunds_cents=nw.col("tax_refunds_cents"),
        ),
        _counted(
            returned.filter(~nw.col("returned_on").is_null()), "returned_on", returned_units=nw.col("refunded_units")
        ),
    ]


def _given_back(order_refunds: Frame, placed: Frame, dimensions: Dimensions) -> list[Frame]:
    """Refunds of no line on their day, less those of void orders; one of no known order has no value.

    And what came back with an order that was cancelled, on the day of that.
    """
    columns = ["order_id", "currency", "refunded_on", "amount_cents", "shipping_cents", "tax_cents"]
    given = nw.concat([order_refunds.select(*columns, dimension=nw.lit(one.name)) for one in dimensions])
    orders = placed.select("order_id", "dimension", "value", "cancelled_on", "voided_on")
    given = given.join(orders, on=["order_id", "dimension"], how="left").with_columns(
        nw.col("value").fill_null(""), is_void=~nw.col("voided_on").is_null()
    )
    return [
        _counted(
            before_cancelling(given.filter(~nw.col("is_void"))),
            "refunded_on",
            other_refunds_cents=nw.col("amount_cents"),
            shipping_refunds_cents=nw.col("shipping_cents"),
            tax_refunds_cents=nw.col("tax_cents"),
        ),
        _counted(
            returned_orders(placed),
            "day",
            other_refunds_cents=-nw.col("cancelled_refunds_cents"),
            shipping_refunds_cents=nw.col("cancelled_shipping_cents"),
            tax_refunds_cents=nw.col("cancelled_tax_cents"),
        ),
    ]
