"""The source `products`."""

from __future__ import annotations

from include.contract import Column, Source, Type
from include.contract.rules import between
from include.sources.money import MOST_CENTS

PRODUCTS = Source(
    schema="source",
    name="products",
    grain="One row per product.",
    columns=(
        Column("product_id", Type.INTEGER, "The product."),
        Column("sku", Type.TEXT, "The shop's own article number."),
        Column("name", Type.TEXT, "What customers see; null where the shop has none.", nullable=True),
        Column("category", Type.TEXT, "The shop's category; null where it has none.", nullable=True),
        Column("unit_cost", Type.CENTS, "What one unit costs the shop now; null when unknown.", nullable=True),
        Column("unit_price", Type.CENTS, "What one unit sells for now; null when unknown.", nullable=True),
        Column("is_active", Type.BOOLEAN, "Whether it can be ordered."),
        Column("created_at", Type.AT, "When the product was listed; null when unknown.", nullable=True),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("product_id",),
    history=("sku", "name", "category", "unit_cost", "unit_price", "is_active"),
    rules=(
        between("unit_cost_cents", "cost_not_negative", "A unit costs nothing or more.", least=0),
        between("unit_cost_cents", "cost_credible", "A unit costs 30 million or less.", most=MOST_CENTS),
        between("unit_price_cents", "price_credible", "A unit sells for 30 million or less.", most=MOST_CENTS),
        between("unit_price_cents", "price_not_negative", "A unit sells for nothing or more.", least=0),
    ),
)
