"""Defects of order items."""

from __future__ import annotations

from typing import Final

from include.demo_shop.defects.defect import MISSING_KEY, NEVER_REFUNDED, Defect

_QUIET_LINE = f"parent.status = 'delivered' and {NEVER_REFUNDED}"
_LINES = (
    Defect(
        name="orphan_item",
        source="order_items",
        description="an item of an order that does not exist",
        rule="order_id is an order",
        extra={"order_id": MISSING_KEY},
        where=_QUIET_LINE,
        drops=("order_items_order_id_fkey",),
    ),
    Defect(
        name="unknown_product",
        source="order_items",
        description="an item of a product that does not exist",
        rule="product_id is a product",
        change={"product_id": MISSING_KEY},
        where=_QUIET_LINE,
        drops=("order_items_product_id_fkey",),
    ),
    Defect(
        name="unknown_warehouse",
        source="order_items",
        description="an item from a warehouse that does not exist",
        rule="warehouse_id is a warehouse",
        change={"warehouse_id": MISSING_KEY},
        where=_QUIET_LINE,
        drops=("order_items_warehouse_id_fkey",),
    ),
    Defect(
        name="negative_quantity",
        source="order_items",
        description="an item of minus so many units (so its order's subtotal does not fit either)",
        rule="quantity is 1 or more",
        change={"quantity": "-quantity"},
        where=_QUIET_LINE,
        drops=("order_items_quantity_check",),
    ),
    Defect(
        name="huge_quantity",
        source="order_items",
        description="as many units as an integer holds, at a price whose product no 64 bits hold",
        rule="quantity is credible, and so is the price",
        change={"quantity": "2147483647", "unit_price": "9999999999.99"},
        where=_QUIET_LINE,
    ),
    Defect(
        name="zero_quantity",
        source="order_items",
        description="an item of 0 units (so its order's subtotal does not fit either)",
        rule="quantity is 1 or more",
        change={"quantity": "0"},
        where=_QUIET_LINE,
        drops=("order_items_quantity_check",),
    ),
    Defect(
        name="nan_price",
        source="order_items",
        description="an item whose price is not a number (so its order's subtotal does not fit either)",
        rule="unit_price is a number ≥ 0",
        change={"unit_price": "'NaN'"},
        where=_QUIET_LINE,
    ),
    Defect(
        name="negative_item_price",
        source="order_items",
        description="an item sold for less than nothing (so its order's subtotal does not fit either)",
        rule="unit_price is a number ≥ 0",
        change={"unit_price": "-unit_price"},
        where=f"{_QUIET_LINE} and victim.unit_price > 0",
        drops=("order_items_unit_price_check",),
    ),
    Defect(
        name="line_discount_exceeds_line",
        source="order_items",
        description="an item with 1.00 more off than it costs (so its order's discount does not cover it either)",
        rule="0 ≤ discount ≤ quantity × unit_price",
        change={"discount": "quantity * unit_price + 1"},
        where=f"{_QUIET_LINE} and parent.discount < victim.quantity * victim.unit_price",
        drops=("order_items_discount_check",),
    ),
    Defect(
        name="line_discount_exceeds_order",
        source="order_items",
        description="an item with all of its price off, more than its whole order's discount",
        rule="the discounts of an order's lines ≤ its discount",
        change={"discount": "quantity * unit_price"},
        where=f"{_QUIET_LINE} and parent.discount < victim.quantity * victim.unit_price",
    ),
)

LINE_DEFECTS: Final = _LINES
