"""Fixtures for every test: a real Postgres, and fresh databases in it."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest
from distributed import Client
from psycopg import sql
from xdist.scheduler import LoadScopeScheduling

from include.demo_shop.history import HistorySize, fill_history
from include.demo_shop.schema import create_schema
from include.extract import snapshot as extraction
from include.ledger.migrations import prepare
from include.local.embedded_postgres import SUPERUSER, Cluster
from include.settings import settings
from tests.nights import FEW, LAST_DAY, Nights, of_a_copied_shop
from tests.object_server import ObjectServer, running
from transforms.engines import ENGINES, Local
from transforms.engines.spark_engine import SparkEngine
from transforms.registry import TABLES

SMALL = HistorySize(orders=1_500, days=60, products=40)

_CLOCK: Final = extraction._CLOCK
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--engines``: on which engines the tables are drawn and built; all of them agree in any case.

    ``--histories``: through how many random histories the tables that are rebuilt in parts go.

    ``--every-change``: whether features and full refreshes are run too after every change of the declarations.

    ``--every-statement``: whether the loader dies at every statement that it sends.

    ``--object-store``: whether nights keep their lake in a bucket; tests that look into its folder fail then.
    """
    parser.addoption("--engines", default="pandas,duckdb", help=f"some of {','.join(ENGINES)}, or all")
    parser.addoption("--histories", type=int, help="so many, drawn anew; without it some that are the same every time")
    parser.addoption(
        "--every-change",
        action="store_true",
        help="after a change of declarations, all runs; else the night",
    )
    parser.addoption("--every-statement", action="store_true", help="die at each; without it at some")
    parser.addoption("--object-store", action="store_true", help="nights keep their lake in a bucket, not in a folder")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for ``engine`` runs on each of ``--engines``."""
    if "engine" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--engines")
        chosen = list(ENGINES) if asked == "all" else asked.split(",")
        metafunc.parametrize("engine", chosen, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs in a real Airflow is long. One begins and another ends: two at once would be slow on two cores."""
    items.sort(key=lambda item: ("end_to_end" not in item.path.parts) + ("deployments" in item.path.parts))
    for item in items:
        if "end_to_end" in item.path.parts:
            item.add_marker(pytest.mark.long)


class _ByWhatIsShared(LoadScopeScheduling):  # type: ignore[misc] # published without types
    """Tests that share something slow to start go to one process: Airflow, a cluster, a file's fixtures."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if "/deployments/" in file:
            return "deployments"
        if nodeid.endswith(("dask]", "spark]")):
            return "clusters"
        return "end_to_end" if "/end_to_end/" in file else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """How ``make test`` deals out tests to its processes."""
    return _ByWhatIsShared(config, log)


@dataclass(frozen=True)
class Database:
    """A database of the test cluster, with the roles and grants of a real one."""

    cluster: Cluster
    name: str

    def url(self, role: str = SUPERUSER) -> str:
        """Where ``role`` finds it: shopkeeper, extractor, loader, analyst, airflow or the superuser."""
        return self.cluster.url(self.name, role)

    def connect(self, role: str = SUPERUSER) -> psycopg.Connection:
        """A connection in autocommit mode."""
        return psycopg.connect(self.url(role), autocommit=True)

    def copy(self) -> Database:
        """A new database with this one's content, owner and grants; nobody may be connected to this one."""
        name = f"{self.name.rstrip('0123456789_')}_{next(_numbers)}"
        source, target = sql.Identifier(self.name), sql.Identifier(name)
        with psycopg.connect(self.cluster.url("postgres", SUPERUSER), autocommit=True) as server:
            owner, readers = _owner_and_readers(server, self.name)
            server.execute(
                sql.SQL("create database {} template {} owner {} strategy file_copy").format(target, source, owner)
            )
            server.execute(sql.SQL("alter database {} set timezone = 'UTC'").format(target))
            server.execute(sql.SQL("revoke all on database {} from public").format(target))
            for reader in readers:
                server.execute(sql.SQL("grant connect on database {} to {}").format(target, reader))
        return Database(self.cluster, name)

    def drop(self) -> None:
        """Remove it, whoever is connected."""
        with psycopg.connect(self.cluster.url("postgres", SUPERUSER), autocommit=True) as server:
            server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(self.name)))


def _owner_and_readers(server: psycopg.Connection, name: str) -> tuple[sql.Identifier, list[sql.Identifier]]:
    rows = server.execute(
        """
        select datdba::regrole::text, grant_to.grantee::regrole::text
        from pg_database
        cross join aclexplode(datacl) as grant_to
        where datname = %s and grant_to.privilege_type = 'CONNECT'
        """,
        [name],
    ).fetchall()
    owner = rows[0][0]
    return sql.Identifier(owner), [sql.Identifier(reader) for _, reader in rows if reader != owner]


# Nothing outlives a power cut, which tests do not have; to log in, as they do all the time, costs next to nothing; and
# nobody tidies up in databases that are gone within seconds. Whatever dies in them loses nothing that the kernel has.
_SERVER: Final = {
    "fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off",
    "shared_buffers": "128MB", "scram_iterations": "1", "log_line_prefix": "%m [%p] %d ",
}  # fmt: skip


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Postgres cluster for the whole run."""
    cluster = Cluster(tmp_path_factory.mktemp("postgres"), settings=_SERVER)
    cluster.start()
    cluster.provision()
    yield cluster
    cluster.stop()
    shutil.rmtree(cluster.home)


@pytest.fixture(scope="session")
def clusters() -> Iterator[Callable[[str], None]]:
    """Have what an engine runs on start once for all tests: small, in this process or beside it."""
    with ExitStack() as held:

        @cache
        def start(engine: str) -> None:
            if engine == "dask":
                held.enter_context(
                    Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0")
                )
            if engine == "spark":
                held.enter_context(SparkEngine(Local()))

        yield start


@pytest.fixture
def shop_database(cluster: Cluster) -> Iterator[Database]:
    """An empty database that the shopkeeper owns and the extractor may read."""
    database = Database(cluster, "shop").copy()
    yield database
    database.drop()


@pytest.fixture
def warehouse_database(cluster: Cluster, night_before: Done | None) -> Iterator[Database]:
    """A database that the loader owns and the analyst may enter: empty, or as the night before left it."""
    database = (night_before.warehouse if night_before else Database(cluster, "warehouse")).copy()
    yield database
    database.drop()


@pytest.fixture
def empty_ledger(warehouse_database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A warehouse with an empty ledger, of this process."""
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql:///nowhere")
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", warehouse_database.url("loader"))
    settings.cache_clear()
    prepare()
    yield warehouse_database
    settings.cache_clear()


@pytest.fixture(scope="session")
def small_past(cluster: Cluster) -> Iterator[Database]:
    """A shop with sixty days of past; nobody writes to it."""
    database = Database(cluster, "shop").copy()
    with psycopg.connect(database.url("shopkeeper")) as shop:
        create_schema(shop)
        fill_history(shop, last_day=LAST_DAY, seed=7, size=SMALL)
    yield database
    database.drop()


@dataclass(frozen=True)
class Done:
    """What one night and its features left; nobody writes to it."""

    shop: Database
    warehouse: Database
    lake: Path


@pytest.fixture(scope="session")
def night_done(
    cluster: Cluster, small_past: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[tuple[str, ...]], Done]]:
    """Have the first night of a shop run once for all tests that begin after it: of some tables, or of all."""
    with ExitStack() as held:

        @cache
        def done(names: tuple[str, ...]) -> Done:
            shop, warehouse = small_past.copy(), Database(cluster, "warehouse").copy()
            held.callback(shop.drop)
            held.callback(warehouse.drop)
            first = Done(shop, warehouse, tmp_path_factory.mktemp("night") / "lake")
            with pytest.MonkeyPatch.context() as environment, nights_between(environment, first) as nights:
                replace(nights, names=names).run()
            return first

        yield done


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """The tables that a test's nights build; a file whose tests need others has a fixture of its own."""
    return FEW


@pytest.fixture
def night_before(request: pytest.FixtureRequest, built_tables: tuple[str, ...]) -> Done | None:
    """For a test marked ``after_a_night``: what the night before left, of the tables that the test builds."""
    if request.node.get_closest_marker("after_a_night") is None:
        return None
    names = tuple(TABLES) if "every_table" in request.fixturenames else built_tables
    done: Done = request.getfixturevalue("night_done")(names)
    return done


@pytest.fixture
def old_shop(small_past: Database) -> Iterator[Database]:
    """A copy of the same shop, to do with as one likes."""
    database = small_past.copy()
    yield database
    database.drop()


@pytest.fixture
def nights(
    request: pytest.FixtureRequest, old_shop: Database, warehouse_database: Database, night_before: Done | None,
    tmp_path: Path, built_tables: tuple[str, ...], monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Nights]:  # fmt: skip
    """A shop with a past, its warehouse and lake (empty, or as the night before left them), and the nights between."""
    if night_before:
        shutil.copytree(night_before.lake, tmp_path / "lake")
        of_a_copied_shop(tmp_path / "lake")
    with nights_between(monkeypatch, Done(old_shop, warehouse_database, tmp_path / "lake")) as nights:
        if request.config.getoption("object_store"):
            move_lake(monkeypatch, request.getfixturevalue("object_server"))
        yield replace(nights, names=built_tables)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the shop's clock at a snapshot: at some hour after a business day."""
    return partial(set_clock, monkeypatch)


def set_clock(environment: pytest.MonkeyPatch, day: date, hour: int = 4) -> None:
    """Have the shop's clock say, at every snapshot from now on, that it is some hour after a business day."""
    instant = f"timestamptz '{day + timedelta(days=1)} {hour:02}:00+00'"
    environment.setattr(extraction, "_CLOCK", _CLOCK.replace("now()", instant, 1))


@contextmanager
def nights_between(environment: pytest.MonkeyPatch, between: Done) -> Iterator[Nights]:
    """The nights between a shop and a warehouse, in UTC, and a lake."""
    environment.setenv("STOCKTAKE_SHOP_URL", between.shop.url("extractor"))
    environment.setenv("STOCKTAKE_WAREHOUSE_URL", between.warehouse.url("loader"))
    environment.setenv("STOCKTAKE_TIMEZONE", "UTC")
    environment.setenv("STOCKTAKE_LAKE", str(between.lake))
    environment.setenv("STOCKTAKE_REPORTS", str(between.lake.parent / "reports"))
    settings.cache_clear()
    with between.shop.connect("shopkeeper") as shop, between.warehouse.connect("loader") as warehouse:
        yield Nights(shop, warehouse)
    settings.cache_clear()


@pytest.fixture
def every_table(nights: Nights) -> Nights:
    """The same nights, which build all tables there are."""
    return replace(nights, names=TABLES)


def lake_alone(environment: pytest.MonkeyPatch, lake: Path) -> None:
    """Settings of a lake without a shop and a warehouse."""
    environment.setenv("STOCKTAKE_SHOP_URL", "postgresql:///nowhere")
    environment.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql:///nowhere")
    environment.setenv("STOCKTAKE_LAKE", str(lake))
    settings.cache_clear()


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """An S3 server; a test's lake is a prefix of a bucket of its own."""
    with running(tmp_path_factory.mktemp("weed")) as server:
        yield server


@pytest.fixture
def bucket(object_server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """The server that holds a test's own lake, in a bucket, without a shop and a warehouse."""
    lake_alone(monkeypatch, tmp_path / "lake")
    for name, value in object_server.variables(f"alone/{tmp_path.name}").items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield object_server
    settings.cache_clear()


def move_lake(environment: pytest.MonkeyPatch, server: ObjectServer) -> None:
    """Move the lake of the settings from its folder, if there is one, into a bucket."""
    folder = Path(settings().lake)
    lake = f"lakes/{uuid4()}"
    for name, value in server.variables(lake).items():
        environment.setenv(name, value)
    settings.cache_clear()
    server.upload(folder, lake)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a test's own lake, without a shop and a warehouse."""
    lake_alone(monkeypatch, tmp_path / "lake")
    yield tmp_path / "lake"
    settings.cache_clear()
