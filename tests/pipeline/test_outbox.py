"""A table in the shop in which it says that a day is closed: heard at once, by a role that only reads, and not lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome
from psycopg import sql

from include.demo_shop.schema import create_schema
from include.ledger import runs
from include.ledger.runs import Run
from include.pipeline.outbox import Outbox, OutboxTrigger
from include.settings import settings
from include.settings.shops import shop_names
from tests.conftest import Database

YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
STORED, LOST = AdvanceOutcome(acked=1, failed=0), AdvanceOutcome(acked=0, failed=1)


@pytest.fixture
def shop(
    shop_database: Database, empty_ledger: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection[Any]]:
    """An empty demo shop, as its owner; this process may only read it."""
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", shop_database.url("extractor"))
    monkeypatch.setenv("STOCKTAKE_TIMEZONE", "UTC")
    monkeypatch.setenv("STOCKTAKE_DAY_CLOSED", "outbox")
    settings.cache_clear()
    assert empty_ledger.name
    with shop_database.connect("shopkeeper") as owner:
        create_schema(owner)
        yield owner
    settings.cache_clear()


def announce(shop: psycopg.Connection[Any], *days: object, written: str = "clock_timestamp()") -> None:
    """What the office does, as often as one likes."""
    with shop.transaction():
        for day in days:
            shop.execute(
                sql.SQL("insert into stocktake_outbox (business_day, written_at) values (%s, {})").format(
                    sql.SQL(written)
                ),
                [day],
            )
        shop.execute("notify stocktake_day_closed")


class Listener:
    """Reads the outbox in the background, as the triggerer does."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox, self.heard, self.payloads = outbox, asyncio.Queue[str](), list[Any]()

    async def listen(self) -> None:
        """Note what is heard."""
        async for one, payload in self.outbox.open_stream():
            self.payloads.append(payload)
            await self.heard.put(one["business_day"])

    async def next(self, within: float = 5) -> str | None:
        """The next day that is heard, if there is one in time."""
        try:
            return await asyncio.wait_for(self.heard.get(), within)
        except TimeoutError:
            return None

    async def answer(self, outcome: AdvanceOutcome) -> None:
        """What Airflow says of the last event."""
        await self.outbox.advance([AdvanceItem(self.payloads[-1], outcome)])


@asynccontextmanager
async def listening(table: str = "stocktake_outbox", shop: str | None = None) -> AsyncIterator[Listener]:
    """Somebody who listens, until the block ends."""
    listener = Listener(Outbox(table, shop))
    task = asyncio.create_task(listener.listen())
    try:
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def heard_before(listener: Listener) -> None:
    """The listener is connected: it has heard of another day."""
    assert await listener.next(10) == f"{YESTERDAY - timedelta(days=3)}"


async def test_a_closed_day_is_heard_at_once_and_once(shop: psycopg.Connection[Any]) -> None:
    announce(shop, YESTERDAY - timedelta(days=3))
    async with listening() as listener:
        await heard_before(listener)
        await asyncio.sleep(0.5)
        announce(shop, *[YESTERDAY] * 5)
        assert await listener.next(2) == f"{YESTERDAY}"
        await listener.answer(STORED)
        shop.execute("notify stocktake_day_closed")
        assert await listener.next(1.5) is None


async def test_days_are_heard_in_their_order(shop: psycopg.Connection[Any]) -> None:
    days = [YESTERDAY - timedelta(days=back) for back in (0, 2, 1)]
    announce(shop, *days)
    async with listening() as listener:
        assert [await listener.next() for _ in days] == [f"{day}" for day in sorted(days)]


async def test_what_airflow_could_not_store_is_read_again(shop: psycopg.Connection[Any]) -> None:
    announce(shop, YESTERDAY)
    async with listening() as listener:
        assert await listener.next() == f"{YESTERDAY}"
        await listener.answer(LOST)
        shop.execute("notify stocktake_day_closed")
        assert await listener.next(2) == f"{YESTERDAY}"


async def test_who_dies_before_airflow_has_stored_it_reads_it_again(shop: psycopg.Connection[Any]) -> None:
    announce(shop, YESTERDAY)
    async with listening() as killed:
        assert await killed.next() == f"{YESTERDAY}"
    async with listening() as successor:
        assert await successor.next() == f"{YESTERDAY}"
    runs.open_run(Run(f"day_closed__{YESTERDAY}", YESTERDAY, YESTERDAY))
    async with listening() as later:
        assert await later.next(1.5) is None, "the ledger knows that its night has begun"


async def test_what_is_no_closed_day_starts_nothing_and_is_said_once(
    shop: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    shop.execute("alter table stocktake_outbox alter column business_day type text")
    today = YESTERDAY + timedelta(days=1)
    announce(shop, today, "2020-01-01", "'); drop table orders; --", "x" * 500_000)
    announce(shop, YESTERDAY, written="now() - interval '1 day'")  # before it was over
    async with listening() as listener:
        assert await listener.next(2) is None
        announce(shop, YESTERDAY - timedelta(days=1))
        assert await listener.next(2) == f"{YESTERDAY - timedelta(days=1)}"
        announce(shop, YESTERDAY)
        assert await listener.next(2) == f"{YESTERDAY}", "said again, when it was over"
    said = [one.message for one in caplog.records if one.name == "include.pipeline.outbox"]
    assert len(said) == 5
    assert sum(f"{today} was not over in UTC" in one for one in said) == 1
    assert sum("2020-01-01 is over for more than 7 days" in one for one in said) == 1
    assert sum("names no day" in one for one in said) == 2
    assert "a message of 100 characters" in caplog.text, "no more of it leaves the shop"
    assert "drop table" not in caplog.text
    assert "xxx" not in caplog.text


async def test_a_day_that_is_over_by_the_shops_clock_alone_is_looked_at_again(
    shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our clock moves on by 26 hours: from the zone where a day ends last to the one where it ends first."""
    monkeypatch.setenv("STOCKTAKE_TIMEZONE", "Etc/GMT+12")
    settings.cache_clear()
    day = datetime.now(ZoneInfo("Etc/GMT+12")).date()
    announce(shop, day, written="clock_timestamp() + interval '2 days'")
    async with listening() as listener:
        assert await listener.next(1.5) is None
        monkeypatch.setenv("STOCKTAKE_TIMEZONE", "Etc/GMT-14")
        settings.cache_clear()
        shop.execute("notify stocktake_day_closed")
        assert await listener.next(3) == f"{day}"


async def test_a_shop_that_ends_the_connection_is_asked_again(shop: psycopg.Connection[Any]) -> None:
    announce(shop, YESTERDAY - timedelta(days=3))
    async with listening() as listener:
        await heard_before(listener)
        with psycopg.connect(settings().shop_url.get_secret_value(), autocommit=True) as extractor:
            extractor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'stocktake-outbox'"
            )
        announce(shop, YESTERDAY)
        assert await listener.next(10) == f"{YESTERDAY}"


async def test_a_table_that_cannot_be_read_is_said_without_a_secret_and_waited_for(
    shop: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    shop.execute("revoke select on stocktake_outbox from extractor")
    announce(shop, YESTERDAY)
    async with listening() as listener:
        assert await listener.next(1) is None
        assert "cannot be read" in caplog.text
        assert "permission denied for table stocktake_outbox" in caplog.text
        shop.execute("grant select on stocktake_outbox to extractor")
        assert await listener.next(10) == f"{YESTERDAY}"
    password = psycopg.conninfo.conninfo_to_dict(settings().shop_url.get_secret_value())["password"]
    assert str(password) not in caplog.text


async def test_a_server_that_is_away_is_said_without_a_secret(
    shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert not shop.closed
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql://reader:S3cret-word@127.0.0.1:1/shop")
    settings.cache_clear()
    async with listening() as listener:
        assert await listener.next(1) is None
    assert "the next try is in 1 s" in caplog.text
    assert "S3cret" not in caplog.text


async def test_a_day_is_heard_while_the_warehouse_is_away(
    shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql://loader@127.0.0.1:1/warehouse")
    settings.cache_clear()
    announce(shop, YESTERDAY)
    async with listening() as listener:
        assert await listener.next() == f"{YESTERDAY}"


async def test_where_the_setting_names_another_place_nobody_listens(
    shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow keeps the trigger of a DAG that is no more."""
    monkeypatch.setenv("STOCKTAKE_DAY_CLOSED", "")
    settings.cache_clear()
    announce(shop, YESTERDAY)
    async with listening() as listener:
        assert await listener.next(1.5) is None
        connected = "select from pg_stat_activity where application_name = 'stocktake-outbox'"
        assert shop.execute(connected).fetchall() == []


async def test_the_table_may_be_called_otherwise(
    shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKTAKE_DAY_CLOSED", "outbox://tills.closed")
    settings.cache_clear()
    shop.execute("create schema tills")
    shop.execute("create table tills.closed (business_day date, written_at timestamptz)")
    shop.execute("grant usage on schema tills to extractor")
    shop.execute("grant select on tills.closed to extractor")
    shop.execute("insert into tills.closed values (%s, now())", [YESTERDAY])
    async with listening("tills.closed") as listener:
        assert await listener.next() == f"{YESTERDAY}"


def test_what_airflow_stores_of_the_trigger_holds_no_secret() -> None:
    path, arguments = OutboxTrigger("stocktake_outbox").serialize()
    assert (path, arguments) == ("include.pipeline.outbox.OutboxTrigger", {"table": "stocktake_outbox"})


async def test_of_several_shops_each_is_heard_in_its_own_outbox(
    shop: psycopg.Connection[Any], shop_database: Database, empty_ledger: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Database(shop_database.cluster, "shop").copy()
    monkeypatch.setenv("STOCKTAKE_SHOPS", '["berlin", "lima"]')
    for name, database in (("BERLIN", shop_database), ("LIMA", other)):
        monkeypatch.setenv(f"STOCKTAKE_{name}__SHOP_URL", database.url("extractor"))
        monkeypatch.setenv(f"STOCKTAKE_{name}__WAREHOUSE_URL", empty_ledger.url("loader"))
    shop_names.cache_clear()
    settings.cache_clear()
    try:
        with other.connect("shopkeeper") as owner:
            create_schema(owner)
            announce(owner, YESTERDAY)
        announce(shop, YESTERDAY - timedelta(days=1))
        async with listening(shop="berlin") as berlin, listening(shop="lima") as lima:
            assert await berlin.next() == f"{YESTERDAY - timedelta(days=1)}"
            assert await lima.next() == f"{YESTERDAY}"
            assert (await berlin.next(0.5), await lima.next(0.5)) == (None, None)
    finally:
        monkeypatch.delenv("STOCKTAKE_SHOPS")
        shop_names.cache_clear()
        other.drop()


def test_of_several_shops_airflow_stores_whose_it_is() -> None:
    path, arguments = OutboxTrigger("stocktake_outbox", "lima").serialize()
    assert (path, arguments) == (
        "include.pipeline.outbox.OutboxTrigger", {"table": "stocktake_outbox", "shop": "lima"},
    )  # fmt: skip
    assert OutboxTrigger(**arguments).shared_stream_key() != OutboxTrigger("stocktake_outbox").shared_stream_key()


@pytest.mark.parametrize("named", [None, "oslo"])
async def test_the_trigger_of_a_shop_that_is_named_no_more_goes_on_and_hears_nothing(
    shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    """Airflow keeps the trigger of a DAG that is gone, and starts one that ended again and again."""
    monkeypatch.setenv("STOCKTAKE_SHOPS", '["berlin"]')
    shop_names.cache_clear()
    try:
        announce(shop, YESTERDAY)
        listener = Listener(Outbox("stocktake_outbox", named))
        task = asyncio.create_task(listener.listen())
        assert await listener.next(1) is None
        assert not task.done()
        task.cancel()
    finally:
        monkeypatch.delenv("STOCKTAKE_SHOPS")
        shop_names.cache_clear()
