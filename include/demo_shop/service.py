"""The order service: each method is one command, one transaction, all or nothing.

Locks are taken in one order everywhere (the order first, then stock by product and warehouse), so concurrent commands
wait but never deadlock. The instant of a command is the database's clock after the last lock was granted: a
later change of a row also has a later ``updated_at``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from include.demo_shop.commands import (
    AdjustStock,
    CancelOrder,
    Key,
    PlacedOrder,
    PlaceOrder,
    ReceiveStock,
    Refunded,
    RefundLine,
)
from include.demo_shop.errors import (
    InvalidCommand,
    OutOfStock,
    ProductNotOffered,
    RefundTooLarge,
    UnknownCustomer,
    UnknownOrder,
    UnknownOrderItem,
    UnknownProduct,
    UnknownStock,
    WrongStatus,
)
from include.demo_shop.history.names import CARRIERS
from include.demo_shop.models import Order, OrderItem, Payment, Refund, ShipmentItem
from include.demo_shop.money import CURRENCIES, in_currency, is_whole, on_price_tag, with_tax
from include.demo_shop.pricing import check_order, paid_for, priced
from include.demo_shop.repositories import Catalogue, Orders, Shelves, instant_of

CANCELLABLE: Final = ("pending", "processing")
REFUNDABLE: Final = ("shipped", "delivered")


def open_engine(url: str, connections: int = 20) -> AsyncEngine:
    """An engine for the service, from any Postgres URL, with at most so many connections."""
    return create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        pool_size=connections,
        max_overflow=0,
        use_insertmanyvalues=False,  # batches would cast keys to one type; rows here come a few at a time
    )


class OrderService:
    """Creates orders and carries them out.

    Every method raises an error of ``include.demo_shop.errors`` that says what was wrong, and changes nothing then.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._transaction = async_sessionmaker(engine, expire_on_commit=False).begin

    async def create(self, command: PlaceOrder) -> PlacedOrder:
        """Create a pending order at today's prices, reserve its stock, and take the money unless it is on account.

        Raises:
            InvalidCommand, UnknownCustomer, UnknownProduct, ProductNotOffered, UnknownStock, OutOfStock,
            DiscountTooLarge: and nothing was reserved.
        """
        check_order(command)
        async with self._transaction() as session:
            catalogue, orders, shelves = Catalogue(session), Orders(session), Shelves(session)
            if command.customer_id is not None and not await catalogue.knows_customer(command.customer_id):
                raise UnknownCustomer(command.customer_id)
            products = await catalogue.products({line.product_id for line in command.lines})
            for line in command.lines:
                if line.product_id not in products:
                    raise UnknownProduct(line.product_id)
                if not products[line.product_id].is_active:
                    raise ProductNotOffered(line.product_id)
            stock = await shelves.lock([(line.product_id, line.warehouse_id) for line in command.lines])
            for line in command.lines:
                cell = stock.get((line.product_id, line.warehouse_id))
                if cell is None:
                    raise UnknownStock(line.product_id, line.warehouse_id)
                if cell.available < line.quantity:
                    raise OutOfStock(line.product_id, line.warehouse_id, line.quantity, cell.available)

            instant = await instant_of(session)
            prices = {key: in_currency(product.unit_price, command.currency) for key, product in products.items()}
            costs = {key: in_currency(product.unit_cost, command.currency) for key, product in products.items()}
            order = priced(command, prices, instant)
            await orders.add([order])
            items = [
                OrderItem(
                    order_id=order.order_id,
                    product_id=line.product_id,
                    warehouse_id=line.warehouse_id,
                    quantity=line.quantity,
                    unit_price=on_price_tag(prices[line.product_id], command.currency),
                    unit_cost=costs[line.product_id],
                    discount=None if line.discount is None else on_price_tag(line.discount, command.currency),
                    discount_code=line.discount_code,
                    sku=products[line.product_id].sku,
                    price_includes_tax=CURRENCIES[command.currency].includes_tax,
                    updated_at=instant,
                )
                for line in command.lines
            ]
            await orders.add(items)
            for item in items:
                cell = stock[item.product_id, item.warehouse_id]
                shelves.record(cell, "reservation", item.quantity, item.order_item_id, instant)
            if command.paid_by != "on_account":
                await orders.add(payments(order, "capture", {command.paid_by: order.total}, instant))
        keys = tuple(item.order_item_id for item in items)
        shipping = order.shipping - order.shipping_discount
        amounts = (order.subtotal, order.discount, shipping, order.tax, order.total)
        return PlacedOrder(order.order_id, keys, order.currency, *amounts)

    async def start_processing(self, order_id: Key) -> None:
        """Take a pending order into work.

        Raises:
            UnknownOrder, WrongStatus.
        """
        async with self._transaction() as session:
            order = await locked(Orders(session), order_id, "start processing", ("pending",))
            order.status = "processing"
            order.updated_at = await instant_of(session)

    async def ship(self, order_id: Key) -> None:
        """Ship an order in processing: its units leave the shelves.

        Raises:
            UnknownOrder, WrongStatus.
        """
        async with self._transaction() as session:
            order = await locked(Orders(session), order_id, "ship", ("processing",))
            order.updated_at = order.shipped_at = await _move_items(session, order_id, "shipment")
            order.status = "shipped"
            orders = Orders(session)
            # One from every warehouse that its items lie in.
            await orders.add(
                parcel(item, f"{order_id}-{item.warehouse_id}", order.shipped_at)
                for item in await orders.items(order_id)
            )

    async def deliver(self, order_id: Key) -> None:
        """Note that a shipped order has arrived.

        Raises:
            UnknownOrder, WrongStatus.
        """
        async with self._transaction() as session:
            order = await locked(Orders(session), order_id, "deliver", ("shipped",))
            order.updated_at = order.delivered_at = await instant_of(session)
            order.status = "delivered"
            for row in await Orders(session).under_way(order_id):
                row.updated_at = row.delivered_at = order.delivered_at

    async def cancel(self, command: CancelOrder) -> None:
        """Cancel an order that has not shipped, release its stock, and pay back what was paid.

        Raises:
            InvalidCommand, UnknownOrder, WrongStatus.
        """
        if not command.by.strip() or not command.reason.strip():
            raise InvalidCommand("a cancellation says who cancelled and why")
        async with self._transaction() as session:
            orders = Orders(session)
            order = await locked(orders, command.order_id, "cancel", CANCELLABLE)
            order.updated_at = order.cancelled_at = await _move_items(session, command.order_id, "release")
            order.status = "cancelled"
            order.cancelled_by, order.cancellation_reason = command.by, command.reason
            await orders.add(payments(order, "refund", await orders.paid(order.order_id), order.updated_at))

    async def refund(self, command: RefundLine) -> Refunded:
        """Give money back for units of a line that shipped, and put them back on the shelf if wanted.

        Raises:
            InvalidCommand, UnknownOrderItem, WrongStatus, RefundTooLarge.
        """
        if command.quantity < 1:
            raise InvalidCommand(f"a refund is for 1 unit or more, not {command.quantity}")
        async with self._transaction() as session:
            orders, shelves = Orders(session), Shelves(session)
            item = await orders.item(command.order_item_id)
            if item is None:
                raise UnknownOrderItem(command.order_item_id)
            order = await locked(orders, item.order_id, "refund a line of", REFUNDABLE)
            currency = order.currency
            smallest = CURRENCIES[currency].smallest
            if command.amount is not None and (not is_whole(command.amount, smallest) or command.amount < 0):
                raise InvalidCommand(f"a refund is a whole multiple of {smallest} {currency}, not {command.amount}")
            refunded_quantity, refunded_amount = await orders.refunded(item.order_item_id)
            quantity = refunded_quantity + command.quantity
            if quantity > item.quantity:
                left = item.quantity - refunded_quantity
                raise RefundTooLarge(item.order_item_id, "quantity", command.quantity, left)

            items = await orders.items(item.order_id)
            most, usual = (paid_for(order, items, item, units) - refunded_amount for units in (item.quantity, quantity))
            amount = max(usual, Decimal(0)) if command.amount is None else command.amount
            if amount > most:
                raise RefundTooLarge(item.order_item_id, "amount", amount, most.quantize(smallest))

            cell = (item.product_id, item.warehouse_id)
            stock = await shelves.lock([cell]) if command.restock else {}
            instant = await instant_of(session)
            refund = Refund(
                order_item_id=item.order_item_id,
                quantity=command.quantity,
                amount=amount,
                restocked=command.restock,
                refunded_at=instant,
                updated_at=instant,
                tax=with_tax(amount, currency) - amount,
                returned_at=instant if command.restock else None,
            )
            await orders.add([refund])
            owed = part(await orders.paid(order.order_id), with_tax(amount, currency))
            await orders.add(payments(order, "refund", owed, instant))
            if command.restock:
                shelves.record(stock[cell], "return", command.quantity, item.order_item_id, instant)
        return Refunded(refund.refund_id, amount)

    async def receive(self, command: ReceiveStock) -> None:
        """Put units that arrived on the shelf.

        Raises:
            InvalidCommand, UnknownStock (no such product or warehouse).
        """
        if command.quantity < 1:
            raise InvalidCommand(f"a receipt is of 1 unit or more, not {command.quantity}")
        cell = (command.product_id, command.warehouse_id)
        try:
            async with self._transaction() as session:
                shelves = Shelves(session)
                await shelves.open_cell(cell)
                stock = await shelves.lock([cell])
                shelves.record(stock[cell], "receipt", command.quantity, None, await instant_of(session))
        except IntegrityError as error:
            raise UnknownStock(*cell) from error

    async def adjust(self, command: AdjustStock) -> None:
        """Correct the stock after counting; what is reserved stays.

        Raises:
            InvalidCommand, UnknownStock, OutOfStock (more lost than is available).
        """
        if command.quantity == 0:
            raise InvalidCommand("an adjustment of 0 units changes nothing")
        cell = (command.product_id, command.warehouse_id)
        async with self._transaction() as session:
            shelves = Shelves(session)
            stock = (await shelves.lock([cell])).get(cell)
            if stock is None:
                raise UnknownStock(*cell)
            if stock.available + command.quantity < 0:
                raise OutOfStock(*cell, -command.quantity, stock.available)
            shelves.record(stock, "adjustment", command.quantity, None, await instant_of(session))


async def locked(orders: Orders, order_id: Key, action: str, allowed: tuple[str, ...]) -> Order:
    """The order, held until the transaction ends.

    Raises:
        UnknownOrder, WrongStatus: its status is none of the allowed.
    """
    order = await orders.lock(order_id)
    if order is None:
        raise UnknownOrder(order_id)
    if order.status not in allowed:
        raise WrongStatus(order_id, action, order.status, allowed)
    return order


def part(paid: Mapping[str, Decimal], amount: Decimal) -> dict[str, Decimal]:
    """An amount to pay back, by the methods by which was paid; no more than that."""
    owed = {}
    for method, most in paid.items():
        owed[method] = min(most, amount)
        amount -= owed[method]
    return owed


def payments(order: Order, kind: str, amounts: Mapping[str, Decimal], instant: datetime) -> list[Payment]:
    """Movements of money for an order, by method; of nothing there is none."""
    return [
        Payment(
            order_id=order.order_id,
            kind=kind,
            method=method,
            currency=order.currency,
            amount=amount,
            paid_at=instant,
            updated_at=instant,
        )
        for method, amount in amounts.items()
        if amount > 0
    ]


def parcel(item: OrderItem, number: str, instant: datetime) -> ShipmentItem:
    """All units of an item in a parcel that leaves now."""
    return ShipmentItem(
        shipment_number=number,
        order_item_id=item.order_item_id,
        warehouse_id=item.warehouse_id,
        quantity=item.quantity,
        carrier=CARRIERS[0],
        shipped_at=instant,
        updated_at=instant,
    )


async def _move_items(session: AsyncSession, order_id: Key, kind: str) -> datetime:
    """Ship or release every item of an order, and say when."""
    shelves = Shelves(session)
    items = await Orders(session).items(order_id)
    stock = await shelves.lock([(item.product_id, item.warehouse_id) for item in items])
    instant = await instant_of(session)
    for item in items:
        cell = stock[item.product_id, item.warehouse_id]
        shelves.record(cell, kind, -item.quantity, item.order_item_id, instant)
    return instant
