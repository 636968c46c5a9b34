"""Defects of orders: their keys, money, status and times."""

from __future__ import annotations

from typing import Final

from include.demo_shop.defects.defect import MISSING_KEY, NEVER_REFUNDED, Defect

_CANCELLED = "victim.status = 'cancelled'"
_QUIET_ORDER = f"victim.status = 'delivered' and victim.subtotal > 0 and {NEVER_REFUNDED}"
_NO_OFFER = """not exists (
    select from order_items as line where line.order_id = victim.order_id and line.discount is not null
)"""
# What the tax changes by when 10 % is of another net amount.
_TAX_CHANGE = "(round(({net}) / 10, 2) + shipping_tax - tax)"

_ORDER_KEYS = (
    Defect(
        name="duplicate",
        source="orders",
        description="a second row with the key of an order",
        rule="order_id is unique",
        extra={"payment_id": "'planted-duplicate'"},
        where=_QUIET_ORDER,
        drops=("orders_pkey",),
        keeps_key=True,
    ),
    Defect(
        name="unknown_customer",
        source="orders",
        description="an order of a customer who does not exist",
        rule="customer_id is a customer",
        change={"customer_id": MISSING_KEY},
        where=_QUIET_ORDER,
        drops=("orders_customer_id_fkey",),
    ),
    Defect(
        name="order_without_items",
        source="orders",
        description="an order that costs money and has no lines",
        rule="subtotal is the sum of the order's lines",
        extra={"payment_id": "'planted-empty'"},
        where=_QUIET_ORDER,
    ),
)
_ORDER_MONEY = (
    Defect(
        name="total_mismatch",
        source="orders",
        description="a total of 10.00 more than its parts",
        rule="total is the sum of its parts",
        change={"total": "total + 10"},
        where=_QUIET_ORDER,
    ),
    Defect(
        name="subtotal_mismatch",
        source="orders",
        description="a subtotal of 10.00 more than its lines; tax and total follow from it",
        rule="subtotal is the sum of the order's lines",
        change={
            "subtotal": "subtotal + 10",
            "tax": "round((subtotal + 10 - discount) / 10, 2) + shipping_tax",
            "total": f"total + 10 + {_TAX_CHANGE.format(net='subtotal + 10 - discount')}",
        },
        where=_QUIET_ORDER,
    ),
    Defect(
        name="tax_mismatch",
        source="orders",
        description="1.00 too much tax; the total follows from it",
        rule="tax = 10 % of (subtotal − discount) and of (shipping − shipping_discount), each half up",
        change={"tax": "tax + 1", "total": "total + 1"},
        where=_QUIET_ORDER,
    ),
    Defect(
        name="negative_discount",
        source="orders",
        description="a discount of −5.00; tax and total follow from it",
        rule="0 ≤ discount ≤ subtotal",
        change={
            "discount": "-5",
            "tax": "round((subtotal + 5) / 10, 2) + shipping_tax",
            "total": f"total + discount + 5 + {_TAX_CHANGE.format(net='subtotal + 5')}",
        },
        where=f"{_QUIET_ORDER} and {_NO_OFFER}",
        drops=("orders_discount_check",),
    ),
    Defect(
        name="discount_exceeds_subtotal",
        source="orders",
        description="a discount of 10.00 more than the subtotal; tax and total follow from it and are negative",
        rule="0 ≤ discount ≤ subtotal",
        change={
            "discount": "subtotal + 10",
            "tax": "shipping_tax - 1",
            "total": "total - tax - subtotal + discount + shipping_tax - 11",
        },
        where=_QUIET_ORDER,
        drops=("orders_discount_check",),
    ),
    Defect(
        name="missing_currency",
        source="orders",
        description="amounts of no currency",
        rule="currency is given",
        change={"currency": "null"},
        where=_QUIET_ORDER,
        nullable=("currency",),
    ),
    Defect(
        name="unknown_currency",
        source="orders",
        description="amounts in ZZZ",
        rule="currency is one the shop sells in",
        change={"currency": "'ZZZ'"},
        where=_QUIET_ORDER,
    ),
    Defect(
        name="yen_with_decimals",
        source="orders",
        description="12.34 of a currency that has no decimals",
        rule="amounts are whole smallest units of their currency",
        change={"currency": "'JPY'"},
        where=f"{_QUIET_ORDER} and victim.total <> round(victim.total)",
    ),
)
_SHIPPING = (
    Defect(
        name="negative_shipping",
        source="orders",
        description="delivery for −4.90; tax and total follow from it",
        rule="shipping ≥ 0",
        change={
            "shipping": "-4.90",
            "shipping_discount": "0",
            "shipping_tax": "-0.49",
            "tax": "tax - shipping_tax - 0.49",
            "total": "subtotal - discount - 4.90 + tax - shipping_tax - 0.49",
        },
        where=_QUIET_ORDER,
        drops=("orders_shipping_check", "orders_shipping_discount_check"),
    ),
    Defect(
        name="shipping_discount_exceeds_shipping",
        source="orders",
        description="1.00 more off delivery than it costs; tax and total follow from it",
        rule="0 ≤ shipping_discount ≤ shipping",
        change={
            "shipping_discount": "shipping + 1",
            "shipping_tax": "-0.10",
            "tax": "tax - shipping_tax - 0.10",
            "total": "subtotal - discount - 1 + tax - shipping_tax - 0.10",
        },
        where=_QUIET_ORDER,
        drops=("orders_shipping_discount_check",),
    ),
    Defect(
        name="shipping_tax_exceeds_tax",
        source="orders",
        description="more tax on delivery than on the whole order",
        rule="shipping_tax ≤ tax",
        change={"shipping_tax": "tax + 1"},
        where=_QUIET_ORDER,
    ),
)
_ORDER_STATUS = (
    Defect(
        name="unknown_status",
        source="orders",
        description="a delivered order that became 'teleported'",
        rule="status is one of the five",
        change={"status": "'teleported'"},
        where=_QUIET_ORDER,
        drops=("orders_status_check",),
    ),
    Defect(
        name="status_went_back",
        source="orders",
        description="a delivered order back in processing, its shipped_at and delivered_at kept",
        rule="status never moves backwards",
        change={"status": "'processing'"},
        where=_QUIET_ORDER,
    ),
    Defect(
        name="cancelled_without_reason",
        source="orders",
        description="a cancelled order that does not say why",
        rule="cancelled ⇔ cancelled_at, cancelled_by and cancellation_reason",
        change={"cancellation_reason": "null"},
        where=_CANCELLED,
        drops=("orders_cancelled_check",),
    ),
    Defect(
        name="cancelled_without_timestamp",
        source="orders",
        description="a cancelled order that does not say when",
        rule="cancelled ⇔ cancelled_at, cancelled_by and cancellation_reason",
        change={"cancelled_at": "null"},
        where=_CANCELLED,
        drops=("orders_cancelled_check",),
    ),
    Defect(
        name="reason_without_cancellation",
        source="orders",
        description="a delivered order with a reason for its cancellation",
        rule="cancelled ⇔ cancelled_at, cancelled_by and cancellation_reason",
        change={"cancellation_reason": "'changed_mind'"},
        where=_QUIET_ORDER,
        drops=("orders_cancelled_check",),
    ),
)
_ORDER_TIMES = (
    Defect(
        name="missing_ordered_at",
        source="orders",
        description="an order placed nobody knows when",
        rule="ordered_at is given",
        change={"ordered_at": "null"},
        where=_QUIET_ORDER,
        nullable=("ordered_at",),
    ),
    Defect(
        name="future_timestamp",
        source="orders",
        description="an order delivered 30 days from now",
        rule="no event lies in the future",
        change={"delivered_at": "now() + interval '30 days'"},
        where=_QUIET_ORDER,
    ),
    Defect(
        name="infinite_timestamp",
        source="orders",
        description="an order delivered at 'infinity', which most programs cannot read",
        rule="timestamps are finite",
        change={"delivered_at": "'infinity'"},
        where=_QUIET_ORDER,
    ),
    Defect(
        name="shipped_before_ordered",
        source="orders",
        description="an order shipped a day before it was placed",
        rule="ordered_at ≤ shipped_at ≤ delivered_at",
        change={"shipped_at": "ordered_at - interval '1 day'"},
        where=_QUIET_ORDER,
        drops=("orders_shipped_at_check",),
    ),
    Defect(
        name="delivered_before_shipped",
        source="orders",
        description="an order delivered half-way between its placing and its shipping",
        rule="ordered_at ≤ shipped_at ≤ delivered_at",
        change={"delivered_at": "shipped_at - (shipped_at - ordered_at) / 2"},
        where=f"{_QUIET_ORDER} and victim.shipped_at > victim.ordered_at",
        drops=("orders_delivered_at_check",),
    ),
)

ORDER_DEFECTS: Final = (*_ORDER_KEYS, *_ORDER_MONEY, *_SHIPPING, *_ORDER_STATUS, *_ORDER_TIMES)
ORDER_WARNINGS: Final = (
    Defect(
        name="unknown_channel",
        source="orders",
        description="an order that came by carrier pigeon",
        rule="channel is one the shop sells on",
        change={"channel": "'pigeon'"},
        where=_QUIET_ORDER,
        is_warning=True,
    ),
)
"""Planted after everything else: the victims of the other defects are who they were without it."""
