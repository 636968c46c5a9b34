"""What can be asked of the shop, and what it answers: small frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, tzinfo
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

Key: TypeAlias = int | str | UUID


@dataclass(frozen=True)
class OrderLine:
    """One line of an order: units of a product, from a warehouse, and what is taken off this line alone."""

    product_id: Key
    warehouse_id: Key
    quantity: int
    discount: Decimal | None = None
    discount_code: str | None = None


@dataclass(frozen=True)
class PlaceOrder:
    """Create an order, and pay for it; a guest's has no customer.

    A product appears at most once per warehouse; discounts are in the order's currency. `discount` is taken off the
    whole order, beside what its lines have of their own. What is ordered on account is paid later.
    """

    customer_id: Key | None
    lines: tuple[OrderLine, ...]
    discount: Decimal = Decimal("0.00")
    currency: str = "EUR"
    shipping_address: dict[str, str] | None = None
    payment_id: str | None = None
    channel: str | None = None
    free_shipping: bool = False
    discount_code: str | None = None
    paid_by: str = "card"


@dataclass(frozen=True)
class CancelOrder:
    """Cancel an order that has not shipped."""

    order_id: Key
    by: str
    reason: str


@dataclass(frozen=True)
class RefundLine:
    """Give money back for units of a line; `amount` (before tax) defaults to what the units cost after discount."""

    order_item_id: Key
    quantity: int
    restock: bool
    amount: Decimal | None = None


@dataclass(frozen=True)
class ExchangeLine:
    """Take back what is left of a line, and send as many units of another product, from a warehouse."""

    order_item_id: Key
    product_id: Key
    warehouse_id: Key


@dataclass(frozen=True)
class ReceiveStock:
    """Units that arrived at a warehouse. The first receipt makes the warehouse keep the product."""

    product_id: Key
    warehouse_id: Key
    quantity: int


@dataclass(frozen=True)
class AdjustStock:
    """A correction after counting: units found (positive) or lost (negative)."""

    product_id: Key
    warehouse_id: Key
    quantity: int


@dataclass(frozen=True)
class RegisterCustomer:
    """Enter a new customer; nobody else has the e-mail address."""

    email: str
    name: str
    country: str


@dataclass(frozen=True)
class ChangePrice:
    """Sell a product for `unit_price` EUR from now on."""

    product_id: Key
    unit_price: Decimal


@dataclass(frozen=True)
class CloseDay:
    """Close a business day that is over in the shop's time zone."""

    day: date
    timezone: tzinfo


@dataclass(frozen=True)
class PlacedOrder:
    """The confirmation of an order: its key, its items' keys in the lines' order, and its amounts.

    `discount` is all that was taken off the subtotal, `shipping` what delivery costs after its discount.
    """

    order_id: Key
    order_item_ids: tuple[Key, ...]
    currency: str
    subtotal: Decimal
    discount: Decimal
    shipping: Decimal
    tax: Decimal
    total: Decimal


@dataclass(frozen=True)
class Refunded:
    """A refund that was given."""

    refund_id: Key
    amount: Decimal


@dataclass(frozen=True)
class Exchanged:
    """An exchange: the new line, and what the order comes to more, with tax; below 0, less."""

    order_item_id: Key
    difference: Decimal
