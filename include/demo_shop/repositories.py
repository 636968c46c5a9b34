"""How the order service finds, locks and adds rows. Knows SQL, no business rule."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from decimal import Decimal

from sqlalchemy import case, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from include.demo_shop.commands import Key
from include.demo_shop.models import (
    Customer,
    Movement,
    Order,
    OrderItem,
    Payment,
    Product,
    Refund,
    Row,
    ShipmentItem,
    Stock,
)

Cell = tuple[Key, Key]
"""A product in a warehouse: (product_id, warehouse_id)."""


class Catalogue:
    """Customers and products."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def knows_customer(self, customer_id: Key) -> bool:
        """Whether there is such a customer."""
        return await self._session.get(Customer, customer_id) is not None

    async def products(self, product_ids: Collection[Key]) -> dict[Key, Product]:
        """The products that exist, by key, at the price of this moment."""
        found = await self._session.scalars(select(Product).where(Product.product_id.in_(product_ids)))
        return {product.product_id: product for product in found}


class Orders:
    """Orders, their items, refunds, payments and parcels."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, order_id: Key) -> Order | None:
        """The order, held until the transaction ends, or None."""
        return await self._session.scalar(select(Order).where(Order.order_id == order_id).with_for_update())

    async def items(self, order_id: Key) -> list[OrderItem]:
        """The order's items, without those that were taken out of it."""
        items = select(OrderItem).where(OrderItem.order_id == order_id, OrderItem.removed_at.is_(None))
        return list(await self._session.scalars(items))

    async def item(self, order_item_id: Key) -> OrderItem | None:
        """One item, or None where there is none or it was taken out of its order."""
        item = await self._session.get(OrderItem, order_item_id)
        return None if item is None or item.removed_at else item

    async def refunded(self, order_item_id: Key) -> tuple[int, Decimal]:
        """Units and money that were already refunded of an item; stable while its order is locked."""
        totals = select(func.coalesce(func.sum(Refund.quantity), 0), func.coalesce(func.sum(Refund.amount), 0)).where(
            Refund.order_item_id == order_item_id
        )
        quantity, amount = (await self._session.execute(totals)).one()
        return int(quantity), Decimal(amount)

    async def paid(self, order_id: Key) -> dict[str, Decimal]:
        """What was captured for an order and not paid back, by method; stable while the order is locked."""
        signed = case((Payment.kind == "capture", Payment.amount), else_=-Payment.amount)
        sums = select(Payment.method, func.sum(signed)).where(Payment.order_id == order_id).group_by(Payment.method)
        return {
            method: Decimal(amount) for method, amount in await self._session.execute(sums.order_by(Payment.method))
        }

    async def waits(self, item: OrderItem) -> bool:
        """Whether nothing of an item has left; stable while its order is locked."""
        left = select(ShipmentItem).where(
            ShipmentItem.order_item_id == item.order_item_id, ShipmentItem.cancelled_at.is_(None)
        )
        return (await self._session.scalars(left)).first() is None

    async def under_way(self, order_id: Key) -> list[ShipmentItem]:
        """What left of the order, and has not arrived."""
        lines = select(OrderItem.order_item_id).where(OrderItem.order_id == order_id)
        left = select(ShipmentItem).where(ShipmentItem.order_item_id.in_(lines))
        return list(
            await self._session.scalars(
                left.where(ShipmentItem.delivered_at.is_(None), ShipmentItem.cancelled_at.is_(None))
            )
        )

    async def add(self, rows: Iterable[Row]) -> None:
        """Insert rows; their keys are known afterwards."""
        self._session.add_all(rows)
        await self._session.flush()


class Shelves:
    """Stock and its movements."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, cells: Collection[Cell]) -> dict[Cell, Stock]:
        """The stock of these cells that exists, held until the transaction ends.

        Every command takes its locks through here, in one order (product, warehouse), so two commands never wait for
        each other. Postgres locks in the order of ``order by``, and reads a row anew after having waited for it.
        """
        rows = (
            select(Stock)
            .where(tuple_(Stock.product_id, Stock.warehouse_id).in_(cells))
            .order_by(Stock.product_id, Stock.warehouse_id)
            .with_for_update()
        )
        return {(stock.product_id, stock.warehouse_id): stock for stock in await self._session.scalars(rows)}

    async def open_cell(self, cell: Cell) -> None:
        """Make the warehouse keep the product, if it does not yet."""
        empty = {"product_id": cell[0], "warehouse_id": cell[1], "on_hand": 0, "reserved": 0, "reorder_point": 0}
        await self._session.execute(insert(Stock).values(empty).on_conflict_do_nothing())

    def record(self, stock: Stock, kind: str, quantity: int, order_item_id: Key | None, moved_at: datetime) -> None:
        """Add one movement and change the stock by it, as schema.sql says the kind does."""
        if kind in ("receipt", "shipment", "return", "adjustment"):
            stock.on_hand += quantity
        if kind in ("reservation", "release", "shipment"):
            stock.reserved += quantity
        stock.updated_at = moved_at
        self._session.add(
            Movement(
                product_id=stock.product_id,
                warehouse_id=stock.warehouse_id,
                kind=kind,
                quantity=quantity,
                order_item_id=order_item_id,
                moved_at=moved_at,
                updated_at=moved_at,
            )
        )


async def instant_of(session: AsyncSession) -> datetime:
    """The database's clock, to be asked after the last lock was granted."""
    instant: datetime | None = await session.scalar(select(func.clock_timestamp()))
    if instant is None:
        raise RuntimeError("the database told no time")
    return instant
