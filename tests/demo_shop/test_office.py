"""The shop's office: customers and prices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import pytest_asyncio

from include.demo_shop.commands import ChangePrice, CloseDay, RegisterCustomer
from include.demo_shop.errors import DayClosed, EmailTaken, InvalidCommand, UnknownProduct
from include.demo_shop.office import Office
from include.demo_shop.service import open_engine
from tests.demo_shop.conftest import Stall
from tests.demo_shop.contents import contents
from tests.demo_shop.invariants import broken_invariants

ADA = RegisterCustomer("ada@shop.example", "Ada", "FR")


@pytest_asyncio.fixture
async def office(stall: Stall) -> AsyncIterator[Office]:
    """The stall's office."""
    engine = open_engine(stall.database.url("shopkeeper"))
    yield Office(engine)
    await engine.dispose()


async def test_an_address_registers_once(stall: Stall, office: Office) -> None:
    outcomes = await asyncio.gather(*(office.register(ADA) for _ in range(10)), return_exceptions=True)

    assert sum(isinstance(outcome, EmailTaken) for outcome in outcomes) == 9
    rows = stall.shop.execute("select email, name, country from customers where customer_id <> %s", [stall.customer])
    assert rows.fetchall() == [("ada@shop.example", "Ada", "FR")]
    assert broken_invariants(stall.shop) == {}


async def test_orders_keep_the_price_at_which_they_were_placed(stall: Stall, office: Office) -> None:
    await stall.stock(2)
    before = await stall.service.create(stall.order(stall.line(0, 1)))

    await office.change_price(ChangePrice(stall.products[0], Decimal("12.34")))
    after = await stall.service.create(stall.order(stall.line(0, 1)))

    assert (before.subtotal, after.subtotal) == (Decimal("10.00"), Decimal("12.34"))
    assert stall.shop.execute("select count(*) from products where updated_at > created_at").fetchone() == (1,)
    assert broken_invariants(stall.shop) == {}


async def test_nonsense_is_refused(stall: Stall, office: Office) -> None:
    before = contents(stall.shop)
    with pytest.raises(InvalidCommand, match="'ada' is no e-mail address"):
        await office.register(RegisterCustomer("ada", "Ada", "FR"))
    with pytest.raises(InvalidCommand, match="whole cents, not NaN"):
        await office.change_price(ChangePrice(stall.products[0], Decimal("NaN")))
    with pytest.raises(UnknownProduct, match="no product 99"):
        await office.change_price(ChangePrice(99, Decimal("1.00")))
    assert contents(stall.shop) == before


async def test_a_day_is_closed_once_and_whoever_waits_is_woken(stall: Stall, office: Office) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    with stall.database.connect("extractor") as reader:
        reader.execute("listen stocktake_day_closed")
        outcomes = await asyncio.gather(
            *(office.close_day(CloseDay(yesterday, UTC)) for _ in range(5)), return_exceptions=True
        )

        assert sum(isinstance(outcome, DayClosed) for outcome in outcomes) == 4
        assert [word.payload for word in reader.notifies(timeout=1, stop_after=1)] == [f"{yesterday}"]
        rows = reader.execute("select business_day, written_at <= clock_timestamp() from stocktake_outbox")
        assert rows.fetchall() == [(yesterday, True)]


async def test_a_day_that_is_not_over_is_not_closed(stall: Stall, office: Office) -> None:
    today = datetime.now(UTC).date()
    with pytest.raises(InvalidCommand, match=f"{today} is not over"):
        await office.close_day(CloseDay(today, UTC))
    assert stall.shop.execute("select from stocktake_outbox").fetchall() == []
