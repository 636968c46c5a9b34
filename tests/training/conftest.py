"""A lake with feature slices in it and a ledger that says when they were published; no night has to run for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from include.contract.arrow import arrow_schema
from include.contract.types import day_number
from include.lake import writes
from include.ledger import runs
from include.ledger.migrations import prepare
from include.ledger.runs import Kind, Run
from include.settings import ROOT, settings
from include.sources import key_types
from tests.conftest import Database
from transforms.registry import TABLES

ZONE = "Europe/Berlin"


@dataclass(frozen=True)
class Warehouse:
    """A lake and a ledger, empty at first.

    Attributes:
        connection: to the warehouse, as the loader.
    """

    connection: psycopg.Connection[Any]

    def publish(
        self, name: str, night: date, rows: Sequence[Mapping[str, Any]], at: datetime, *, changed: bool = True
    ) -> int:
        """Build a night's slice of a feature set and publish it; columns that are not given are null.

        Returns:
            The publication.
        """
        version = self.build(name, night, rows)
        row = self.connection.execute(
            "insert into audit.publications (run_id, night, horizon, snapshot_at, published_at)"
            " values ('features', %s, %s, %s, %s) returning publication_id",
            [night, night, at, at],
        ).fetchone()
        assert row is not None
        self.connection.execute(
            "insert into audit.publication_tables values (%s, 'features', %s, %s, %s, %s, 0, true)",
            [row[0], name, version, len(rows), len(rows) or 1 if changed else 0],
        )
        return int(row[0])

    @staticmethod
    def build(name: str, night: date, rows: Sequence[Mapping[str, Any]]) -> int:
        """Write a night's slice into the lake, published or not; its version."""
        table = TABLES[name].table.typed(key_types(settings().sources))
        schema, day = arrow_schema(table), day_number(table.rebuild.slice_of(night))
        whole = pa.Table.from_pylist([{"as_of": day, **row} for row in rows], schema)
        return writes.replace_slice("features", name, "as_of", day, whole.to_reader())


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A shop's folder whose keys a test may declare."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for file in (ROOT / "include/sources/demo_shop").glob("*.sql"):
        (folder / file.name).write_text(file.read_text())
    return folder


@pytest.fixture
def warehouse(
    warehouse_database: Database, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    """An empty lake and a ledger without a publication."""
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", warehouse_database.url("loader"))
    monkeypatch.setenv("STOCKTAKE_ANALYST_URL", warehouse_database.url("analyst"))
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql://extractor@shop.invalid/shop")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(sources))
    monkeypatch.setenv("STOCKTAKE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("STOCKTAKE_TIMEZONE", ZONE)
    settings.cache_clear()
    prepare()
    runs.open_run(Run("features", date(2026, 3, 1), date(2026, 3, 1), dag="features", kind=Kind.TABLES))
    with warehouse_database.connect("loader") as connection:
        yield Warehouse(connection)
    settings.cache_clear()


def days(count: float) -> timedelta:
    """A length of time."""
    return timedelta(days=count)
