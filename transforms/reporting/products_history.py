"""``reporting.products_history``: what a product was called and what it was like, and from when to when.

A type 2 slowly changing dimension (Kimball and Ross, The Data Warehouse Toolkit). The shop has no history: its versions
are what the nights found (``transforms.versions``).
"""

from __future__ import annotations

from include.contract import Column, Rebuild, Table, Type
from include.contract.table import key
from transforms.engines import Frame
from transforms.versions import ENDS_LATER, VALID

TABLE = Table(
    schema="reporting",
    name="products_history",
    grain="One row per product and version: of its number, name, group, category, cost, price and whether it can be "
    "ordered.",
    doc="A version begins with the last day that was over when a night found the change, whatever day that night was "
    "of, and however long before the shop made it. Of a day, the version that held is the one with valid_from <= day "
    "and (valid_to > day or valid_to is null). "
    "A deleted product keeps its versions; the last one has ended.",
    columns=(
        key("products", "product_id", "The product."),
        *VALID,
        Column("sku", Type.TEXT, "The shop's own article number.", nullable=True),
        Column("name", Type.TEXT, "What customers see; null where the shop has none.", nullable=True),
        Column("category", Type.TEXT, "The shop's category; null where it has none.", nullable=True),
        Column("unit_cost", Type.CENTS, "What one unit cost the shop; null when unknown.", nullable=True),
        Column("unit_price", Type.CENTS, "What one unit sold for; null when unknown.", nullable=True),
        Column("is_active", Type.BOOLEAN, "Whether it could be ordered.", nullable=True),
        Column("product_group_id", Type.TEXT, "What it was a variant of; null where it was none.", nullable=True),
        Column("product_group_name", Type.TEXT, "What that was called; null where it had no name.", nullable=True),
        Column(
            "cost_currency",
            Type.TEXT,
            "ISO 4217 code of unit_cost; null where it was that of the price, or the shop's only one.",
            nullable=True,
        ),
        Column("price_currency", Type.TEXT, "ISO 4217 code of unit_price; null: the shop's only one.", nullable=True),
        Column(
            "price_includes_tax", Type.BOOLEAN, "Whether unit_price was with tax; null when unknown.", nullable=True
        ),
    ),
    primary_key=("product_id", "valid_from"),
    rebuild=Rebuild.full(),
    rules=(ENDS_LATER,),
)


def build(products_versions: Frame) -> Frame:
    """Every version, as it is kept."""
    return products_versions.select(column.lake_name for column in TABLE.columns)
