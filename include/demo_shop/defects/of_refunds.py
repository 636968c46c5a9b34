"""Defects of refunds, of lines and of no line."""

from __future__ import annotations

from typing import Final

from include.demo_shop.defects.defect import MISSING_KEY, Defect

_ONLY_REFUND = """not exists (
    select from refunds as other
    where other.order_item_id = victim.order_item_id and other.refund_id <> victim.refund_id
)"""

_REFUNDS = (
    Defect(
        name="refund_of_unknown_item",
        source="refunds",
        description="a refund of an item that does not exist",
        rule="order_item_id is an order item",
        extra={"order_item_id": MISSING_KEY},
        drops=("refunds_order_item_id_fkey",),
    ),
    Defect(
        name="refund_exceeds_line",
        source="refunds",
        description="a refund of one unit more than were ordered",
        rule="refunded units of a line ≤ its quantity",
        change={
            "quantity": "(select line.quantity + 1 "
            "from order_items as line where line.order_item_id = refunds.order_item_id)"
        },
        where=_ONLY_REFUND,
    ),
    Defect(
        name="refund_amount_exceeds_line",
        source="refunds",
        description="a refund of 10.00 more than the line cost before its discount",
        rule="refunded money of a line ≤ its price after discount",
        change={
            "amount": "(select line.quantity * line.unit_price + 10 "
            "from order_items as line where line.order_item_id = refunds.order_item_id)"
        },
        where=_ONLY_REFUND,
    ),
    Defect(
        name="negative_refund",
        source="refunds",
        description="a refund that takes 1.00 from the customer",
        rule="amount ≥ 0",
        change={"amount": "-1"},
        where=_ONLY_REFUND,
        drops=("refunds_amount_check",),
    ),
    Defect(
        name="refund_before_order",
        source="refunds",
        description="a refund given a day before the order was placed",
        rule="refunded_at ≥ ordered_at",
        change={
            "refunded_at": "(select parent.ordered_at - interval '1 day' from order_items as line "
            "join orders as parent using (order_id) where line.order_item_id = refunds.order_item_id)"
        },
    ),
    Defect(
        name="negative_refunded_tax",
        source="refunds",
        description="a refund that takes 1.00 of tax from the customer",
        rule="tax ≥ 0",
        change={"tax": "-1"},
        drops=("refunds_tax_check",),
    ),
    Defect(
        name="returned_before_ordered",
        source="refunds",
        description="units that came back a day before their order was placed",
        rule="returned_at ≥ ordered_at",
        change={
            "returned_at": "(select parent.ordered_at - interval '1 day' from order_items as line "
            "join orders as parent using (order_id) where line.order_item_id = refunds.order_item_id)"
        },
    ),
)
_ORDER_REFUNDS = (
    Defect(
        name="order_refund_of_unknown_order",
        source="order_refunds",
        description="money given back for an order that does not exist",
        rule="order_id is an order, or null",
        extra={"order_id": MISSING_KEY},
        where="victim.order_id is not null",
        drops=("order_refunds_order_id_fkey",),
    ),
    Defect(
        name="order_refund_in_other_currency",
        source="order_refunds",
        description="money given back in another currency than its order's",
        rule="currency is the order's",
        change={"currency": "case currency when 'EUR' then 'USD' else 'EUR' end"},
        where="victim.order_id is not null",
    ),
    Defect(
        name="order_refund_of_unknown_currency",
        source="order_refunds",
        description="money given back for no order, in a currency that there is not",
        rule="currency is an ISO 4217 code",
        change={"currency": "'XXX'"},
        where="victim.order_id is null",
    ),
    Defect(
        name="negative_order_refund",
        source="order_refunds",
        description="goodwill that takes 1.00 from the customer",
        rule="amount ≥ 0",
        change={"amount": "-1"},
        where="victim.order_id is not null",
        drops=("order_refunds_amount_check",),
    ),
    Defect(
        name="order_refund_before_order",
        source="order_refunds",
        description="money given back a day before its order was placed",
        rule="refunded_at ≥ ordered_at",
        change={
            "refunded_at": "(select parent.ordered_at - interval '1 day' from orders as parent "
            "where parent.order_id = order_refunds.order_id)"
        },
        where="victim.order_id is not null",
    ),
)

REFUND_DEFECTS: Final = (*_REFUNDS, *_ORDER_REFUNDS)
