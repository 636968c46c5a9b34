"""The exchange desk: a line of a delivered order comes back, and another product goes out in its place.

Both are lines of the same order. It stays delivered, with the times of its own parcels; what goes out has a parcel of
its own. Each method is one command, as in the order service, and takes its locks in the same order.
"""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from include.demo_shop.commands import Exchanged, ExchangeLine, Key
from include.demo_shop.errors import (
    OutOfStock,
    ProductNotOffered,
    RefundTooLarge,
    UnknownOrderItem,
    UnknownProduct,
    UnknownStock,
    WrongStatus,
)
from include.demo_shop.models import OrderItem, Refund
from include.demo_shop.money import CURRENCIES, in_currency, on_price_tag, tax_on, with_tax
from include.demo_shop.pricing import paid_for
from include.demo_shop.repositories import Catalogue, Orders, Shelves, instant_of
from include.demo_shop.service import locked, parcel, part, payments


class ExchangeDesk:
    """Exchanges lines of orders that have arrived.

    Every method raises an error of ``include.demo_shop.errors`` that says what was wrong, and changes nothing then.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._transaction = async_sessionmaker(engine, expire_on_commit=False).begin

    async def exchange(self, command: ExchangeLine) -> Exchanged:
        """Take back what is left of a line, sell as many units of another product, and settle the difference.

        The units that come back go on their shelf, and the new ones are reserved, at today's price and without a
        discount. Who has not paid yet owes the order's new total.

        Raises:
            UnknownOrderItem, UnknownProduct, ProductNotOffered, UnknownStock, OutOfStock, WrongStatus,
            RefundTooLarge: nothing is left of the line.
        """
        async with self._transaction() as session:
            catalogue, orders, shelves = Catalogue(session), Orders(session), Shelves(session)
            item = await orders.item(command.order_item_id)
            if item is None:
                raise UnknownOrderItem(command.order_item_id)
            order = await locked(orders, item.order_id, "exchange a line of", ("delivered",))
            if await orders.waits(item):
                raise WrongStatus(order.order_id, "exchange a line of", "waiting for its parcel", ("delivered",))
            product = (await catalogue.products({command.product_id})).get(command.product_id)
            if product is None:
                raise UnknownProduct(command.product_id)
            if not product.is_active:
                raise ProductNotOffered(command.product_id)
            refunded_units, refunded = await orders.refunded(item.order_item_id)
            units = item.quantity - refunded_units
            if units < 1:
                raise RefundTooLarge(item.order_item_id, "quantity", 1, 0)
            amount = max(
                paid_for(order, await orders.items(order.order_id), item, item.quantity) - refunded, Decimal(0)
            )

            old, new = (item.product_id, item.warehouse_id), (command.product_id, command.warehouse_id)
            stock = await shelves.lock({old, new})
            if new not in stock:
                raise UnknownStock(*new)
            if old != new and stock[new].available < units:
                raise OutOfStock(*new, units, stock[new].available)
            instant = await instant_of(session)
            currency = order.currency
            price = in_currency(product.unit_price, currency)
            back = with_tax(amount, currency)
            added = OrderItem(
                order_id=order.order_id,
                product_id=command.product_id,
                warehouse_id=command.warehouse_id,
                quantity=units,
                unit_price=on_price_tag(price, currency),
                unit_cost=in_currency(product.unit_cost, currency),
                sku=product.sku,
                price_includes_tax=CURRENCIES[currency].includes_tax,
                sold_at=instant,
                updated_at=instant,
            )
            refund = Refund(
                order_item_id=item.order_item_id,
                quantity=units,
                amount=amount,
                restocked=True,
                refunded_at=instant,
                updated_at=instant,
                tax=back - amount,
                returned_at=instant,
            )
            await orders.add([added, refund])
            shelves.record(stock[old], "return", units, item.order_item_id, instant)
            shelves.record(stock[new], "reservation", units, added.order_item_id, instant)

            before = order.total
            order.subtotal += units * price
            order.tax = tax_on(order.subtotal - order.discount, currency) + order.shipping_tax
            order.total = order.subtotal - order.discount + order.shipping - order.shipping_discount + order.tax
            order.updated_at = instant
            more = order.total - before - back
            paid = await orders.paid(order.order_id)
            if any(paid.values()):
                kind, amounts = ("capture", {"card": more}) if more > 0 else ("refund", part(paid, -more))
                await orders.add(payments(order, kind, amounts, instant))
        return Exchanged(added.order_item_id, more)

    async def send(self, order_item_id: Key) -> None:
        """Send what goes out in place of another line: it leaves its shelf, in a parcel of its own.

        Raises:
            UnknownOrderItem: or it has left already.
        """
        async with self._transaction() as session:
            orders, shelves = Orders(session), Shelves(session)
            item = await orders.item(order_item_id)
            if item is None:
                raise UnknownOrderItem(order_item_id)
            order = await locked(orders, item.order_id, "send a line of", ("delivered",))
            if not await orders.waits(item):
                raise UnknownOrderItem(order_item_id)
            cell = (item.product_id, item.warehouse_id)
            stock = await shelves.lock([cell])
            order.updated_at = instant = await instant_of(session)
            shelves.record(stock[cell], "shipment", -item.quantity, item.order_item_id, instant)
            await orders.add([parcel(item, f"{item.order_id}-{item.order_item_id}-X", instant)])

    async def hand_over(self, order_item_id: Key) -> None:
        """Note that what went out in place of another line has arrived.

        Raises:
            UnknownOrderItem.
        """
        async with self._transaction() as session:
            orders = Orders(session)
            item = await orders.item(order_item_id)
            if item is None:
                raise UnknownOrderItem(order_item_id)
            order = await locked(orders, item.order_id, "hand over a line of", ("delivered",))
            order.updated_at = instant = await instant_of(session)
            for row in await orders.under_way(item.order_id):
                if row.order_item_id == order_item_id:
                    row.updated_at = row.delivered_at = instant
