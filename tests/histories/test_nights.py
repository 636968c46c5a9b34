"""The same through whole nights on a real Postgres: a shop that is traded with, and tampered with."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from include.demo_shop.commands import CancelOrder, OrderLine, PlaceOrder, ReceiveStock, RefundLine
from include.demo_shop.history import HistorySize, fill_history
from include.demo_shop.schema import create_schema
from include.demo_shop.service import OrderService, open_engine
from include.local.embedded_postgres import Cluster
from include.settings import settings
from tests.conftest import Database, Done, nights_between
from tests.histories.warehouse import NAMES
from tests.nights import LAST_DAY, Nights

A_FEW: Final = 2  # four nights each
# The past ends two days after the clocks of Europe have changed, five before those of Australia and New Zealand.
ZONES: Final = ("Europe/Berlin", "America/St_Johns", "Pacific/Auckland", "Asia/Kolkata")

# What can be done to the rows of an order, a line or a refund. updated_at is set as the shop sets it, but for what is
# deleted or committed late.
TAMPERING: Final = {
    "an old order gets another discount": """
        update orders set discount = other.discount,
            tax = round((orders.subtotal - other.discount) * 0.10, 2) + shipping_tax,
            total = orders.subtotal - other.discount + shipping - shipping_discount + shipping_tax
                + round((orders.subtotal - other.discount) * 0.10, 2),
            updated_at = now()
        from (
            select order_id, greatest(round(orders.subtotal / (%(days)s + 2), 2), sum(order_items.discount)) as discount
            from orders join order_items using (order_id)
            group by order_id
        ) as other
        where other.order_id = orders.order_id and orders.order_id = %(order)s
    """,
    "an order was another customer's": """
        update orders set updated_at = now(),
            customer_id = (select customer_id from orders where order_id = %(other_order)s)
        where order_id = %(order)s
    """,
    "an order was placed on another day": """
        update orders set ordered_at = ordered_at - %(days)s * interval '1 day', updated_at = now()
        where order_id = %(order)s
    """,
    "an order is cancelled": """
        update orders set status = 'cancelled', cancelled_at = ordered_at + %(days)s * interval '1 day',
            cancelled_by = 'shop', cancellation_reason = 'test', updated_at = now()
        where order_id = %(order)s and status <> 'cancelled'
    """,
    "a delivered order is exchanged": """
        insert into order_items
            (order_id, product_id, warehouse_id, quantity, unit_price, unit_cost, updated_at)
        select order_id, product_id, warehouse_id, 1, 10, unit_cost, now() from order_items
        where order_item_id = %(line)s;
        update orders set status = 'processing', shipped_at = null, delivered_at = null, subtotal = subtotal + 10,
            tax = round((subtotal + 10 - discount) * 0.10, 2) + shipping_tax,
            total = subtotal + 10 - discount + shipping - shipping_discount + shipping_tax
                + round((subtotal + 10 - discount) * 0.10, 2),
            updated_at = now()
        where order_id = (select order_id from order_items where order_item_id = %(line)s)
    """,
    "a line is exchanged, and the order stays what it was": """
        with old as (
            select order_items.*, orders.ordered_at + %(days)s * interval '1 day' as at
            from order_items join orders using (order_id)
            where order_item_id = %(line)s and cancelled_at is null and currency = 'EUR'
                and orders.ordered_at + %(days)s * interval '1 day' < now()
                and not exists (select from refunds where refunds.order_item_id = order_items.order_item_id)
        ),
        back as (
            insert into refunds
                (order_item_id, quantity, amount, restocked, refunded_at, returned_at, updated_at)
            select order_item_id, quantity, 0.01, true, at, at, now() from old
        ),
        new as (
            insert into order_items
                (order_id, product_id, warehouse_id, quantity, unit_price, unit_cost, sold_at, updated_at)
            select order_id, product_id, warehouse_id, quantity, 10, unit_cost, at, now() from old
            returning order_id, quantity
        )
        update orders set subtotal = subtotal + 10 * new.quantity,
            tax = round((subtotal + 10 * new.quantity - discount) * 0.10, 2) + shipping_tax,
            total = subtotal + 10 * new.quantity - discount + shipping - shipping_discount + shipping_tax
                + round((subtotal + 10 * new.quantity - discount) * 0.10, 2),
            updated_at = now()
        from new where new.order_id = orders.order_id
    """,
    "a line had cost more": """
        update order_items set unit_cost = unit_cost + 1, updated_at = now() where order_item_id = %(line)s
    """,
    "a line was of another product": """
        update order_items set product_id = (select product_id from order_items where order_item_id = %(other_line)s),
            updated_at = now()
        where order_item_id = %(line)s
    """,
    "a refund was given on another day": """
        update refunds set refunded_at = refunded_at + %(days)s * interval '7 hours', updated_at = now()
        where refund_id = %(refund)s
    """,
    "a refund is deleted": "delete from refunds where refund_id = %(refund)s",
    "money that no line explains goes back on another day, or for no order": """
        update order_refunds set refunded_at = refunded_at + %(days)s * interval '7 hours',
            order_id = case when %(days)s = 1 then null else order_id end, updated_at = now()
        where order_id = %(order)s
    """,
    "shipping is given back": """
        insert into order_refunds (order_id, currency, amount, shipping, tax, reason, refunded_at)
        select order_id, currency, 1, shipping, 0.1, 'test', ordered_at + %(days)s * interval '1 day'
        from orders where order_id = %(order)s
    """,
    "units of a refund come back on another day": """
        update refunds set returned_at = refunded_at - %(days)s * interval '7 hours', updated_at = now()
        where refund_id = %(refund)s
    """,
    "a payment was made on another day": """
        update payments set paid_at = paid_at + %(days)s * interval '7 hours', updated_at = now()
        where order_id = %(order)s
    """,
    "a parcel left on another day": """
        update shipment_items set shipped_at = shipped_at + %(days)s * interval '1 hour', updated_at = now()
        where order_item_id in (select order_item_id from order_items where order_id = %(order)s)
    """,
    "a parcel is called back": """
        update shipment_items set cancelled_at = now(), updated_at = now()
        where order_item_id in (select order_item_id from order_items where order_id = %(order)s)
    """,
    "an order is deleted": """
        delete from inventory_movements where order_item_id in
            (select order_item_id from order_items where order_id = %(order)s);
        delete from refunds where order_item_id in
            (select order_item_id from order_items where order_id = %(order)s);
        delete from shipment_items where order_item_id in
            (select order_item_id from order_items where order_id = %(order)s);
        delete from order_items where order_id = %(order)s;
        delete from order_refunds where order_id = %(order)s;
        delete from payments where order_id = %(order)s;
        delete from orders where order_id = %(order)s
    """,
    "an order of long ago is committed now": """
        insert into orders
            (order_id, customer_id, status, subtotal, discount, shipping, shipping_discount, tax, shipping_tax, total,
            ordered_at, updated_at)
        select 100000 + order_id, customer_id, 'processing', subtotal, discount, shipping, shipping_discount, tax,
            shipping_tax, total, ordered_at, updated_at
        from orders where order_id = %(order)s on conflict do nothing;
        insert into order_items
            (order_item_id, order_id, product_id, warehouse_id, quantity, unit_price, discount, unit_cost, updated_at)
        select 100000 + order_item_id, 100000 + order_id, product_id, warehouse_id, quantity, unit_price, discount,
            unit_cost, updated_at
        from order_items where order_id = %(order)s on conflict do nothing
    """,
    "an order does not add up": """
        update orders set total = total + 10, updated_at = now() where order_id = %(order)s
    """,
    "every order adds up": """
        update orders set total = parts.total, updated_at = now()
        from (
            select order_id, subtotal - discount + shipping - shipping_discount + tax as total from orders
        ) as parts
        where parts.order_id = orders.order_id and parts.total <> orders.total
    """,
    "a product costs more": "update products set unit_cost = unit_cost + 1, updated_at = now() where product_id = 1",
    "a product gets another article number": """
        update products set sku = sku || '-B', updated_at = now() where product_id = 1
    """,
    "a product leaves its article number to another": """
        update products set is_active = false, updated_at = now() where product_id = 2;
        update products set sku = (select sku from products where product_id = 2), updated_at = now()
        where product_id = 3
    """,
    "a price has another currency": """
        update products set price_currency = 'USD', price_includes_tax = true, updated_at = now() where product_id = 4
    """,
    "a line was sold under another article number": """
        update order_items set sku = 'old', updated_at = now() where order_item_id = %(line)s
    """,
    # What kits are made of stays: a shop that is started anew has no earlier versions (test_rebuild changes them).
    "a line sells a kit": """
        update order_items set updated_at = now(),
            product_id = (select product_id from kit_components order by product_id offset %(days)s limit 1)
        where order_item_id = %(line)s
    """,
    "what was bought comes, all of it or some": """
        update purchase_order_lines set received = greatest(1, quantity - (%(days)s - 1) * 6),
            received_at = ordered_at + %(days)s * interval '30 hours', updated_at = now()
        where purchase_order_line_id = %(bought)s
    """,
    "what was bought is expected later, or no more": """
        update purchase_order_lines set expected_at = expected_at + %(days)s * interval '1 day',
            cancelled_at = case when %(days)s = 1 then ordered_at + interval '2 days' end, updated_at = now()
        where purchase_order_line_id = %(bought)s
    """,
    "a purchase was never made": "delete from purchase_order_lines where purchase_order_line_id = %(bought)s",
    "a shelf holds more than it should": """
        update inventory set on_hand = on_hand + 1, updated_at = now() where (product_id, warehouse_id) =
            (select product_id, warehouse_id from order_items where order_item_id = %(line)s)
    """,
}

# What the service has just written, as if it had been so long ago.
_EARLIER: Final = """
    update orders set ordered_at = ordered_at - %(ago)s, shipped_at = shipped_at - %(ago)s,
        cancelled_at = cancelled_at - %(ago)s
    where order_id = %(order)s;
    update refunds set refunded_at = refunded_at - %(ago)s, returned_at = returned_at - %(ago)s from order_items
    where order_items.order_item_id = refunds.order_item_id and order_id = %(order)s;
    update inventory_movements set moved_at = moved_at - %(ago)s from order_items
    where order_items.order_item_id = inventory_movements.order_item_id and order_id = %(order)s
"""


class Trade:
    """What happens in a shop between nights: some of it through its service, some behind its back.

    Attributes:
        happened: what, in order.
    """

    def __init__(self, number: int, database: Database, shop: psycopg.Connection[Any]) -> None:
        self.happened: list[str] = []
        self._dice = random.Random(f"history {number}")  # noqa: S311 - the same history every time
        self._database, self._shop = database, shop

    def go_on(self) -> None:
        """Do some of what can be done; now and then nothing."""
        for name in self._dice.choices(list(TAMPERING), k=self._dice.choice([0, 3, 5, 7])):
            self._tamper(name)
        if self.happened and self._dice.random() < 0.8:
            asyncio.run(self._serve())

    def night(self, last: date) -> date:
        """The day of the next night: one of the next, or the same again."""
        return last + timedelta(days=self._dice.choice([1, 1, 0, 2]))

    def _tamper(self, name: str) -> None:
        chosen = {
            "order": self._one("order_id", "orders"), "other_order": self._one("order_id", "orders"),
            "line": self._one("order_item_id", "order_items"), "other_line": self._one("order_item_id", "order_items"),
            "bought": self._one("purchase_order_line_id", "purchase_order_lines"),
            "refund": self._one("refund_id", "refunds"), "days": self._dice.randint(1, 6),
        }  # fmt: skip
        with self._shop.transaction():
            psycopg.ClientCursor(self._shop).execute(TAMPERING[name], chosen)
        self.happened.append(f"{name}: {chosen}")

    def _one(self, key: str, table: str) -> Any:
        return self._dice.choice(self._shop.execute(f"select {key} from {table} order by 1".encode()).fetchall())[0]

    async def _serve(self) -> None:
        """Take an order, and ship it and take a line back, or cancel it."""
        product, warehouse = self._dice.choice(
            self._shop.execute("select product_id, warehouse_id from inventory order by 1, 2").fetchall()
        )
        engine = open_engine(self._database.url("shopkeeper"), connections=1)
        service = OrderService(engine)
        try:
            self._shop.execute("update products set is_active = true where product_id = %s", [product])
            await service.receive(ReceiveStock(product, warehouse, 9))
            line, customer = OrderLine(product, warehouse, 2), self._one("customer_id", "customers")
            placed = await service.create(PlaceOrder(customer, (line,)))
            fate = self._dice.choice(["waits", "is cancelled", "is shipped", "comes back"])
            if fate == "is cancelled":
                await service.cancel(CancelOrder(placed.order_id, "customer", "test"))
            elif fate != "waits":
                await service.start_processing(placed.order_id)
                await service.ship(placed.order_id)
            if fate == "comes back":
                await service.refund(RefundLine(placed.order_item_ids[0], 1, restock=True))
        finally:
            await engine.dispose()
        then = datetime.combine(
            LAST_DAY - timedelta(days=self._dice.randint(-1, 4)), time(self._dice.randint(0, 23)), UTC
        )
        with self._shop.transaction():
            psycopg.ClientCursor(self._shop).execute(
                _EARLIER, {"order": placed.order_id, "ago": datetime.now(UTC) - then}
            )
        self.happened.append(f"{placed} {fate}, as on {then}")


@pytest.fixture(scope="module")
def little_past(cluster: Cluster) -> Iterator[Database]:
    """A shop with a few hundred orders; nobody writes to it."""
    database = Database(cluster, "shop").copy()
    with psycopg.connect(database.url("shopkeeper")) as shop:
        create_schema(shop)
        fill_history(shop, last_day=LAST_DAY, seed=7, size=HistorySize(orders=300, days=40, products=12))
    yield database
    database.drop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A few histories, or one in five hundred of ``--histories``, each a test of its own."""
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range((metafunc.config.getoption("histories") or 0) // 500 or A_FEW))


@pytest.mark.long
def test_incremental_nights_end_in_what_a_full_refresh_publishes(
    number: int, little_past: Database, cluster: Cluster, tmp_path: Path
) -> None:
    """Each in a time zone of its own; what happened is said when they differ."""
    with ExitStack() as held:
        shop = little_past.copy()
        held.callback(shop.drop)
        first, second = (Database(cluster, "warehouse").copy() for _ in range(2))
        for warehouse in (first, second):
            held.callback(warehouse.drop)
        environment = held.enter_context(pytest.MonkeyPatch.context())
        with nights_between(environment, Done(shop, first, tmp_path / "first")) as nights:
            nights = _in_zone(nights, environment, number)
            trade, day = Trade(number, shop, nights.shop), LAST_DAY - timedelta(days=4)
            nights.report(day)
            for _ in range(2):
                trade.go_on()
                day = trade.night(day)
                nights.report(day)
            incremental = nights.published()
        with nights_between(environment, Done(shop, second, tmp_path / "second")) as nights:
            nights = _in_zone(nights, environment, number)
            nights.report(day, full_refresh=True)
            assert nights.published() == incremental, "\n".join(trade.happened)


def _in_zone(nights: Nights, environment: pytest.MonkeyPatch, number: int) -> Nights:
    environment.setenv("STOCKTAKE_TIMEZONE", ZONES[number % len(ZONES)])
    settings.cache_clear()
    return replace(nights, names=NAMES, approves=True)
