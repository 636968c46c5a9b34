"""Where the bench works: a Postgres cluster of its own, a shop of the wanted size, a warehouse and a lake.

The cluster and the filled shop stay in the state folder and are used again by the next run of the same scale; every
run works on a copy of that shop, and copy, warehouse and lake are gone when it ends.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from include.demo_shop.history import HistorySize, fill_history
from include.demo_shop.schema import create_schema
from include.local.embedded_postgres import SUPERUSER, Cluster, libpq_environment
from include.local.environment import process_environment
from include.settings import ROOT
from tests.object_server import ObjectServer, running

LAST_DAY: Final = date(2025, 12, 31)  # of the shop's past: over on any clock, and the same rows on every machine
NEXT_DAY: Final = LAST_DAY + timedelta(days=1)
TIMEZONE: Final = "Europe/Berlin"
FULL_ORDERS: Final = 1_500_000  # at scale 1; about 6 M lines
DAYS: Final = 400
TOUCHED: Final = 365  # an incremental night meets one order in so many

# Beyond the laptop's settings: a warehouse's server sorts and hashes in more than 4 MB, and seldom checkpoints.
SERVER: Final = {"work_mem": "64MB", "maintenance_work_mem": "256MB", "max_wal_size": "4GB"}

_EDITS = Path(__file__).parent / "sql" / "day_of_trade.sql"


@dataclass(frozen=True)
class Place:
    """A shop to measure on.

    Attributes:
        folder: holds everything: the cluster, and while a bench runs its lake and other files.
        orders: about how many orders the shop has.
        server: an S3 server that holds the lake; None where it lies in a folder.
        keep: whether the filled shop is kept, and worked on in a copy, which takes twice its room on disk.
    """

    folder: Path
    orders: int
    server: ObjectServer | None = None
    keep: bool = True

    @property
    def size(self) -> HistorySize:
        """How much past the shop has."""
        return HistorySize(self.orders, DAYS, products=max(40, self.orders * 2_000 // FULL_ORDERS))

    @property
    def cluster(self) -> Cluster:
        """The Postgres of the bench."""
        return Cluster(self.folder / "postgres", settings=SERVER)

    @property
    def work(self) -> Path:
        """A folder for what only this run needs."""
        return self.folder / "work"

    @property
    def lake(self) -> Path:
        """The Delta lake."""
        return self.work / "lake"

    def shop(self, role: str = "shopkeeper") -> str:
        """The URL of the shop that is measured on."""
        return self.cluster.url("shop", role)

    def warehouse(self, role: str = "loader") -> str:
        """The URL of the warehouse."""
        return self.cluster.url("warehouse", role)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a task of the night finds in its environment."""
        given = {
            "STOCKTAKE_SHOP_URL": self.shop("extractor"),
            "STOCKTAKE_WAREHOUSE_URL": self.warehouse(),
            "STOCKTAKE_LAKE": str(self.lake),
            "STOCKTAKE_REPORTS": str(self.work / "reports"),
            "STOCKTAKE_SOURCES": str(ROOT / "include" / "sources" / "demo_shop"),
            "STOCKTAKE_TIMEZONE": TIMEZONE,
            "GX_ANALYTICS_ENABLED": "false",
            **(self.server.variables("bench/lake") if self.server else {}),
        }
        return process_environment(given, self.cluster)

    def psql_environment(self, url: str) -> Mapping[str, str]:
        """The environment of a psql that is logged in there."""
        return {**process_environment({}, self.cluster), **libpq_environment(url)}

    @contextmanager
    def open(self) -> Iterator[bool]:
        """Have the shop, an empty warehouse and an empty lake; whether the shop was there already."""
        self.cluster.start()
        try:
            filled = f"shop_{self.orders}" if self.keep else "shop"
            if not self.keep:
                self._clear()
            self.cluster.provision(shop=filled)
            was_filled = not self._fill(filled)
            if self.keep:
                self.begin_anew()
            else:
                self._provide()
            yield was_filled
        finally:
            with suppress(psycopg.Error):
                self._clear()
            self.cluster.stop()

    def begin_anew(self) -> None:
        """The shop as it was filled, an empty warehouse and an empty lake."""
        self._clear()
        self._copy(f"shop_{self.orders}")
        self._provide()

    @contextmanager
    def anew_in_bucket(self) -> Iterator[Place]:
        """The same, with the lake in a bucket of a server on this machine."""
        self.begin_anew()
        with running(self.work / "weed") as server:
            yield replace(self, server=server)

    def trade(self) -> int:
        """One day of trade: about one order in 365 is edited or new, with its lines; how many orders."""
        with psycopg.connect(self.shop()) as shop:
            shop.execute(_EDITS.read_bytes(), prepare=False)
        with psycopg.connect(self.shop(), autocommit=True) as shop:
            shop.execute("analyze")
            row = shop.execute("select count(*) from orders where updated_at > now() - interval '1 hour'").fetchone()
        return int(row[0]) if row else 0

    def _provide(self) -> None:
        """What is wanted beside the shop: grants on it, a warehouse, a folder."""
        self.cluster.provision()
        self.work.mkdir(parents=True)

    def _fill(self, database: str) -> bool:
        """Fill the shop unless it is; whether that was to be done. A past is written whole or not at all."""
        with psycopg.connect(self.cluster.url(database, "shopkeeper")) as shop:
            row = shop.execute("select to_regclass('public.orders') is not null").fetchone()
            if row and row[0]:
                return False
            create_schema(shop)
            fill_history(shop, last_day=LAST_DAY, timezone=ZoneInfo(TIMEZONE), size=self.size)
        return True

    def _copy(self, filled: str) -> None:
        """The filled shop as ``shop``, to do with as one likes."""
        with self._server() as server:
            template, owner = sql.Identifier(filled), sql.Identifier("shopkeeper")
            server.execute(
                sql.SQL("create database shop template {} owner {} strategy file_copy").format(template, owner)
            )

    def _clear(self) -> None:
        """Remove what only one run needs."""
        with self._server() as server:
            for database in ("shop", "warehouse", "airflow"):
                server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database)))
        shutil.rmtree(self.work, ignore_errors=True)

    def _server(self) -> psycopg.Connection:
        return psycopg.connect(self.cluster.url("postgres", SUPERUSER), autocommit=True)
