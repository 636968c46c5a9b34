"""The errors of the shop, each with the values that were asked for and found."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from include.demo_shop.commands import Key


class ShopError(Exception):
    """The shop refused a command; nothing was changed."""


class InvalidCommand(ShopError):
    """The command is invalid in itself: no lines, a quantity of 0, an unknown currency, …"""


class UnknownCustomer(ShopError):
    """No such customer."""

    def __init__(self, customer_id: Key) -> None:
        super().__init__(f"there is no customer {customer_id}")
        self.customer_id = customer_id


class EmailTaken(ShopError):
    """Another customer has the e-mail address."""

    def __init__(self, email: str) -> None:
        super().__init__(f"there is a customer with the e-mail address {email} already")
        self.email = email


class DayClosed(ShopError):
    """The business day was closed before."""

    def __init__(self, day: date) -> None:
        super().__init__(f"{day} is closed already")
        self.day = day


class UnknownProduct(ShopError):
    """No such product."""

    def __init__(self, product_id: Key) -> None:
        super().__init__(f"there is no product {product_id}")
        self.product_id = product_id


class UnknownStock(ShopError):
    """The warehouse does not exist or does not keep the product."""

    def __init__(self, product_id: Key, warehouse_id: Key) -> None:
        super().__init__(f"warehouse {warehouse_id} does not keep product {product_id}")
        self.product_id = product_id
        self.warehouse_id = warehouse_id


class UnknownOrder(ShopError):
    """No such order."""

    def __init__(self, order_id: Key) -> None:
        super().__init__(f"there is no order {order_id}")
        self.order_id = order_id


class UnknownOrderItem(ShopError):
    """No such order item."""

    def __init__(self, order_item_id: Key) -> None:
        super().__init__(f"there is no order item {order_item_id}")
        self.order_item_id = order_item_id


class ProductNotOffered(ShopError):
    """The product exists but is no longer sold."""

    def __init__(self, product_id: Key) -> None:
        super().__init__(f"product {product_id} is no longer offered")
        self.product_id = product_id


class OutOfStock(ShopError):
    """A warehouse has fewer units available (on hand − reserved) than were wanted."""

    def __init__(self, product_id: Key, warehouse_id: Key, wanted: int, available: int) -> None:
        super().__init__(
            f"warehouse {warehouse_id} has {available} available of product {product_id}, {wanted} were wanted"
        )
        self.product_id = product_id
        self.warehouse_id = warehouse_id
        self.wanted = wanted
        self.available = available


class WrongStatus(ShopError):
    """The order is not in a status that allows the action."""

    def __init__(self, order_id: Key, action: str, status: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"cannot {action} order {order_id}: it is {status}, not {' or '.join(allowed)}")
        self.order_id = order_id
        self.action = action
        self.status = status
        self.allowed = allowed


class DiscountTooLarge(ShopError):
    """The discount is more than the order's subtotal."""

    def __init__(self, discount: Decimal, subtotal: Decimal) -> None:
        super().__init__(f"a discount of {discount} is more than the subtotal of {subtotal}")
        self.discount = discount
        self.subtotal = subtotal


class RefundTooLarge(ShopError):
    """More units or more money than is left to refund of the line."""

    def __init__(self, order_item_id: Key, what: str, wanted: Decimal | int, left: Decimal | int) -> None:
        super().__init__(f"cannot refund {what} {wanted} of order item {order_item_id}: {left} is left to refund")
        self.order_item_id = order_item_id
        self.what = what
        self.wanted = wanted
        self.left = left
