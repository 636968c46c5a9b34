"""``reporting.order_lines``: one row per order item, with its share of the discount and its refunds.

What the shop says of a line's discount is the line's. The rest of its order's discount is spread over the lines that
are in it by the largest-remainder (Hamilton) method: each gets ⌊rest × what is left of the line / what is left of the
order⌋ cents, and the cents left over go one each to the lines with the largest remainders, ties to the smaller
``order_item_id``. So they add up to the order to the cent. A rest of half a cent or less for the order and each line,
where some lines have a discount of their own, is what a shop rounded: those lines share it alone.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Dimensions, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import flag, numbered, quotient, with_worth
from transforms.dimensions import given, taken
from transforms.engines import Frame, by_key
from transforms.sales_lines import before_cancelling

TABLE = Table(
    schema="reporting",
    name="order_lines",
    grain="One row per order item.",
    doc="The lines of an order add up to its row in reporting.orders, but for those that were taken out of it. What "
    "is void or was taken out keeps the quantities and amounts ordered, and its net sales are 0. A refund after the "
    "day of a cancelling that is a return counts nowhere: that return is of all that was left. There is also a column "
    "for every dimension that the shop's folder declares, of a product, a customer or a warehouse that of its newest "
    "version.",
    carries="lines",
    columns=(
        key("order_items", "order_item_id", "The line."),
        key("orders", "order_id", "The order it belongs to."),
        key("customers", "customer_id", "The customer; null on a guest's order.", nullable=True),
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse that ships it."),
        Column("currency", Type.TEXT, "ISO 4217 code of every amount of the row."),
        Column(
            "channel",
            Type.TEXT,
            "Where its order was placed, as the shop says; null where it does not.",
            nullable=True,
        ),
        Column("ordered_on", Type.DAY, "Business day of its order."),
        Column("sold_on", Type.DAY, "Business day it was sold: that of its order, or later where it was added to it."),
        Column(
            "removed_on",
            Type.DAY,
            "Business day it was taken out of its order; null while it is in it.",
            nullable=True,
        ),
        Column("is_cancelled", Type.BOOLEAN, "Whether its order was cancelled."),
        Column("cancelled_on", Type.DAY, "Business day on which its order was; null when it was not.", nullable=True),
        Column("is_void", Type.BOOLEAN, "Whether it is a sale of no day, as its order is (orders.voided_on)."),
        Column("quantity", Type.UNITS, "Units ordered."),
        Column("unit_price", Type.CENTS, "Price of one unit when sold, before discount, without tax."),
        Column("gross_sales", Type.CENTS, "quantity × unit_price, or the shop's own figure where it rounds."),
        Column(
            "discount_allocated",
            Type.CENTS,
            "Its own discount where the shop knows it, and its share of the rest of the order's, by largest remainder.",
        ),
        Column(
            "own_discount",
            Type.CENTS,
            "The part of discount_allocated that is its own; 0 where the shop knows the order's only.",
        ),
        Column(
            "discount_code",
            Type.TEXT,
            "Code or promotion of own_discount, as the shop says; null where it says none.",
            nullable=True,
        ),
        Column("tax", Type.CENTS, "Tax on it; null where the shop knows the order's only.", nullable=True),
        Column(
            "refunded_quantity",
            Type.UNITS,
            "Units refunded so far; of an order that was cancelled and is not void, all that are in it.",
        ),
        Column("returns", Type.CENTS, "Refunds so far, before tax, and cancelled_returns."),
        Column(
            "cancelled_quantity",
            Type.UNITS,
            "Those of refunded_quantity that came back by the cancelling of the order; 0 of what is void.",
        ),
        Column(
            "cancelled_returns",
            Type.CENTS,
            "What was left of its net sales when its order was cancelled, and came back then; 0 of what is void.",
        ),
        Column("tax_refunds", Type.CENTS, "Tax given back with them, as far as the shop says."),
        Column("net_sales", Type.CENTS, "gross_sales − discount_allocated − returns; 0 when void or removed."),
        Column("unit_cost", Type.CENTS, "Cost of one unit when sold; null when unknown.", nullable=True),
        Column("cost", Type.CENTS, "quantity × unit_cost; null when unknown.", nullable=True),
        Column("returned_cost", Type.CENTS, "refunded_quantity × unit_cost; null when unknown.", nullable=True),
        Column(
            "gross_margin",
            Type.CENTS,
            "net_sales − cost + returned_cost: net sales minus the cost of the units kept; 0 when void or removed,"
            " null when the cost is unknown.",
            nullable=True,
        ),
        Column(
            "sku",
            Type.TEXT,
            "The product's article number when it was sold, as the order has it; null where the shop keeps none:"
            " products_history has what it was that day.",
            nullable=True,
        ),
        Column(
            "product_name",
            Type.TEXT,
            "What the product was called when it was sold, as the order has it; null as sku.",
            nullable=True,
        ),
        Column(
            "shipped_units",
            Type.UNITS,
            "Units that left so far, in shipments that were not cancelled; 0 where the shop records no shipments.",
        ),
    ),
    primary_key=("order_item_id",),
    rebuild=Rebuild.by(
        "order_id",
        orders="order_id",
        order_items="order_id",
        refunds="order_item_id@order_items",
        shipment_items="order_item_id@order_items",
    ),
    rules=(
        between("quantity", "quantity_positive", "A line has at least one unit.", least=1, severity=Severity.STOP),
        at_most(
            "own_discount_cents",
            "discount_allocated_cents",
            "own_discount_within_allocated",
            "A line's own discount is a part of its share.",
            severity=Severity.STOP,
        ),
        between(
            "discount_allocated_cents",
            "discount_allocated_not_negative",
            "A line's share of a discount is not negative.",
            least=0,
            severity=Severity.STOP,
        ),
        at_most(
            "discount_allocated_cents",
            "gross_sales_cents",
            "discount_allocated_within_line",
            "A line's share of a discount is no more than its gross sales.",
            severity=Severity.STOP,
        ),
        at_most(
            "refunded_quantity",
            "quantity",
            "refunded_within_line",
            "Refunded units are no more than those ordered.",
            severity=Severity.STOP,
        ),
        at_most(
            "shipped_units",
            "quantity",
            "shipped_within_line",
            "Units that left are no more than those ordered.",
            severity=Severity.STOP,
        ),
    ),
)


def build(
    orders: Frame,
    order_items: Frame,
    refunds: Frame,
    shipment_items: Frame,
    dimensions: Dimensions,
    unit_parts: int,
) -> Frame:
    """Lines with their order's day and currency, their share of its discount, their refunds and what left of them."""
    declared = [one for one in dimensions if not one.built_in]
    headers = orders.select(
        "order_id",
        "customer_id",
        "currency",
        "channel",
        "ordered_on",
        "unit_to_spread_cents",
        "cancelled_on",
        *taken(one for one in declared if not one.of_line),
        order_discount_cents=nw.col("discount_cents"),
        is_cancelled=~nw.col("cancelled_on").is_null(),
        is_void=~nw.col("voided_on").is_null(),
    )
    lines = order_items.select(
        *("order_item_id", "order_id", "product_id", "warehouse_id", "quantity"),
        *("unit_price_cents", "subtotal_cents", "discount_cents", "discount_code", "tax_cents", "unit_cost_cents"),
        *("sold_on", "removed_on", "sku", "product_name"),
        *taken(one for one in declared if one.of_line),
    ).join(headers, on="order_id", how="inner")
    lines = with_worth(
        lines.with_columns(nw.col("discount_cents").fill_null(0)),
        unit_parts,
        gross_sales_cents=("quantity", "unit_price_cents"),
        cost_cents=("quantity", "unit_cost_cents"),
    ).with_columns(gross_sales_cents=nw.coalesce("subtotal_cents", "gross_sales_cents"))
    given_back, left_house = _refunded(refunds, lines), _shipped(shipment_items)
    for found in (_allocated(lines), given_back, left_house):
        lines = lines.join(found, on="order_item_id", how="left")
    lines = lines.with_columns(
        nw.col("refunded_quantity", "returns_cents", "tax_refunds_cents", "shipped_units").fill_null(0),
        is_rounding=nw.col("is_rounding").fill_null(False),
        discount_allocated_cents=nw.coalesce("discount_allocated_cents", "discount_cents"),
    )
    left = nw.col("gross_sales_cents") - nw.col("discount_allocated_cents") - nw.col("returns_cents")
    is_no_sale = nw.col("is_void") | ~nw.col("removed_on").is_null()
    comes_back = nw.col("is_cancelled") & ~is_no_sale
    lines = (
        lines.with_columns(
            cancelled_quantity=flag(comes_back) * (nw.col("quantity") - nw.col("refunded_quantity")),
            cancelled_returns_cents=nw.when(comes_back & (left > 0)).then(left).otherwise(0),
        )
        .with_columns(
            refunded_quantity=nw.col("refunded_quantity") + nw.col("cancelled_quantity"),
            returns_cents=nw.col("returns_cents") + nw.col("cancelled_returns_cents"),
        )
        .with_columns(
            # What the shop rounded of its discount is of the lines that have one, and under their code.
            own_discount_cents=nw.when(nw.col("is_rounding"))
            .then(nw.col("discount_allocated_cents"))
            .otherwise(nw.col("discount_cents")),
            discount_code=nw.when(nw.col("discount_code") != "").then(nw.col("discount_code")),
            net_sales_cents=nw.when(is_no_sale).then(0).otherwise(left),
        )
    )
    return (
        with_worth(lines, unit_parts, returned_cost_cents=("refunded_quantity", "unit_cost_cents"))
        .with_columns(
            gross_margin_cents=nw.when(is_no_sale)
            .then(0)
            .otherwise(nw.col("net_sales_cents") - nw.col("cost_cents") + nw.col("returned_cost_cents")),
        )
        .select(*(column.lake_name for column in TABLE.columns), *given(declared))
    )


def _refunded(refunds: Frame, lines: Frame) -> Frame:
    """What was given back of each line, summed before the join: a line with two refunds stays one line."""
    rows = refunds.select(
        *("order_item_id", "refunded_on", "quantity", "amount_cents"),
        tax_refunds_cents=nw.col("tax_cents").fill_null(0),
    )
    rows = rows.join(lines.select("order_item_id", "cancelled_on", "is_void"), on="order_item_id", how="inner")
    return (
        before_cancelling(rows)
        .group_by("order_item_id")
        .agg(
            nw.col("quantity").sum().alias("refunded_quantity"),
            nw.col("amount_cents").sum().alias("returns_cents"),
            nw.col("tax_refunds_cents").sum(),
        )
    )


def _shipped(shipment_items: Frame) -> Frame:
    """The units of each line that left, summed before the join."""
    left = shipment_items.filter(nw.col("cancelled_on").is_null())
    return left.group_by("order_item_id").agg(nw.col("quantity").sum().alias("shipped_units"))


def _allocated(lines: Frame) -> Frame:
    """The discount of each line of the orders whose lines do not say all of it, and whether the rest is a rounding.

    Of most orders nothing is left to spread. Windows over all columns of all lines took DuckDB 109 s for 6 M lines.
    """
    lines = lines.select(
        *("order_item_id", "order_id", "gross_sales_cents", "discount_cents", "unit_to_spread_cents"),
        "order_discount_cents",
        in_order=flag(nw.col("removed_on").is_null()),
    )
    rests = (
        lines.with_columns(own=nw.col("in_order") * nw.col("discount_cents"))
        .group_by("order_id")
        .agg(nw.col("order_discount_cents").max().alias("rest"), nw.col("own").sum())
        .filter(nw.col("rest") > nw.col("own"))
        .select("order_id", rest=nw.col("rest") - nw.col("own"))
    )
    spread = by_key(lines.join(rests, on="order_id", how="inner"), ["order_id"], _spread)
    return spread.select("order_item_id", "discount_allocated_cents", "is_rounding")


def _spread(lines: Frame) -> Frame:
    """Spread what no line has of each order's discount over its lines by largest remainder, in its smallest unit."""
    unit = nw.col("unit_to_spread_cents")
    lines = lines.with_columns(
        left=nw.col("in_order") * (nw.col("gross_sales_cents") - nw.col("discount_cents"))
    ).with_columns(left_of_discounted=nw.when(nw.col("discount_cents") > 0).then(nw.col("left")).otherwise(0))
    fits = nw.col("rest") <= nw.col("left_of_discounted").sum().over("order_id")
    is_small = nw.col("rest") * 2 <= (nw.col("in_order").sum().over("order_id") + 1) * unit
    lines = lines.with_columns(is_rounding=fits & is_small).with_columns(
        left=nw.when(nw.col("is_rounding")).then(nw.col("left_of_discounted")).otherwise(nw.col("left"))
    )
    lines = lines.with_columns(left_of_order=nw.col("left").sum().over("order_id"))
    # A discount, rounded once, may come to a cent or two more than what is left of its lines, rounded one by one.
    lines = lines.with_columns(rest=nw.min_horizontal("rest", "left_of_order")).with_columns(
        # An order of free goods has nothing left to divide by, and so no rest.
        left_of_order=nw.when(nw.col("left_of_order") > 0).then(nw.col("left_of_order")).otherwise(unit),
        # The lines' own discounts, rounded one by one, may come to a cent or two more than the order's.
        rest=nw.when(nw.col("rest") > 0).then(nw.col("rest")).otherwise(0),
    )
    # The gate lets whole units pass only, so nothing is lost; and their product fits an int64 in every currency.
    lines = lines.with_columns(quotient(nw.col(name), unit).alias(name) for name in ("left", "left_of_order", "rest"))
    shares = (
        lines.with_columns(portion=nw.col("rest") * nw.col("left"))
        .with_columns(share=quotient(nw.col("portion"), nw.col("left_of_order")))
        # Minus the remainder, because windows sort ascending and the largest remainder comes first.
        .with_columns(shortfall=nw.col("share") * nw.col("left_of_order") - nw.col("portion"))
        .with_columns(left_over=nw.col("rest") - nw.col("share").sum().over("order_id"))
    )
    placed = numbered(shares, "place", "order_id", ["shortfall", "order_item_id"])
    extra = flag(nw.col("place") <= nw.col("left_over"))
    return placed.with_columns(discount_allocated_cents=nw.col("discount_cents") + (nw.col("share") + extra) * unit)
