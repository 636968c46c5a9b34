"""Shops to test in: an empty stall with a few goods, and one with a past."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from psycopg import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from include.demo_shop.commands import Key, PlacedOrder, PlaceOrder, ReceiveStock
from include.demo_shop.commands import OrderLine as Line
from include.demo_shop.schema import KeyType, create_schema
from include.demo_shop.service import OrderService, open_engine
from tests.conftest import Database


def shopkeeper(database: Database) -> Connection[Any]:
    """A connection as the shop's owner, in autocommit mode."""
    return psycopg.connect(database.url("shopkeeper"), autocommit=True)


@dataclass(frozen=True)
class Stall:
    """A shop with one customer, two warehouses, and three products at 10.00, 3.33 and 19.99 (cost 4.00 each)."""

    database: Database
    shop: Connection[Any]
    service: OrderService
    customer: Key
    products: tuple[Key, Key, Key]
    warehouses: tuple[Key, Key]

    def line(self, product: int, quantity: int, warehouse: int = 0) -> Line:
        """A line of one of the products."""
        return Line(self.products[product], self.warehouses[warehouse], quantity)

    def order(self, *lines: Line, **details: Any) -> PlaceOrder:
        """An order of the one customer."""
        return PlaceOrder(self.customer, lines, **details)

    async def stock(self, quantity: int, product: int = 0, warehouse: int = 0) -> None:
        """Receive units."""
        await self.service.receive(ReceiveStock(self.products[product], self.warehouses[warehouse], quantity))

    async def delivered(self, *lines: Line, **details: Any) -> PlacedOrder:
        """An order that has arrived."""
        placed = await self.service.create(self.order(*lines, **details))
        await self.service.start_processing(placed.order_id)
        await self.service.ship(placed.order_id)
        await self.service.deliver(placed.order_id)
        return placed

    def shelf(self, product: int = 0, warehouse: int = 0) -> tuple[int, int]:
        """On hand and reserved."""
        row = self.shop.execute(
            "select on_hand, reserved from inventory where product_id = %s and warehouse_id = %s",
            [self.products[product], self.warehouses[warehouse]],
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    def row(self, order_id: Key) -> dict[str, Any]:
        """The order as it stands."""
        cursor = self.shop.execute("select * from orders where order_id = %s", [order_id])
        columns = [column.name for column in cursor.description or []]
        return dict(zip(columns, cursor.fetchone() or [], strict=True))


def _keys(shop: Connection[Any], statement: str) -> tuple[Any, ...]:
    return tuple(key for (key,) in shop.execute(statement.encode()).fetchall())


@pytest.fixture
def keys() -> KeyType:
    """The type of the stall's keys; tests that try all three override it."""
    return "integer"


@pytest_asyncio.fixture
async def stall(shop_database: Database, keys: KeyType) -> AsyncIterator[Stall]:
    """An empty stall."""
    shop = shopkeeper(shop_database)
    create_schema(shop, keys)
    engine: AsyncEngine = open_engine(shop_database.url("shopkeeper"))
    yield Stall(
        shop_database,
        shop,
        OrderService(engine),
        _keys(
            shop, "insert into customers (email, name, country) values ('a@b.example', 'A', 'DE') returning customer_id"
        )[0],
        _keys(
            shop,
            "insert into products (sku, name, category, unit_cost, unit_price) values"
            " ('A', 'A', 'x', 4, 10), ('B', 'B', 'x', 4, 3.33), ('C', 'C', 'x', 4, 19.99) returning product_id",
        ),
        _keys(
            shop,
            "insert into warehouses (code, name, country) values ('N', 'N', 'DE'), ('S', 'S', 'FR')"
            " returning warehouse_id",
        ),
    )
    await engine.dispose()
    shop.close()


@pytest.fixture
def past(small_past: Database) -> Iterator[Connection[Any]]:
    """The same shop in a transaction that is rolled back."""
    with psycopg.connect(small_past.url("shopkeeper")) as shop:
        yield shop
        shop.rollback()
