"""``reporting.orders``: one row per order, with its sales, refunds and margin."""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Dimensions, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between, one_of
from include.contract.table import key
from transforms.arithmetic import flag, numbered
from transforms.dimensions import given, taken
from transforms.engines import Frame, by_key
from transforms.known_customers import of_known_customers
from transforms.sales_lines import before_cancelling, summed_refunds

_SECONDS_PER_HOUR = 3600

TABLE = Table(
    schema="reporting",
    name="orders",
    grain="One row per order.",
    doc="As known at the end of the data-through date, without later events. An order that is void keeps the amounts "
    "ordered and given back; its net sales and margin are 0. One that was cancelled and is not void has come back "
    "whole: what was given back after that day counts nowhere. There is also a column for every dimension of orders "
    "and customers that the shop's folder declares; of a customer it is the value of the newest version.",
    carries="orders",
    columns=(
        key("orders", "order_id", "The order."),
        key("customers", "customer_id", "The customer; null for a guest's order.", nullable=True),
        Column("currency", Type.TEXT, "ISO 4217 code of every amount of the row."),
        Column("status", Type.TEXT, "pending, processing, shipped, delivered or cancelled."),
        Column("channel", Type.TEXT, "Where it was placed, as the shop says; null where it does not.", nullable=True),
        Column("ordered_on", Type.DAY, "Business day of ordered_at."),
        Column("shipped_on", Type.DAY, "Business day of shipped_at; null before.", nullable=True),
        Column("delivered_on", Type.DAY, "Business day of delivered_at; null before.", nullable=True),
        Column("cancelled_on", Type.DAY, "Business day of cancelled_at; null when not cancelled.", nullable=True),
        Column(
            "voided_on",
            Type.DAY,
            "cancelled_on of an order that is void: a sale of no day. Null where it is none, and in a shop whose "
            "cancellations are returns (shop.toml): there it is a sale of its day, and a return on cancelled_on.",
            nullable=True,
        ),
        Column("ordered_at", Type.AT, "When the order was placed."),
        Column("shipped_at", Type.AT, "When it left the warehouse; null before.", nullable=True),
        Column("delivered_at", Type.AT, "When it arrived; null before.", nullable=True),
        Column("cancelled_at", Type.AT, "When it was cancelled; null when it was not.", nullable=True),
        Column("item_count", Type.INTEGER, "Lines that are in it."),
        Column("units", Type.UNITS, "Units ordered, over these lines."),
        Column("refunded_units", Type.UNITS, "Units refunded so far."),
        Column("gross_sales", Type.CENTS, "Σ gross sales of the lines: without tax, shipping and discounts."),
        Column("discount", Type.CENTS, "Taken off gross_sales: Σ discount_allocated of the lines."),
        Column(
            "discount_code",
            Type.TEXT,
            "Code or promotion of its discount, but for what is a line's own; null where the shop says none.",
            nullable=True,
        ),
        Column("shipping", Type.CENTS, "Charged for delivery, less what was taken off it, without tax."),
        Column("tax", Type.CENTS, "All tax: on gross_sales − discount, and shipping_tax."),
        Column("shipping_tax", Type.CENTS, "The part of tax that is on shipping."),
        Column("returns", Type.CENTS, "Σ returns of the lines so far, before tax."),
        Column(
            "other_refunds",
            Type.CENTS,
            "Given back so far that no line explains, without shipping and tax: goodwill, a fee. Not in net_sales, and "
            "less by cancelled_refunds.",
        ),
        Column("shipping_refunds", Type.CENTS, "Shipping given back so far, without tax; shipping is not less by it."),
        Column(
            "cancelled_shipping",
            Type.CENTS,
            "The part of shipping_refunds that came back by the cancelling: what was left of shipping; 0 if void.",
        ),
        Column(
            "cancelled_tax",
            Type.CENTS,
            "The part of tax_refunds that came back by the cancelling: what was left of tax; 0 if void.",
        ),
        Column(
            "cancelled_refunds",
            Type.CENTS,
            "What was in other_refunds when it was cancelled, and is in what came back whole; 0 if void.",
        ),
        Column(
            "tax_refunds",
            Type.CENTS,
            "Tax given back so far, with returns, other_refunds and shipping_refunds, as far as the shop says; tax is "
            "not less by it.",
        ),
        Column("net_sales", Type.CENTS, "gross_sales − discount − returns; 0 when void."),
        Column(
            "total",
            Type.CENTS,
            "What the customer had to pay: gross_sales − discount + shipping + tax + rounding; of an order that was "
            "edited since the last day, what it is now.",
        ),
        Column(
            "rounding",
            Type.CENTS,
            "What the shop's total is more than its parts, each rounded; 0 where its amounts are whole cents.",
        ),
        Column("cost", Type.CENTS, "Σ quantity × unit cost; null when any line's is unknown.", nullable=True),
        Column("returned_cost", Type.CENTS, "Cost of the refunded units; null when cost is.", nullable=True),
        Column(
            "gross_margin",
            Type.CENTS,
            "net_sales − cost + returned_cost: net sales minus the cost of the units kept; 0 when void, "
            "null when the cost is unknown.",
            nullable=True,
        ),
        Column(
            "customer_order_number",
            Type.INTEGER,
            "Number of this order among the customer's orders, by ordered_at, then order_id, without void ones; "
            "null when void, and for a guest's order.",
            nullable=True,
        ),
        Column(
            "is_first_order",
            Type.BOOLEAN,
            "Whether customer_order_number is 1, in any currency; a guest's order never is.",
        ),
        Column(
            "hours_to_ship",
            Type.RATIO,
            "Whole seconds from ordered_at to shipped_at, / 3600; null before.",
            nullable=True,
        ),
        Column(
            "hours_to_deliver",
            Type.RATIO,
            "Whole seconds from shipped_at to delivered_at, / 3600; null before.",
            nullable=True,
        ),
    ),
    primary_key=("order_id",),
    # An order that changes may change the number of its customer's other orders; a guest has no others.
    rebuild=Rebuild.by(
        "order_id", orders=("order_id", "customer_id@orders"), order_lines="order_id", order_refunds="order_id"
    ),
    rules=(
        one_of(
            "status",
            "status_known",
            "A status is one of the five.",
            ["pending", "processing", "shipped", "delivered", "cancelled"],
            severity=Severity.STOP,
        ),
        between("units", "units_not_negative", "units is not negative.", least=0, severity=Severity.STOP),
        at_most(
            "refunded_units",
            "units",
            "refunded_within_order",
            "Refunded units are no more than those ordered.",
            severity=Severity.STOP,
        ),
        at_most(
            "net_sales_cents",
            "gross_sales_cents",
            "net_within_gross",
            "Net sales are no more than gross sales.",
            severity=Severity.STOP,
        ),
        between(
            "customer_order_number",
            "customer_order_number_positive",
            "A customer's orders are counted from 1.",
            least=1,
            severity=Severity.STOP,
        ),
    ),
)

_TAKEN = [
    "order_id",
    "customer_id",
    "currency",
    "status",
    "channel",
    "discount_code",
    "shipping_cents",
    "shipping_discount_cents",
    "tax_cents",
    "shipping_tax_cents",
    "total_cents",
    "rounding_cents",
    *(f"{event}_{moment}" for event in ("ordered", "shipped", "delivered", "cancelled") for moment in ("on", "at")),
    "voided_on",
    "seconds_to_ship",
    "seconds_to_deliver",
]
_SUMMED = {
    "units": "quantity",
    "refunded_units": "refunded_quantity",
    "gross_sales_cents": "gross_sales_cents",
    "discount_cents": "discount_allocated_cents",
    "returns_cents": "returns_cents",
    "tax_refunds_of_lines": "tax_refunds_cents",
    "net_sales_cents": "net_sales_cents",
    "cost_cents": "cost_cents",
    "returned_cost_cents": "returned_cost_cents",
    "gross_margin_cents": "gross_margin_cents",
}


_GIVEN_BACK = ["other_refunds_cents", "shipping_refunds_cents", "tax_refunds_cents"]


def build(orders: Frame, order_lines: Frame, order_refunds: Frame, dimensions: Dimensions) -> Frame:
    """Orders with the sums of their lines and refunds, each summed before the join: an order stays one row."""
    sums = (
        order_lines.filter(nw.col("removed_on").is_null())
        .with_columns(unknown_cost=flag(nw.col("cost_cents").is_null()))
        .group_by("order_id")
        .agg(
            nw.len().alias("item_count"),
            nw.col("unknown_cost").sum(),
            *(nw.col(column).sum().alias(name) for name, column in _SUMMED.items()),
        )
    )
    is_void = ~nw.col("voided_on").is_null()
    comes_back = ~nw.col("cancelled_on").is_null() & ~is_void
    declared = [one for one in dimensions if not (one.built_in or one.of_line)]
    rows = (
        orders.select(*_TAKEN, *taken(declared))
        .join(sums, on="order_id", how="left")
        .join(_given_back(order_refunds, orders), on="order_id", how="left")
        .join(_numbers(orders), on="order_id", how="left")
        .with_columns(nw.col("item_count", "unknown_cost", "rounding_cents", *_SUMMED, *_GIVEN_BACK).fill_null(0))
        .with_columns(tax_refunds_cents=nw.col("tax_refunds_cents") + nw.col("tax_refunds_of_lines"))
        .with_columns(
            nw.when(nw.col("unknown_cost") == 0).then(nw.col(column)).alias(column)
            for column in ("cost_cents", "returned_cost_cents")
        )
        .with_columns(
            status=_status(),
            discount_code=nw.when(nw.col("discount_code") != "").then(nw.col("discount_code")),
            shipping_cents=nw.col("shipping_cents") - nw.col("shipping_discount_cents"),
            gross_margin_cents=nw.when(is_void | (nw.col("unknown_cost") == 0)).then(nw.col("gross_margin_cents")),
            is_first_order=(nw.col("customer_order_number") == 1).fill_null(False),
            hours_to_ship=nw.col("seconds_to_ship") / _SECONDS_PER_HOUR,
            hours_to_deliver=nw.col("seconds_to_deliver") / _SECONDS_PER_HOUR,
        )
        .with_columns(
            cancelled_shipping_cents=_left(comes_back, "shipping_cents", "shipping_refunds_cents"),
            cancelled_tax_cents=_left(comes_back, "tax_cents", "tax_refunds_cents"),
            cancelled_refunds_cents=flag(comes_back) * nw.col("other_refunds_cents"),
        )
        .with_columns(
            shipping_refunds_cents=nw.col("shipping_refunds_cents") + nw.col("cancelled_shipping_cents"),
            tax_refunds_cents=nw.col("tax_refunds_cents") + nw.col("cancelled_tax_cents"),
            other_refunds_cents=nw.col("other_refunds_cents") - nw.col("cancelled_refunds_cents"),
        )
    )
    return rows.select(*(column.lake_name for column in TABLE.columns), *given(declared))


def _given_back(order_refunds: Frame, orders: Frame) -> Frame:
    """What was given back of each order that no line explains; of what is about no known order, nothing."""
    cancelled = orders.select("order_id", "cancelled_on", is_void=~nw.col("voided_on").is_null())
    of_orders = order_refunds.filter(~nw.col("order_id").is_null()).select(
        "order_id", "refunded_on", "amount_cents", "shipping_cents", "tax_cents"
    )
    return summed_refunds(before_cancelling(of_orders.join(cancelled, on="order_id", how="inner")), ["order_id"])


def _left(comes_back: nw.Expr, charged: str, given_back: str) -> nw.Expr:
    """What is left to give back of an amount when an order comes back; 0 where nothing is, or it does not."""
    left = nw.col(charged) - nw.col(given_back)
    return nw.when(comes_back & (left > 0)).then(left).otherwise(0)


def _status() -> nw.Expr:
    """The status at the end of the day, from the events up to then; the shop's own status may be newer."""
    return (
        nw.when(~nw.col("cancelled_on").is_null())
        .then(nw.lit("cancelled"))
        .when(~nw.col("delivered_on").is_null())
        .then(nw.lit("delivered"))
        .when(~nw.col("shipped_on").is_null())
        .then(nw.lit("shipped"))
        .when(nw.col("status") == "pending")
        .then(nw.lit("pending"))
        .otherwise(nw.lit("processing"))
    )


def _numbers(orders: Frame) -> Frame:
    """Count each customer's orders in the order they were placed; void ones and guests' have no number."""
    counted = of_known_customers(orders).filter(nw.col("voided_on").is_null())
    counted = counted.select("order_id", "customer_id", "ordered_at")
    numbers = by_key(
        counted,
        ["customer_id"],
        lambda rows: numbered(rows, "customer_order_number", "customer_id", ["ordered_at", "order_id"]),
    )
    return numbers.select("order_id", "customer_order_number")
