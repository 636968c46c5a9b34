"""Exchanges from the shop to the published tables: a return and a sale, each on its day, of an order that stays."""

from __future__ import annotations

import asyncio

import pytest

from include.demo_shop.commands import ExchangeLine
from include.demo_shop.exchanges import ExchangeDesk
from include.demo_shop.service import open_engine
from tests.conftest import Database
from tests.nights import GROSS, Nights

NAMES = ("order_lines", "orders", "daily_sales", "daily_product_sales", "shipments_daily", "fulfilment_daily")
REPLACEMENTS = """
    select order_item_id, sold_at from order_items join orders using (order_id) where order_items.sold_at > shipped_at
"""


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """Those that an exchange shows in."""
    return NAMES


@pytest.mark.long
def test_an_exchange_is_a_return_and_a_sale_each_on_its_day(nights: Nights, old_shop: Database) -> None:
    """None of the past's is held; one of today leaves every day before it as it was."""
    nights.report()
    assert nights.ask("select count(*) from audit.quarantine") == [(0,)]
    new = nights.shop.execute(
        f"""
        select order_item_id, sold_at::date, {GROSS} from order_items
        where order_item_id in (select order_item_id from ({REPLACEMENTS}) as new)
        """.encode()
    ).fetchall()
    assert len(new) > 5
    lines = nights.ask("select order_item_id, sold_on, ordered_on, gross_sales, returns from reporting.order_lines")
    by_line = {line: rest for line, *rest in lines}
    for line, day, gross in new:
        sold_on, ordered_on, gross_sales, returns = by_line[line]
        assert (sold_on, gross_sales, returns) == (day, gross, 0)
        assert sold_on > ordered_on
    [(old,)] = nights.shop.execute(
        """
        select min(order_item_id) from orders join order_items using (order_id)
        where status = 'delivered' and orders.discount = 0 and order_id not in (
            select order_id from order_items join refunds using (order_item_id)
        )
        group by order_id, delivered_at order by delivered_at desc limit 1
        """
    ).fetchall()
    before = nights.ask("select day, currency, net_sales from reporting.daily_sales order by day, currency")
    shelf = nights.shop.execute(
        "select product_id, warehouse_id from inventory join products using (product_id) where is_active limit 1"
    ).fetchone()
    assert shelf is not None

    async def exchange() -> None:
        engine = open_engine(old_shop.url("shopkeeper"), connections=1)
        await ExchangeDesk(engine).exchange(ExchangeLine(old, *shelf))
        await engine.dispose()

    asyncio.run(exchange())
    nights.report()
    assert nights.ask("select count(*) from audit.quarantine") == [(0,)]
    after = nights.ask("select day, currency, net_sales from reporting.daily_sales order by day, currency")
    assert after == before, "what is sold and given back today is of no day before"
