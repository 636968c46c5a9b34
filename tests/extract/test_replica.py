"""A read replica as the shop: which rows it has, what is missed, and what stands in its way."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from include.demo_shop.history import HistorySize, fill_history
from include.demo_shop.schema import create_schema
from include.extract import snapshot
from include.extract.readers import readers
from include.extract.replica import ReplicaBehind, before_snapshot, replayed_until
from include.extract.sql_files import EVERYTHING
from include.extract.work import shop_row
from include.local import embedded_postgres
from include.local.embedded_postgres import SUPERUSER, Cluster
from include.pipeline import nightly
from include.pipeline.troubles import may_pass
from include.settings import settings
from include.sources import shop_sources
from tests.conftest import Database, Done, nights_between
from tests.nights import LAST_DAY, Nights

pytestmark = pytest.mark.long

_PRIMARY = {"fsync": "off", "autovacuum": "off", "shared_buffers": "32MB", "scram_iterations": "1"}
# What conflicts with replaying ends after a second, and a silent primary is asked for a message after two seconds.
_STANDBY = {**_PRIMARY, "max_standby_streaming_delay": "1s", "wal_receiver_timeout": "4s"}


@pytest.fixture(scope="module")
def primary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server with a shop."""
    cluster = Cluster(tmp_path_factory.mktemp("primary"), settings=_PRIMARY)
    cluster.start()
    cluster.provision()
    with psycopg.connect(cluster.url("shop", "shopkeeper")) as shop:
        create_schema(shop)
        fill_history(shop, last_day=LAST_DAY, seed=7, size=HistorySize(orders=300, days=60, products=40))
    yield cluster
    cluster.stop()
    shutil.rmtree(cluster.home)


@pytest.fixture(scope="module")
def standby(primary: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Its replica."""
    cluster = Cluster(tmp_path_factory.mktemp("standby"), settings=_STANDBY)
    shutil.copy(primary.folder / "passwords.json", cluster.folder)
    embedded_postgres._make_home(cluster.folder / "server")
    done = primary._run(
        "pg_basebackup", "-D", cluster._data, "-d", primary.url("postgres", SUPERUSER), "-R", "-c", "fast"
    )
    assert done.returncode == 0, done.stderr
    cluster.start()
    yield cluster
    cluster.stop()
    shutil.rmtree(cluster.home)


@pytest.fixture
def replicated(
    primary: Cluster, standby: Cluster, warehouse_database: Database, built_tables: tuple[str, ...], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Nights]:  # fmt: skip
    """Nights that read the replica, while the shop trades on the primary."""
    with nights_between(monkeypatch, Done(Database(primary, "shop"), warehouse_database, tmp_path / "lake")) as nights:
        monkeypatch.setenv("STOCKTAKE_SHOP_URL", standby.url("shop", "extractor"))
        monkeypatch.setenv("STOCKTAKE_SHOP_CONNECTIONS", "3")
        settings.cache_clear()
        yield replace(nights, names=built_tables)


@pytest.fixture
def server(standby: Cluster) -> Iterator[psycopg.Connection[Any]]:
    """The replica's superuser."""
    with psycopg.connect(standby.url("shop", SUPERUSER), autocommit=True) as connection:
        yield connection


def catch_up(nights: Nights, server: psycopg.Connection[Any]) -> None:
    """Wait until the replica has all that the primary has."""
    (written,) = nights.shop.execute("select pg_current_wal_insert_lsn()::text").fetchone() or ("",)
    deadline = time.monotonic() + 20
    while server.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", [written]).fetchone() != (True,):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nights_read_a_replica_and_miss_no_transaction_that_was_open(
    replicated: Nights, server: psycopg.Connection[Any], primary: Cluster
) -> None:
    catch_up(replicated, server)
    with psycopg.connect(primary.url("shop", "shopkeeper")) as late:
        late.execute("update orders set channel = 'store', updated_at = now() where order_id = 7")
        time.sleep(0.1)
        replicated.shop.execute("update orders set channel = 'store', updated_at = now() where order_id = 8")
        catch_up(replicated, server)
        first = replicated.report()
    catch_up(replicated, server)
    changed = "select order_id from reporting.orders where order_id in (7, 8) and channel = 'store' order by 1"
    assert replicated.ask(changed) == [(8,)]
    second = replicated.begin()
    nightly.extract(second)
    assert replicated.ask(
        f"select late, extracted >= 2 from audit.source_counts where run_id = '{second}' and source = 'orders'"
    ) == [(0, True)]
    replicated.judge_and_build(second)
    nightly.publish(second, replicated.reporting)
    assert replicated.ask(changed) == [(7,), (8,)]
    assert replicated.ask(
        "select bool_and(replica_lag_seconds between 0 and 60 and changed_until = snapshot_at and snapshot_at < now())"
        f" from audit.runs where run_id in ('{first}', '{second}')"
    ) == [(True,)]


def test_a_replica_that_is_behind_says_so(replicated: Nights, server: psycopg.Connection[Any]) -> None:
    replicated.shop.execute("update orders set updated_at = now() where order_id = 9")
    catch_up(replicated, server)
    server.execute("select pg_wal_replay_pause()")
    try:
        time.sleep(1)
        (paused,) = server.execute("select now()").fetchone() or (datetime.now(UTC),)
        replicated.shop.execute("update orders set updated_at = now() where order_id = 9")
        time.sleep(1.5)
        with readers(1) as shop:
            as_of, lag = replayed_until(shop.first)
        assert as_of < paused
        assert lag > 1.5
        sources = shop_sources(settings().sources)
        with pytest.raises(ReplicaBehind, match="it has no rows after") as behind:
            snapshot.extract(sources, dict.fromkeys(sources, EVERYTHING), "run", whole_day=as_of.date())
        assert isinstance(behind.value, OSError)  # tried again
    finally:
        server.execute("select pg_wal_replay_resume()")


def test_a_replica_of_a_shop_where_nobody_writes_is_not_behind(
    replicated: Nights, server: psycopg.Connection[Any]
) -> None:
    replicated.shop.execute("update orders set updated_at = now() where order_id = 9")
    catch_up(replicated, server)
    (commit,) = server.execute("select pg_last_xact_replay_timestamp()").fetchone() or (datetime.now(UTC),)
    time.sleep(8)
    with readers(1) as shop:
        as_of, lag = replayed_until(shop.first)
    assert lag < 6
    assert as_of > commit


def test_what_is_replayed_between_the_snapshot_and_the_question_is_not_taken_for_read(
    replicated: Nights, server: psycopg.Connection[Any]
) -> None:
    catch_up(replicated, server)
    with readers(1, before_snapshot) as shop:
        shop_row(shop.first, "select count(*) from orders")
        replicated.shop.execute("update orders set updated_at = now() where order_id = 9")
        catch_up(replicated, server)
        later, less = replayed_until(shop.first)
        as_of, lag = replayed_until(shop.first, before=shop.as_of)
    assert as_of == shop.as_of
    assert as_of < later
    assert lag == pytest.approx(less + (later - as_of).total_seconds())


@pytest.mark.parametrize("waits", [True, False])
def test_a_conflict_with_recovery_is_trouble_that_may_pass(
    replicated: Nights, server: psycopg.Connection[Any], waits: bool
) -> None:
    catch_up(replicated, server)
    begun = threading.Event()

    def vacuum() -> None:
        begun.wait(10)
        time.sleep(0.5)
        replicated.shop.execute("update orders set updated_at = now()")
        replicated.shop.execute("vacuum orders")
        catch_up(replicated, server)

    def read(connection: duckdb.DuckDBPyConnection, _: str) -> None:
        shop_row(connection, "select count(*) from orders")
        begun.set()
        if waits:  # in a statement; else between two
            shop_row(connection, "select count(pg_sleep(1)) from generate_series(1, 8)")
        writer.join()
        shop_row(connection, "select count(*) from orders")

    writer = threading.Thread(target=vacuum)
    writer.start()
    with pytest.raises((duckdb.Error, ConnectionError)) as refused, readers(1) as shop:
        shop.read(["orders"], read)
    writer.join()
    if waits:
        assert "canceling statement due to conflict with recovery" in str(refused.value)
    assert may_pass(refused.value) or isinstance(refused.value, OSError)
    with readers(1) as shop:
        assert shop_row(shop.first, "select count(*) > 0 from orders") == (True,)


def test_a_replica_that_cannot_say_is_not_read(replicated: Nights, standby: Cluster, primary: Cluster) -> None:
    with psycopg.connect(primary.url("shop", SUPERUSER), autocommit=True) as server:
        server.execute("checkpoint")
    with psycopg.connect(standby.url("shop", SUPERUSER), autocommit=True) as server:
        catch_up(replicated, server)
        server.execute("checkpoint")  # what it replays after its start begins here
    standby.stop()
    Cluster(standby.folder, settings={**_STANDBY, "primary_conninfo": ""}).start()
    try:
        with pytest.raises(ReplicaBehind, match="is not known"), readers(1) as shop:
            replayed_until(shop.first)
    finally:
        standby.stop()
        standby.start()
