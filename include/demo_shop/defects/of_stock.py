"""Defects of stock, products and customers."""

from __future__ import annotations

from typing import Final

from include.demo_shop.defects.defect import MISSING_KEY, Defect

_STOCK = (
    Defect(
        name="negative_stock",
        source="inventory",
        description="−5 units on a shelf (fewer than are reserved, and not what the movements say)",
        rule="on_hand ≥ 0",
        change={"on_hand": "-5"},
        drops=("inventory_on_hand_check", "inventory_reserved_check"),
    ),
    Defect(
        name="reserved_exceeds_on_hand",
        source="inventory",
        description="5 more units reserved than there are",
        rule="0 ≤ reserved ≤ on_hand",
        change={"reserved": "on_hand + 5"},
        drops=("inventory_reserved_check",),
    ),
    Defect(
        name="negative_reserved",
        source="inventory",
        description="−3 units reserved",
        rule="0 ≤ reserved ≤ on_hand",
        change={"reserved": "-3"},
        drops=("inventory_reserved_check",),
    ),
    Defect(
        name="stock_not_explained",
        source="inventory",
        description="7 units on a shelf that no movement brought there",
        rule="on_hand is the sum of its movements",
        change={"on_hand": "on_hand + 7"},
        is_warning=True,
    ),
    Defect(
        name="movement_of_unknown_kind",
        source="inventory_movements",
        description="a unit that was teleported",
        rule="kind is one of the six",
        extra={"kind": "'teleportation'", "quantity": "1", "order_item_id": "null"},
        drops=("inventory_movements_kind_check",),
    ),
    Defect(
        name="movement_of_unknown_product",
        source="inventory_movements",
        description="a receipt of a product that does not exist",
        rule="product_id is a product",
        extra={
            "product_id": MISSING_KEY,
            "kind": "'receipt'",
            "quantity": "1",
            "order_item_id": "null",
        },
        drops=("inventory_movements_product_id_fkey",),
    ),
)
_CATALOGUE = (
    Defect(
        name="negative_price",
        source="products",
        description="a product offered for less than nothing",
        rule="unit_price is a number ≥ 0",
        change={"unit_price": "-unit_price"},
        where="victim.unit_price > 0",
        drops=("products_unit_price_check",),
    ),
    Defect(
        name="shared_article_number",
        source="products",
        description="a product with the article number of another one that is sold",
        rule="sku is of one active product",
        change={
            "sku": "(select min(other.sku) from products as other where other.is_active and other.sku <> products.sku)",
        },
        where="victim.is_active",
        drops=("products_sku_key",),
        is_warning=True,
    ),
    Defect(
        name="missing_email",
        source="customers",
        description="a customer without an e-mail address",
        rule="email is given",
        change={"email": "null"},
        nullable=("email",),
        is_warning=True,
    ),
    Defect(
        name="malformed_email",
        source="customers",
        description="a customer with something else in place of an e-mail address",
        rule="email looks like one",
        change={"email": "'nobody at example'"},
    ),
)

STOCK_DEFECTS: Final = (*_STOCK, *_CATALOGUE)
