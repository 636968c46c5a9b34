"""What an order costs: lines at their prices, less discounts, plus shipping and tax."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from include.demo_shop.commands import Key, OrderLine, PlaceOrder
from include.demo_shop.errors import DiscountTooLarge, InvalidCommand
from include.demo_shop.models import Order, OrderItem
from include.demo_shop.money import CURRENCIES, is_whole, refundable, shipping_of, tax_on, without_tax


def check_order(command: PlaceOrder) -> None:
    """Refuse an order that is invalid in itself.

    Raises:
        InvalidCommand: saying what is wrong with it.
    """
    if not command.lines:
        raise InvalidCommand("an order has at least one line")
    if any(line.quantity < 1 for line in command.lines):
        raise InvalidCommand("a line is of 1 unit or more")
    if len({(line.product_id, line.warehouse_id) for line in command.lines}) < len(command.lines):
        raise InvalidCommand("a product appears at most once per warehouse in an order")
    if command.currency not in CURRENCIES:
        raise InvalidCommand(f"the shop sells in {', '.join(CURRENCIES)}, not {command.currency}")
    for discount in (command.discount, *(line.discount for line in command.lines if line.discount is not None)):
        step = CURRENCIES[command.currency].step
        if not is_whole(discount, step) or discount < 0:
            raise InvalidCommand(f"a discount is a whole multiple of {step} {command.currency}, not {discount}")


def priced(command: PlaceOrder, prices: dict[Key, Decimal], instant: datetime) -> Order:
    """The pending order that a command makes.

    Args:
        command: a checked command.
        prices: of one unit of each of its products, in the order's currency, without tax.
        instant: when it is created.

    Raises:
        DiscountTooLarge: when the discounts exceed the subtotal, or that of a line the line.
    """
    for line in command.lines:
        if line.discount is not None and line.discount > line.quantity * prices[line.product_id]:
            raise DiscountTooLarge(line.discount, line.quantity * prices[line.product_id])
    subtotal = _sum_of_lines(command.lines, prices)
    discount = command.discount + sum(line.discount or 0 for line in command.lines)
    if discount > subtotal:
        raise DiscountTooLarge(discount, subtotal)
    net = subtotal - discount
    shipping = shipping_of(net, command.currency)
    shipping_discount = shipping if command.free_shipping else Decimal(0)
    shipping_tax = tax_on(shipping - shipping_discount, command.currency)
    tax = tax_on(net, command.currency) + shipping_tax
    return Order(
        customer_id=command.customer_id,
        status="pending",
        currency=command.currency,
        subtotal=subtotal,
        discount=discount,
        shipping=shipping,
        shipping_discount=shipping_discount,
        shipping_tax=shipping_tax,
        tax=tax,
        total=net + shipping - shipping_discount + tax,
        shipping_address=command.shipping_address,
        payment_id=command.payment_id,
        channel=command.channel,
        discount_code=command.discount_code,
        ordered_at=instant,
        updated_at=instant,
    )


def paid_for(order: Order, items: Sequence[OrderItem], item: OrderItem, units: int) -> Decimal:
    """What so many units of an item cost after all discounts, before tax; rounded down.

    Args:
        order: the order as it is now.
        items: what is in it.
        item: one of them.
        units: from 0 to all of it.
    """
    currency = order.currency
    own = without_tax(sum((line.discount or Decimal(0) for line in items), Decimal(0)), currency)
    gross = without_tax(item.quantity * item.unit_price - (item.discount or 0), currency)
    return refundable(gross, order.subtotal - own, order.discount - own, units, item.quantity, currency)


def _sum_of_lines(lines: Sequence[OrderLine], prices: dict[Key, Decimal]) -> Decimal:
    return sum((line.quantity * prices[line.product_id] for line in lines), Decimal("0.00"))
