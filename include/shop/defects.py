"""Every kind of defect that can be planted into the shop, as data.

A defect changes one healthy row (``change``) or adds one row copied from it (``extra``), after the constraints in its
way were dropped. ``planting`` does it, and heals it again. Victims are the most recent rows that fit; a defect never
touches an order that another one has touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

MISSING_KEY: Final = "{missing}"
"""In a change: a key, of the shop's type, that no row has."""

Source = Literal["customers", "products", "orders", "order_items", "refunds", "inventory", "inventory_movements"]


@dataclass(frozen=True)
class Defect:
    """One kind of defect.

    Attributes:
        name: what it is called.
        source: the table whose row is wrong.
        description: what is wrong, for a person.
        rule: what is true of a healthy row and not of this one.
        change: SQL expressions over the row, by column: what it is set to.
        extra: the same, of a row that is added; empty if the row itself is changed.
        where: SQL condition that the victim (alias ``victim``; its order, if any: ``parent``) fulfils before.
        drops: constraints of the table that are in the way.
        nullable: columns of the table that must be able to be null.
        keeps_key: an extra row has its victim's key instead of a new one.
        is_warning: suspicious rather than wrong: nothing is to be held back for it.
    """

    name: str
    source: Source
    description: str
    rule: str
    change: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)
    where: str = "true"
    drops: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    keeps_key: bool = False
    is_warning: bool = False

    def __post_init__(self) -> None:
        if bool(self.change) == bool(self.extra):
            raise ValueError(f"{self.name} either changes a row or adds one")


_DELIVERED = "victim.status = 'delivered'"
_CANCELLED = "victim.status = 'cancelled'"
_NEVER_REFUNDED = """not exists (
    select from refunds join order_items using (order_item_id) where order_items.order_id = victim.order_id
)"""
_QUIET_ORDER = f"{_DELIVERED} and victim.subtotal > 0 and {_NEVER_REFUNDED}"
_QUIET_LINE = f"parent.status = 'delivered' and {_NEVER_REFUNDED}"
_ONLY_REFUND = """not exists (
    select from refunds as other
    where other.order_item_id = victim.order_item_id and other.refund_id <> victim.refund_id
)"""

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
        rule="total = subtotal − discount + tax",
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
            "tax": "round((subtotal + 10 - discount) / 10, 2)",
            "total": "subtotal + 10 - discount + round((subtotal + 10 - discount) / 10, 2)",
        },
        where=_QUIET_ORDER,
    ),
    Defect(
        name="tax_mismatch",
        source="orders",
        description="1.00 too much tax; the total follows from it",
        rule="tax = 10 % of (subtotal − discount), half up",
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
            "tax": "round((subtotal + 5) / 10, 2)",
            "total": "subtotal + 5 + round((subtotal + 5) / 10, 2)",
        },
        where=_QUIET_ORDER,
        drops=("orders_discount_check",),
    ),
    Defect(
        name="discount_exceeds_subtotal",
        source="orders",
        description="a discount of 10.00 more than the subtotal; tax and total follow from it and are negative",
        rule="0 ≤ discount ≤ subtotal",
        change={"discount": "subtotal + 10", "tax": "-1", "total": "-11"},
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
)
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
)
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
        name="missing_email",
        source="customers",
        description="a customer without an e-mail address",
        rule="email is given",
        change={"email": "null"},
        nullable=("email",),
    ),
    Defect(
        name="malformed_email",
        source="customers",
        description="a customer with something else in place of an e-mail address",
        rule="email looks like one",
        change={"email": "'nobody at example'"},
    ),
)

DEFECTS: Final = {
    defect.name: defect
    for group in (_ORDER_KEYS, _ORDER_MONEY, _ORDER_STATUS, _ORDER_TIMES, _LINES, _REFUNDS, _STOCK, _CATALOGUE)
    for defect in group
}
"""Every defect by name."""
