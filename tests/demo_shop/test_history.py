"""The simulated past: the same for the same seed, healthy by every rule, and shaped like a shop's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
import pytest
from psycopg import Connection

from include.demo_shop.commands import AdjustStock
from include.demo_shop.history import HistorySize, ShopNotEmpty, fill_history, journal, simulation
from include.demo_shop.history.article_numbers import ArticleNumbers
from include.demo_shop.history.calendar import Ints
from include.demo_shop.history.catalogue import Assortment
from include.demo_shop.history.exchanges import Exchanges, exchanges
from include.demo_shop.history.kits import Kits
from include.demo_shop.history.order_refunds import OrderRefunds
from include.demo_shop.history.orders import NEVER, Codes, Prices
from include.demo_shop.history.payments import Payments
from include.demo_shop.history.purchases import Purchases
from include.demo_shop.history.shipments import Shipments
from include.demo_shop.schema import TABLES, KeyType, create_schema
from include.demo_shop.service import OrderService, open_engine
from include.local.embedded_postgres import Cluster
from tests.conftest import SMALL, Database
from tests.demo_shop.conftest import shopkeeper
from tests.demo_shop.contents import contents, structure
from tests.demo_shop.invariants import broken_invariants
from tests.nights import LAST_DAY

UTC = ZoneInfo("UTC")
TINY = HistorySize(orders=300, days=25, products=12)


@pytest.fixture
def another_shop(cluster: Cluster) -> Iterator[Database]:
    """A second empty database."""
    database = Database(cluster, "shop").copy()
    yield database
    database.drop()


def filled(
    database: Database, *, seed: int = 3, last_day: date = LAST_DAY, timezone: ZoneInfo = UTC
) -> dict[str, list[str]]:
    """The contents of the database after a past was written into it."""
    with psycopg.connect(database.url("shopkeeper")) as shop:
        create_schema(shop)
        fill_history(shop, last_day=last_day, seed=seed, timezone=timezone, size=TINY)
        return contents(shop)


def test_the_same_arguments_make_the_same_rows(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled(shop_database)
    monkeypatch.setattr(journal, "CHUNK_ROWS", 100)  # nor does it matter in how many pieces they are written
    second = filled(another_shop)

    assert first == second
    assert all(first[table] for table in TABLES)


def test_where_orders_are_placed_changes_nothing_else(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a generator of its own: without a single throw for it, the rest of the past is the same."""
    first = filled(shop_database)
    monkeypatch.setattr(simulation, "channels", lambda orders, _: np.zeros(orders, np.int64))
    second = filled(another_shop)
    assert first["orders"] != second["orders"]
    for database in (shop_database, another_shop):
        with shopkeeper(database) as shop:
            shop.execute("alter table orders drop column channel")
            first, second = second, contents(shop)
    assert first == second


def test_who_orders_as_a_guest_changes_nothing_else(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled(shop_database)
    monkeypatch.setattr(simulation, "guests", lambda orders, _: np.zeros(orders, np.bool_))
    second = filled(another_shop)
    assert first["orders"] != second["orders"]
    for database in (shop_database, another_shop):
        with shopkeeper(database) as shop:
            shop.execute("alter table orders drop column customer_id")
            first, second = second, contents(shop)
    assert first == second


def test_what_no_line_explains_changes_nothing_else(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled(shop_database)

    def none(*_: Any) -> Any:
        return OrderRefunds(*(np.zeros(0, kind) for kind in (int, int, bool, int, int, int, int)))

    monkeypatch.setattr(simulation, "order_refunds", none)
    monkeypatch.setattr(simulation, "returned_at", lambda given, _: np.full_like(given.at, NEVER))
    second = filled(another_shop)
    assert first["order_refunds"]
    assert not second["order_refunds"]
    assert first["refunds"] != second["refunds"]
    for database in (shop_database, another_shop):
        with shopkeeper(database) as shop:
            shop.execute("alter table refunds drop column returned_at")
            shop.execute("truncate order_refunds, payments")
            first, second = second, contents(shop)
    assert first == second


def test_what_discounts_are_called_changes_nothing_else(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled(shop_database)

    def none(prices: Prices, order: Ints, _: np.random.Generator) -> Codes:
        return Codes(np.zeros(len(prices.total), np.int64), np.zeros_like(order))

    monkeypatch.setattr(simulation, "codes", none)
    second = filled(another_shop)
    assert first["orders"] != second["orders"]
    assert first["order_items"] != second["order_items"]
    for database in (shop_database, another_shop):
        with shopkeeper(database) as shop:
            shop.execute("alter table orders drop column discount_code")
            shop.execute("alter table order_items drop column discount_code")
            first, second = second, contents(shop)
    assert first == second


def test_article_numbers_that_change_change_nothing_else(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But when the products that have them were last written."""
    first = filled(shop_database)

    def none(goods: Assortment, *_: Any) -> ArticleNumbers:
        return ArticleNumbers(goods.skus, goods.skus, np.zeros(len(goods.skus), np.int64))

    monkeypatch.setattr(simulation, "article_numbers", none)
    second = filled(another_shop)
    assert first["order_items"] != second["order_items"]
    assert first["products"] != second["products"]
    for database in (shop_database, another_shop):
        with shopkeeper(database) as shop:
            shop.execute("alter table products drop column sku, drop column updated_at")
            shop.execute("alter table order_items drop column sku")
            first, second = second, contents(shop)
    assert first == second


def test_a_number_changes_during_the_past_and_that_of_a_dropped_product_is_given_again(small_past: Database) -> None:
    """Lines have the one of their day: a product that changed it was sold under two."""
    with shopkeeper(small_past) as shop:
        numbers = "select count(distinct sku) from order_items group by product_id having count(distinct sku) > 1"
        assert (2,) in shop.execute(numbers).fetchall()
        assert shop.execute(
            """
            select count(*) from order_items join products as named using (sku)
            where named.is_active and named.product_id <> order_items.product_id
                and order_items.product_id in (select product_id from products where not is_active)
            """
        ).fetchone() != (0,)


def test_what_is_added_to_orders_later_changes_nothing_else(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled(shop_database)
    monkeypatch.setattr(simulation, "additions", lambda order, *_: np.full_like(order, NEVER))
    second = filled(another_shop)
    assert first["order_items"] != second["order_items"]
    for database in (shop_database, another_shop):
        with shopkeeper(database) as shop:
            shop.execute("alter table order_items drop column sold_at, drop column updated_at")
            shop.execute("alter table orders drop column updated_at")
            first, second = second, contents(shop)
    assert first == second


def test_what_is_paid_changes_nothing_else(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled(shop_database)
    nothing = Payments(*(np.zeros(0, np.int64) for _ in range(5)))
    monkeypatch.setattr(simulation, "payments", lambda *_: nothing)
    second = filled(another_shop)
    assert first.pop("payments")
    assert not second.pop("payments")
    assert first == second


def test_what_leaves_in_parcels_changes_nothing_else(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled(shop_database)
    nothing = Shipments(*(np.zeros(0, np.int64) for _ in range(6)))
    monkeypatch.setattr(simulation, "shipments", lambda *_: nothing)
    second = filled(another_shop)
    assert first.pop("shipment_items")
    replacements = second.pop("shipment_items")
    assert all('-X"' in row for row in replacements)
    assert first == second


def test_what_is_exchanged_changes_nothing_else(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for those orders, and for the numbers of movements; the shelves have as much for sale at the end."""
    first = filled(shop_database)

    def none(*arguments: Any) -> Exchanges:
        return exchanges(*arguments).take(np.zeros(0, np.int64))

    monkeypatch.setattr(simulation, "exchanges", none)
    second = filled(another_shop)
    assert first["orders"] != second["orders"]
    of_orders = "select order_item_id from order_items where order_id in (select order_id from exchanged)"
    of_exchanges = (
        "delete from shipment_items where shipment_number like '%-X'",
        """
        delete from payments using exchanged
        where payments.order_id = exchanged.order_id and method = 'card' and paid_at >= sold_at
        """,
        f"delete from refunds where order_item_id in ({of_orders})",
        f"""
        delete from inventory_movements
        where order_item_id in (select order_item_id from exchanged)
            or kind = 'return' and order_item_id in ({of_orders})
        """,
        "delete from order_items where order_item_id in (select order_item_id from exchanged)",
    )
    with shopkeeper(shop_database) as shop:
        shop.execute(
            "create temp table exchanged as select order_item_id, order_id, sold_at"
            " from order_items join orders using (order_id) where sold_at > shipped_at"
        )
        assert _one(shop, "select count(*) from exchanged") > 1
        for statement in of_exchanges:
            shop.execute(statement.encode())
    for database in (shop_database, another_shop):
        with shopkeeper(database) as shop:
            shop.execute("alter table orders drop column subtotal cascade, drop column tax, drop column total")
            shop.execute("alter table orders drop column updated_at")
            shop.execute("alter table inventory_movements drop column movement_id")
            shop.execute("alter table inventory add column available int, drop column updated_at")
            shop.execute("update inventory set available = on_hand - reserved")
            shop.execute("alter table inventory drop column on_hand, drop column reserved")
            first, second = second, contents(shop)
    assert first == second


def test_an_exchange_is_whole(past: Connection[Any]) -> None:
    """On one day, after that of the order, a line comes back and another is sold, for more or for less."""
    of_all = """
        with swapped as (
            select order_id, new.product_id <> old.product_id as is_other,
                refunded_at::date = new.sold_at::date as at_once,
                new.unit_price - refunds.amount as more, new.sold_at::date - ordered_at::date as days
            from order_items as new
            join orders using (order_id)
            join order_items as old using (order_id)
            join refunds on refunds.order_item_id = old.order_item_id
            where new.sold_at > orders.shipped_at
        )
        select count(*) = count(distinct order_id), bool_and(is_other), bool_and(at_once), bool_or(more > 0),
            bool_or(more < 0), min(days) > 0, count(*) > 10
        from swapped
        """
    assert past.execute(of_all).fetchone() == (True,) * 7


def test_what_is_bought_changes_nothing_else(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled(shop_database)
    nothing = Purchases(*(np.zeros(0, np.int64) for _ in range(9)))
    monkeypatch.setattr(simulation, "purchases", lambda *_: nothing)
    second = filled(another_shop)
    assert first.pop("purchase_order_lines")
    assert not second.pop("purchase_order_lines")
    assert first == second


def test_kits_change_nothing_else(
    shop_database: Database, another_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled(shop_database)
    nothing = Kits(*(np.zeros(0, np.int64) for _ in range(5)))
    monkeypatch.setattr(simulation, "kits", lambda *_: nothing)
    second = filled(another_shop)
    assert first.pop("kit_components")
    assert not second.pop("kit_components")
    assert len(first["products"]) == len(second["products"]) + 3
    assert set(second.pop("products")) <= set(first.pop("products"))
    assert first == second


def test_what_comes_was_bought(past: Connection[Any]) -> None:
    """Every receipt but the first of a shelf is of one line of a purchase order, unit by unit."""
    without_line = """
        select count(*) from (
            select product_id, warehouse_id, moved_at, quantity,
                row_number() over (partition by product_id, warehouse_id order by moved_at) as nth
            from inventory_movements where kind = 'receipt'
        ) as receipt
        full join (select * from purchase_order_lines where received > 0) as line
            on (line.product_id, line.warehouse_id, line.received_at, line.received)
                = (receipt.product_id, receipt.warehouse_id, receipt.moved_at, receipt.quantity)
        where receipt.nth is null or receipt.nth > 1 and line.received is null
        """
    assert _one(past, "select count(*) from purchase_order_lines where received > 0") > 100
    assert _one(past, without_line) == 0


@pytest.mark.parametrize("other", [{"seed": 4}, {"last_day": date(2026, 3, 30)}, {"timezone": ZoneInfo("Asia/Tokyo")}])
def test_other_arguments_make_other_rows(
    shop_database: Database, another_shop: Database, other: dict[str, Any]
) -> None:
    assert filled(shop_database)["orders"] != filled(another_shop, **other)["orders"]


@pytest.mark.parametrize(
    ("seed", "zone", "keys", "size"),
    [
        (1, "UTC", "integer", SMALL),
        (2, "America/New_York", "integer", HistorySize(orders=1_000, days=300, products=5)),
        (3, "Europe/Berlin", "text", TINY),
        (4, "Australia/Lord_Howe", "uuid", TINY),
        (5, "UTC", "integer", HistorySize(orders=4_000, days=20, products=3)),
        (6, "UTC", "integer", HistorySize(orders=1, days=2, products=1)),
    ],
)
def test_a_past_is_healthy(shop_database: Database, seed: int, zone: str, keys: KeyType, size: HistorySize) -> None:
    with psycopg.connect(shop_database.url("shopkeeper")) as shop:
        create_schema(shop, keys)
        bare = structure(shop)
        rows = fill_history(shop, last_day=LAST_DAY, seed=seed, timezone=ZoneInfo(zone), size=size)

        assert broken_invariants(shop) == {}
        assert structure(shop) == bare
        assert rows == {table: _one(shop, f"select count(*) from {table}") for table in TABLES}
        assert rows["orders"] > 0


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_it_ends_with_the_last_day_in_the_shops_zone(shop_database: Database, zone: str) -> None:
    with psycopg.connect(shop_database.url("shopkeeper")) as shop:
        create_schema(shop)
        fill_history(shop, last_day=date(2020, 4, 10), timezone=ZoneInfo(zone), size=TINY)
        shop.execute(f"set timezone to '{zone}'")
        days = "select count(distinct ordered_at::date), min(ordered_at::date), max(ordered_at::date) from orders"
        latest = """
            select max(at) from (
                select max(updated_at) as at from customers union all select max(updated_at) from products
                union all select max(updated_at) from orders union all select max(updated_at) from order_items
                union all select max(updated_at) from refunds union all select max(updated_at) from order_refunds
                union all select max(updated_at) from inventory
                union all select max(updated_at) from inventory_movements
                union all select max(updated_at) from payments
                union all select max(updated_at) from shipment_items
                union all select max(updated_at) from purchase_order_lines
                union all select max(updated_at) from kit_components
            ) as latest"""

        assert shop.execute(days).fetchone() == (25, date(2020, 3, 17), date(2020, 4, 10))
        assert _one(shop, latest) < datetime(2020, 4, 11, tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("what", "share", "low", "high"),
    [
        ("cancelled orders", "select avg((status = 'cancelled')::integer) from orders", 0.025, 0.06),
        (
            "cancelled for want of stock",
            "select avg((cancellation_reason = 'out_of_stock')::integer) from orders where status = 'cancelled'",
            0.04,
            0.45,
        ),
        ("orders in USD", "select avg((currency = 'USD')::integer) from orders", 0.03, 0.07),
        ("orders in the app", "select avg((channel = 'app')::integer) from orders", 0.25, 0.37),
        ("orders by phone", "select avg((channel = 'phone')::integer) from orders", 0.01, 0.06),
        ("orders without a channel", "select avg((channel is null)::integer) from orders", -0.1, 0.0001),
        ("guests' orders", "select avg((customer_id is null)::integer) from orders", 0.02, 0.07),
        (
            "orders paid on account",
            """select count(*) filter (where method = 'on_account')::float / count(*) from payments
            where kind = 'capture' and order_id is not null""",
            0.02,
            0.08,
        ),
        (
            "orders paid in part by gift card",
            """select count(*) filter (where method = 'gift_card')::float / count(*) from payments
            where kind = 'capture'""",
            0.02,
            0.07,
        ),
        (
            "delivered orders not paid yet",
            """select avg((transaction_id is null)::integer) from orders
            left join payments on payments.order_id = orders.order_id and payments.kind = 'capture'
            where status = 'delivered'""",
            0.001,
            0.08,
        ),
        (
            "shipped orders that were split",
            """select avg((parcels > 1)::integer) from (
                select count(distinct shipment_number) as parcels
                from shipment_items join order_items using (order_item_id) group by order_id
            ) as sent""",
            0.2,
            0.6,
        ),
        (
            "parcels of split orders that leave later",
            """select avg((shipment_items.shipped_at > orders.shipped_at)::integer)
            from shipment_items join order_items using (order_item_id) join orders using (order_id)""",
            0.01,
            0.2,
        ),
        (
            "lines in two parcels",
            "select 1 - count(distinct order_item_id)::float / count(*) from shipment_items",
            0.002,
            0.03,
        ),
        ("discounted orders", "select avg((discount > 0)::integer) from orders", 0.15, 0.45),
        ("orders with a code", "select avg((discount_code is not null)::integer) from orders", 0.1, 0.35),
        (
            "lines' discounts with a name",
            "select count(discount_code)::float / count(discount) from order_items",
            0.7,
            0.9,
        ),
        (
            "lines refunded",
            """select count(distinct refunds.order_item_id)::float / count(*) from orders
            join order_items using (order_id) left join refunds using (order_item_id)
            where delivered_at < (select max(ordered_at) from orders) - interval '30 days'""",
            0.03,
            0.08,
        ),
        (
            "refunds of a part",
            """select avg((refunds.quantity < order_items.quantity)::integer) from refunds
            join order_items using (order_item_id)""",
            0.05,
            0.5,
        ),
        ("refunds not restocked", "select avg((not restocked)::integer) from refunds", 0.15, 0.5),
        (
            "lines at another price than today's",
            """select avg((order_items.unit_price <> products.unit_price)::integer) from order_items
            join products using (product_id) join orders using (order_id) where currency = 'EUR'""",
            0.05,
            0.9,
        ),
        (
            "customers who came back",
            """select avg((n > 1)::integer) from (
                select count(*) as n from orders where customer_id is not null group by customer_id
            ) as counted""",
            0.2,
            0.95,
        ),
        (
            "lines of the four best sellers of forty",
            """select (
                select sum(n) from (select count(*) as n from order_items group by product_id order by n desc limit 4)
                as best
            ) / count(*) from order_items""",
            0.2,
            0.5,
        ),
        (
            "moments at which a shelf was empty",
            """select avg((available = 0)::integer) from (select sum(case kind when 'shipment' then 0
            when 'reservation' then -quantity when 'release' then -quantity else quantity end)
            over (partition by product_id, warehouse_id order by movement_id) as available
            from inventory_movements) as running""",
            0.002,
            0.2,
        ),
        (
            "orders still on their way",
            "select avg((status in ('pending', 'processing', 'shipped'))::integer) from orders",
            0.01,
            0.2,
        ),
    ],
)
def test_it_is_shaped_like_a_shops(past: Connection[Any], what: str, share: str, low: float, high: float) -> None:
    assert low < _one(past, share) < high, what


@pytest.mark.parametrize(
    "query",
    [
        "select 1 from orders where status = 'pending'",
        "select 1 from orders where status = 'processing'",
        "select 1 from orders where status = 'shipped'",
        "select 1 from inventory_movements where kind = 'adjustment'",
        "select 1 from inventory_movements where kind = 'release'",
        "select 1 from customers left join orders using (customer_id) where order_id is null",
        "select 1 from order_refunds where order_id is null and amount > 0",
        "select 1 from order_refunds where order_id is not null and amount > 0",
        "select 1 from order_refunds where shipping > 0 and tax > 0",
        "select 1 from refunds where not restocked and returned_at::date < refunded_at::date",
        "select 1 from refunds where returned_at is null",
        "select 1 from refunds group by order_item_id having count(*) > 1",
        "select 1 from refunds join order_items using (order_item_id) group by order_id having count(*) > 1",
        "select 1 from orders group by customer_id, ordered_at::date having count(customer_id) > 1",
        "select 1 from order_items group by order_id having count(distinct warehouse_id) > 1",
        "select 1 from payments where kind = 'issue' and order_id is null",
        "select 1 from payments where kind = 'refund' and method = 'store_credit'",
        "select 1 from payments where kind = 'capture' group by order_id having count(distinct method) = 2",
        "select 1 from orders left join payments using (order_id) where cancelled_at > ordered_at and kind is null",
        "select 1 from products where created_at > (select min(ordered_at) from orders)",
        "select 1 from purchase_order_lines where received = 0 and cancelled_at is null and expected_at is not null",
        "select 1 from purchase_order_lines where received between 1 and quantity - 1 and cancelled_at is not null",
        "select 1 from purchase_order_lines where received between 1 and quantity - 1 and cancelled_at is null",
        "select 1 from purchase_order_lines where received = 0 and cancelled_at is not null",
        "select 1 from purchase_order_lines where expected_at is null",
        "select 1 from kit_components where component_id in (select product_id from kit_components)",
        "select 1 from purchase_order_lines where received_at > expected_at + interval '7 days'",
    ],
)
def test_it_holds_every_kind_of_thing(past: Connection[Any], query: str) -> None:
    assert past.execute(query.encode()).fetchone() is not None


def test_a_shop_with_orders_is_left_alone(old_shop: Database) -> None:
    with psycopg.connect(old_shop.url("shopkeeper")) as shop:
        before = contents(shop)
        with pytest.raises(ShopNotEmpty):
            fill_history(shop, last_day=LAST_DAY)
        assert contents(shop) == before


async def test_trade_goes_on_from_the_past(old_shop: Database) -> None:
    with shopkeeper(old_shop) as shop:
        last = _one(shop, "select max(movement_id) from inventory_movements")
        engine = open_engine(old_shop.url("shopkeeper"))
        await OrderService(engine).adjust(AdjustStock(1, 1, 5))
        await engine.dispose()
        assert _one(shop, "select max(movement_id) from inventory_movements") > last
        assert broken_invariants(shop) == {}


@pytest.mark.parametrize("size", [{"orders": 0}, {"days": 1}, {"products": 0}])
def test_a_size_without_sense_is_refused(size: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1 order, 2 days and 1 product"):
        HistorySize(**size)


def _one(shop: Connection[Any], query: str) -> Any:
    row = shop.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]
