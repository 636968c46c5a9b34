"""Live trade: many customers at once, and the books still balance."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest

from include.demo_shop.live import EmptyShop, Traffic, trade
from include.demo_shop.schema import create_schema
from tests.conftest import Database
from tests.demo_shop.conftest import shopkeeper
from tests.demo_shop.invariants import broken_invariants

EVENTS = ("created", "started", "shipped", "delivered", "cancelled", "received")
COUNTS = """
select (select count(*) from orders), (select count(*) from refunds),
    (select count(*) from orders where status = 'cancelled'), (select count(*) from customers)
"""

GUESTS = """
select bool_or(customer_id is null) and count(customer_id) > 0 from orders
where shipping_address ->> 'street' = '1 Live Street'
"""


async def test_many_trade_at_once_and_the_books_balance(old_shop: Database) -> None:
    with shopkeeper(old_shop) as shop:
        before = shop.execute(COUNTS).fetchone()

        happened = Counter[str]()
        for seed in range(1, 6):  # a busy machine does not come to everything in three seconds
            traffic = Traffic(customers=30, per_second=400, seconds=3, seed=seed)
            happened += await trade(old_shop.url("shopkeeper"), traffic)
            if all(happened[what] for what in EVENTS):
                break

        after = shop.execute(COUNTS).fetchone()
        assert before is not None
        assert after is not None
        grown = [now - then for now, then in zip(after, before, strict=True)]
        happened["given back"] = happened["refunded"] + happened["exchanged"]
        assert grown == [happened[what] for what in ("created", "given back", "cancelled", "registered")]
        assert all(happened[what] for what in EVENTS), happened
        assert broken_invariants(shop) == {}
        assert shop.execute(GUESTS).fetchone() == (True,)


async def test_an_empty_shop_has_no_trade(shop_database: Database) -> None:
    with shopkeeper(shop_database) as shop:
        create_schema(shop)
    with pytest.raises(EmptyShop, match="fill it first"):
        await trade(shop_database.url("shopkeeper"), Traffic(seconds=1))


async def test_a_day_that_ends_while_they_trade_is_closed(old_shop: Database) -> None:
    """It is a quarter of a second before midnight, in some zone."""
    now = datetime.now(UTC)
    since_noon = now - now.replace(hour=12, minute=0, second=0, microsecond=0)
    zone = timezone(timedelta(hours=12 if since_noon > timedelta() else -12, seconds=-0.25) - since_noon)
    today = datetime.now(zone).date()

    happened = await trade(old_shop.url("shopkeeper"), Traffic(customers=1, per_second=0.1, seconds=1.5), zone)

    assert happened["day closed"] == 1
    with shopkeeper(old_shop) as shop:
        assert shop.execute("select business_day from stocktake_outbox").fetchall() == [(today,)]
