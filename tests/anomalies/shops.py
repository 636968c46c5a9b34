"""Shops with a long past, their rows accepted into a lake: what the search for anomalies is measured on.

A lake is made once per shop and seed and stays in the folder that it is made in: nobody writes to it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg

from include.demo_shop.complete_journey import load, packaged
from include.demo_shop.history import fill_history
from include.demo_shop.schema import create_schema
from include.extract import snapshot as extraction
from include.extract import sql_files
from include.extract.completeness import kept_proof
from include.gate.acceptance import accept
from include.gate.checks import check_source
from include.gate.versions import ALWAYS
from include.local.embedded_postgres import SUPERUSER, Cluster
from include.settings import ROOT, settings
from include.sources import shop_sources

_RUN: Final = "filled"


@dataclass(frozen=True)
class Shop:
    """A shop with a past.

    Attributes:
        name: of its folder of SQL.
        seed: of a simulated past; another seed is another one.
        last_day: the last day of its past.
        timezone: its zone.
    """

    name: str
    seed: int
    last_day: date
    timezone: str

    @property
    def title(self) -> str:
        """What it is called in a report."""
        return f"{self.name} {self.seed}" if self.seed else self.name

    @contextmanager
    def open(self, folder: Path, cluster: Callable[[], Cluster]) -> Iterator[None]:
        """Settings of its lake in this block; the lake is filled first, unless it is.

        Args:
            folder: where lakes are kept.
            cluster: starts a Postgres, or gives one that runs; called only where a lake is to be filled.
        """
        home = folder / self.title.replace(" ", "-")
        given = {
            "STOCKTAKE_SHOP_URL": "postgresql:///nowhere",
            "STOCKTAKE_WAREHOUSE_URL": "postgresql:///nowhere",
            "STOCKTAKE_LAKE": str(home / "lake"),
            "STOCKTAKE_SOURCES": str(ROOT / "include" / "sources" / self.name),
            "STOCKTAKE_TIMEZONE": self.timezone,
        }
        before = {name: os.environ.get(name) for name in given}
        os.environ |= given
        settings.cache_clear()
        try:
            if not (home / "filled").exists():
                home.mkdir(parents=True, exist_ok=True)
                self._fill(cluster())
                (home / "filled").touch()
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            settings.cache_clear()

    def _fill(self, cluster: Cluster) -> None:
        """Write its past into a database, and have a night's gate accept all of it."""
        database = f"anomalies_{self.name}_{self.seed}"
        gone = f"drop database if exists {database} with (force)".encode()
        with psycopg.connect(cluster.url("postgres", SUPERUSER), autocommit=True) as server:
            server.execute(gone)  # of an earlier try
        cluster.provision(shop=database)
        with psycopg.connect(cluster.url(database, "shopkeeper")) as shop:
            self._past()(shop)
        os.environ["STOCKTAKE_SHOP_URL"] = cluster.url(database, "extractor")
        settings.cache_clear()
        sources = shop_sources(settings().sources)
        read = extraction.extract(sources, dict.fromkeys(sources, sql_files.EVERYTHING), _RUN)
        full = dict.fromkeys(sources, True)
        with warnings.catch_warnings():
            # Great Expectations and deltalake use what their own dependencies, or they themselves, deprecate.
            warnings.simplefilter("ignore", DeprecationWarning)
            for name in sources:
                check_source(sources, name, _RUN, full, read.snapshot_at.isoformat())
            accept(sources, {}, _RUN, full, kept_proof(_RUN, sources), ALWAYS)
        with psycopg.connect(cluster.url("postgres", SUPERUSER), autocommit=True) as server:
            server.execute(gone)

    def _past(self) -> Callable[[psycopg.Connection[Any]], object]:
        if self.name == "complete_journey":
            return partial(load, folder=packaged())
        return self._simulated

    def _simulated(self, shop: psycopg.Connection[Any]) -> None:
        create_schema(shop)
        fill_history(shop, last_day=self.last_day, seed=self.seed, timezone=ZoneInfo(self.timezone))
