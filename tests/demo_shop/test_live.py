"""Live trade: many customers at once, and the books still balance."""

from __future__ import annotations

from collections import Counter

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
