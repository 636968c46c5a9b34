"""Several connections that read one snapshot: what they see, and how they stop."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pytest

from include.extract import snapshot
from include.extract.ranges import in_order
from include.extract.readers import readers
from include.extract.work import shop_row
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.ledger import runs
from include.pipeline import nightly
from include.settings import settings
from include.sources import SOURCES, shop_sources
from tests.conftest import Database
from tests.nights import Nights
from tests.pooler import BOUNCER, pooler

_SESSIONS = "select count(*) from pg_stat_activity where datname = current_database() and usename = 'extractor'"
_SLOW = "select count(*) from generate_series(1, 40) as one, lateral (select pg_sleep(one - one + 1)) as waited"


def sessions(shop: Database) -> int:
    """How many sessions of the extractor there are in the shop."""
    with shop.connect() as server:
        (found,) = server.execute(_SESSIONS.encode()).fetchone() or (0,)
        return int(found)


def none_left(shop: Database, seconds: float = 2.0) -> bool:
    """Whether the extractor has no session any more, after some time at the most."""
    deadline = time.monotonic() + seconds
    while sessions(shop) and time.monotonic() < deadline:
        time.sleep(0.1)
    return sessions(shop) == 0


def content(layer: str, run: str) -> dict[str, list[tuple[object, ...]]]:
    """The rows of a run in a layer of the lake, by source, without when and by which run they were read."""
    found = {name: ", ".join(map(duck.quoted, lake.files(layer, name, run=run))) for name in SOURCES}
    with duckdb.connect() as connection:
        return {
            name: connection.execute(
                f"""
                select columns(name -> name not in ('_snapshot_at', '{lake.RUN}'))
                from read_parquet([{files}]) order by all
                """
            ).fetchall()
            for name, files in found.items()
            if files
        }


@pytest.mark.after_a_night
def test_several_connections_read_what_one_reads(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    late, gone = "update orders set channel = 'store' where order_id = 7", "delete from inventory_movements where {}"
    nights.shop.execute(late)
    nights.shop.execute(gone.format("movement_id in (select max(movement_id) from inventory_movements)").encode())
    read = {}
    by: dict[int, set[str]] = {}
    whole = snapshot._Reading.read

    def noted(reading: snapshot._Reading, *asked: object) -> snapshot.Read:
        by[connections].add(threading.current_thread().name)
        return whole(reading, *asked)  # type: ignore[arg-type]

    monkeypatch.setattr(snapshot._Reading, "read", noted)
    for connections in (1, 3):
        monkeypatch.setenv("STOCKTAKE_SHOP_CONNECTIONS", str(connections))
        settings.cache_clear()
        by[connections] = set()
        for full in (False, True):
            run = nights.begin(full_refresh=full)
            nightly.extract(run)
            slug = runs.find_run(run).slug
            counts = nights.ask(
                "select source, extracted, source_rows, late, gone, known, replaced, deleted, proof"
                f" from audit.source_counts where run_id = '{run}' order by source"
            )
            read[connections, full] = (content("raw", slug), content("gone", slug), counts)
    assert len(by[1]) == 1
    assert len(by[3]) == 3
    for full in (False, True):
        assert read[1, full] == read[3, full]
        assert read[1, full][0]["orders"]
    (figures,) = [row for row in read[3, False][2] if row[0] == "orders"]
    assert figures[3] == 1  # the late row
    assert read[3, False][1]["inventory_movements"]


@pytest.mark.usefixtures("nights")
def test_a_row_that_is_committed_between_two_connections_is_seen_by_neither(old_shop: Database) -> None:
    both = threading.Barrier(2, timeout=20)

    def orders(connection: duckdb.DuckDBPyConnection, _: str) -> tuple[int, int]:
        both.wait()
        count, process = shop_row(connection, "select count(*), pg_backend_pid() from orders")
        return count, process

    with readers(2) as shop:
        (before,) = shop_row(shop.first, "select count(*) from orders")
        with old_shop.connect() as shopkeeper:
            shopkeeper.execute("set session_replication_role = replica")  # whatever refers to it
            shopkeeper.execute("delete from orders where order_id = 3")
        found = shop.read(["a", "b"], orders)
    assert [count for count, _ in found.values()] == [before, before]
    assert len({process for _, process in found.values()}) == 2
    assert none_left(old_shop)


@pytest.mark.usefixtures("nights")
def test_the_first_error_stops_the_others(old_shop: Database) -> None:
    begun = threading.Barrier(3, timeout=20)

    def fail_or_wait(connection: duckdb.DuckDBPyConnection, name: str) -> None:
        begun.wait()
        shop_row(connection, "select 1 / 0" if name == "b" else _SLOW)

    started = time.monotonic()
    with pytest.raises(duckdb.Error, match="division by zero"), readers(3) as shop:
        shop.read(["a", "b", "c", "d"], fail_or_wait)
    assert time.monotonic() - started < 15
    assert none_left(old_shop)


@contextmanager
def handled(number: signal.Signals, handler: Callable[[int, Any], Any]) -> Iterator[None]:
    """Handle a signal in this block: processes that run tests side by side ignore an interrupt."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.usefixtures("nights")
def test_an_interrupted_task_stops_all(old_shop: Database) -> None:
    begun = threading.Barrier(2, timeout=20)

    def interrupt(connection: duckdb.DuckDBPyConnection, name: str) -> None:
        begun.wait()
        if name == "a":
            os.kill(os.getpid(), signal.SIGINT)
        shop_row(connection, _SLOW)

    started = time.monotonic()
    with handled(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt), readers(2) as shop:
        shop.read(["a", "b"], interrupt)
    assert time.monotonic() - started < 15
    assert none_left(old_shop)


_KILLED = f"""
from include.extract.readers import readers
from include.extract.work import shop_row
with readers(2) as shop:
    shop.read(["a", "b"], lambda connection, _: shop_row(connection, {_SLOW!r}))
"""


@pytest.mark.usefixtures("nights")
def test_a_killed_task_leaves_no_connection_in_the_shop(old_shop: Database) -> None:
    with subprocess.Popen([sys.executable, "-c", _KILLED]) as task:
        deadline = time.monotonic() + 20
        while sessions(old_shop) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(0.5)
        assert sessions(old_shop) == 2
        task.kill()
    assert none_left(old_shop, seconds=10)


@pytest.fixture
def two_connections(old_shop: Database) -> Iterator[None]:
    """The shop's role may open two."""
    with old_shop.connect() as server:
        (before,) = server.execute("select rolconnlimit from pg_roles where rolname = 'extractor'").fetchone() or (-1,)
        server.execute("alter role extractor connection limit 2")
        yield
        server.execute(f"alter role extractor connection limit {before}".encode())


@pytest.mark.usefixtures("nights", "two_connections")
def test_where_the_role_may_open_fewer_those_read_all_and_share_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    both = threading.Barrier(2, timeout=20)
    shares = {}

    def process(connection: duckdb.DuckDBPyConnection, name: str) -> int:
        if name in "ab":
            both.wait()
        time.sleep(0.5)
        (limit,) = connection.execute("select current_setting('memory_limit')").fetchone() or ("",)
        shares[name] = float(limit.split()[0])
        return int(shop_row(connection, "select pg_backend_pid()")[0])

    with caplog.at_level(logging.WARNING), readers(4) as shop:
        found = shop.read(list("abcdef"), process)
    assert list(found) == list("abcdef")
    assert len(set(found.values())) == 2
    with duck.session(2) as half:
        (limit,) = half.execute("select current_setting('memory_limit')").fetchone() or ("",)
    assert [shares[name] for name in "cdef"] == pytest.approx([float(limit.split()[0])] * 4, abs=0.2)
    said = [record.message for record in caplog.records if "fewer connections" in record.message]
    assert len(said) == 2
    assert "too many connections for role" in said[0]
    assert "password" not in " ".join(said)


@pytest.mark.usefixtures("nights")
def test_the_largest_source_is_read_first() -> None:
    sources = shop_sources(settings().sources)
    ordered = in_order(sources.values(), [], 2).names
    assert set(ordered) == set(sources)
    assert ordered.index("order_items") < ordered.index("customers") < ordered.index("warehouses")


@pytest.mark.usefixtures("nights")
def test_connections_share_memory_and_cores() -> None:
    with duck.session() as whole, duck.session(2) as half:
        ask = "select current_setting('memory_limit'), current_setting('threads')"
        (memory, threads), (less, fewer) = (one.execute(ask).fetchone() or ("", 0) for one in (whole, half))
    assert float(less.split()[0]) == pytest.approx(float(memory.split()[0]) / 2, abs=0.1)
    assert fewer == max(1, threads // 2)


@pytest.mark.long
@pytest.mark.usefixtures("nights")
@pytest.mark.skipif(BOUNCER is None, reason="Debian's pgbouncer is not here")
@pytest.mark.parametrize(("open_to_us", "expected"), [(4, 3), (1, 1)])
def test_behind_a_pooler_they_share_a_snapshot_too_as_far_as_it_has_sessions(
    old_shop: Database, monkeypatch: pytest.MonkeyPatch, open_to_us: int, expected: int
) -> None:
    processes = set()

    def orders(connection: duckdb.DuckDBPyConnection, _: str) -> int:
        time.sleep(0.5)
        count, process = shop_row(connection, "select count(*), pg_backend_pid() from orders")
        processes.add(process)
        return int(count)

    with pooler(old_shop.url("extractor"), sessions=open_to_us) as url:
        monkeypatch.setenv("STOCKTAKE_SHOP_URL", url)
        settings.cache_clear()
        started = time.monotonic()
        with readers(3) as shop:
            (before,) = shop_row(shop.first, "select count(*) from orders")
            with old_shop.connect() as shopkeeper:
                shopkeeper.execute("set session_replication_role = replica")
                shopkeeper.execute("delete from orders where order_id = 3")
            found = shop.read(list("abcdef"), orders)
        assert time.monotonic() - started < 20
    assert set(found.values()) == {before}
    assert len(processes) == expected


@pytest.mark.usefixtures("nights")
@pytest.mark.skipif(BOUNCER is None, reason="Debian's pgbouncer is not here")
def test_an_error_is_not_held_up_behind_a_full_pooler(old_shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Barrier(2, timeout=20)

    def fail_or_wait(connection: duckdb.DuckDBPyConnection, _: str) -> None:
        begun.wait()
        shop_row(connection, "select 1 / 0" if connection is shop.first else _SLOW)

    with pooler(old_shop.url("extractor"), sessions=2) as url:
        monkeypatch.setenv("STOCKTAKE_SHOP_URL", url)
        settings.cache_clear()
        started = time.monotonic()
        with pytest.raises(duckdb.Error, match="division by zero"), readers(2) as shop:
            shop.read(["a", "b"], fail_or_wait)
        assert time.monotonic() - started < 15
