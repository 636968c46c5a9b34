"""The source `order_items`."""

from __future__ import annotations

from include.contract import Column, Derived, Source, Type
from include.contract.rules import between
from include.contract.table import key
from include.sources.money import MOST_CENTS

ORDER_ITEMS = Source(
    schema="source",
    name="order_items",
    grain="One row per line of an order: one product from one warehouse.",
    columns=(
        Column("order_item_id", Type.INTEGER, "The line."),
        key("orders", "order_id", "The order it belongs to.", part_of=True),
        key("products", "product_id", "What was ordered."),
        key("warehouses", "warehouse_id", "Where it ships from."),
        Column("quantity", Type.INTEGER, "Units ordered."),
        Column("unit_price", Type.CENTS, "Price of one unit when sold, before discount and tax."),
        Column("unit_cost", Type.CENTS, "What one unit had cost the shop when sold; null when unknown.", nullable=True),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("order_item_id",),
    rules=(
        between("quantity", "quantity_positive", "A line has at least one unit.", least=1),
        between("quantity", "quantity_credible", "A line has at most a million units.", most=1_000_000),
        between("unit_price_cents", "unit_price_not_negative", "A unit sells for nothing or more.", least=0),
        between("unit_price_cents", "unit_price_credible", "A unit sells for 30 million or less.", most=MOST_CENTS),
        between("unit_cost_cents", "unit_cost_not_negative", "A unit costs nothing or more.", least=0),
    ),
    amount="quantity::hugeint * unit_price_cents",
    currency="currency",
    begins="ordered_on",
    derived=(
        Derived(
            Column("ordered_on", Type.DAY, "Business day its order was placed.", nullable=True),
            "business_day((select min(parent.ordered_at) from orders as parent where parent.order_id = row.order_id))",
            needs=("orders",),
        ),
        Derived(
            Column("currency", Type.TEXT, "ISO 4217 code of its order's amounts.", nullable=True),
            "(select min(parent.currency) from orders as parent where parent.order_id = row.order_id)",
            needs=("orders",),
        ),
    ),
)
