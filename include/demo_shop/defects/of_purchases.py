"""Defects of purchase orders."""

from __future__ import annotations

from typing import Final

from include.demo_shop.defects.defect import MISSING_KEY, Defect

PURCHASE_DEFECTS: Final = (
    Defect(
        name="negative_purchase",
        source="purchase_order_lines",
        description="−6 units ordered",
        rule="quantity > 0",
        change={"quantity": "-6"},
        where="victim.received = 0",
        drops=("purchase_order_lines_quantity_check", "purchase_order_lines_received_check"),
    ),
    Defect(
        name="huge_purchase",
        source="purchase_order_lines",
        description="a billion units ordered, as a typing error makes them",
        rule="quantity is what a warehouse can hold",
        change={"quantity": "1000000000"},
    ),
    Defect(
        name="negative_receipt",
        source="purchase_order_lines",
        description="−6 units have come",
        rule="0 ≤ received ≤ quantity",
        change={"received": "-6"},
        where="victim.received > 0",
        drops=("purchase_order_lines_received_check", "purchase_order_lines_received_at_check"),
    ),
    Defect(
        name="receipt_without_time",
        source="purchase_order_lines",
        description="units that have come, at no time",
        rule="received > 0 exactly when received_at is given",
        change={"received_at": "null"},
        where="victim.received > 0",
        drops=("purchase_order_lines_received_at_check",),
    ),
    Defect(
        name="received_before_ordered",
        source="purchase_order_lines",
        description="units that came a day before they were ordered",
        rule="received_at ≥ ordered_at",
        change={"received_at": "ordered_at - interval '1 day'"},
        where="victim.received > 0",
        drops=("purchase_order_lines_received_at_check",),
    ),
    Defect(
        name="cancelled_before_bought",
        source="purchase_order_lines",
        description="a line that was cancelled a day before it was ordered",
        rule="cancelled_at ≥ ordered_at",
        change={"cancelled_at": "ordered_at - interval '1 day'"},
        drops=("purchase_order_lines_cancelled_at_check",),
    ),
    Defect(
        name="purchase_in_unknown_currency",
        source="purchase_order_lines",
        description="a cost in a currency that does not exist",
        rule="currency is an ISO 4217 code",
        change={"currency": "'XYZ'"},
    ),
    Defect(
        name="purchase_of_unknown_product",
        source="purchase_order_lines",
        description="a line of a product that does not exist",
        rule="product_id is a product",
        change={"product_id": MISSING_KEY},
        drops=("purchase_order_lines_product_id_fkey",),
    ),
)
PURCHASE_WARNINGS: Final = (
    Defect(
        name="received_more_than_ordered",
        source="purchase_order_lines",
        description="six units more came than were ordered",
        rule="received ≤ quantity",
        change={"received": "quantity + 6"},
        where="victim.received > 0",
        drops=("purchase_order_lines_received_check",),
        is_warning=True,
    ),
    Defect(
        name="expected_before_ordered",
        source="purchase_order_lines",
        description="a line that is expected a week before it was ordered",
        rule="expected_at ≥ ordered_at",
        change={"expected_at": "ordered_at - interval '7 days'"},
        is_warning=True,
    ),
)
