"""Defects of payments."""

from __future__ import annotations

from typing import Final

from include.demo_shop.defects.defect import MISSING_KEY, Defect

_DELIVERED = "victim.kind = 'capture' and parent.status = 'delivered'"

PAYMENT_DEFECTS: Final = (
    Defect(
        name="payment_of_unknown_order",
        source="payments",
        description="a payment for an order that does not exist",
        rule="order_id is an order",
        extra={"order_id": MISSING_KEY},
        where=_DELIVERED,
        drops=("payments_order_id_fkey",),
    ),
    Defect(
        name="payment_of_unknown_kind",
        source="payments",
        description="money that was conjured up",
        rule="kind is one of the three",
        change={"kind": "'conjuration'"},
        where=_DELIVERED,
        drops=("payments_kind_check",),
    ),
    Defect(
        name="negative_payment",
        source="payments",
        description="a payment of −1.00",
        rule="amount ≥ 0",
        change={"amount": "-1"},
        where=_DELIVERED,
        drops=("payments_amount_check",),
    ),
    Defect(
        name="payment_in_another_currency",
        source="payments",
        description="an order in euros or dollars that was paid in yen",
        rule="currency is that of the order",
        change={"currency": "'JPY'"},
        where=_DELIVERED,
    ),
    Defect(
        name="payment_in_the_future",
        source="payments",
        description="a payment captured 30 days from now",
        rule="no event lies in the future",
        change={"paid_at": "now() + interval '30 days'"},
        where=_DELIVERED,
    ),
)
PAYMENT_WARNINGS: Final = (
    Defect(
        name="unknown_method",
        source="payments",
        description="an order that was paid in seashells",
        rule="method is one the shop takes",
        change={"method": "'seashells'"},
        where=_DELIVERED,
        is_warning=True,
    ),
)
