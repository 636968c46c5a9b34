"""A lake and a ledger written by hand, a few rows each: nights that are ready to be published a hundred times over."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.contract import Table, Type
from include.contract.arrow import arrow_schema
from include.contract.types import day_number
from include.lake import duckdb_session as duck
from include.lake import merge
from include.ledger import copies, runs
from include.ledger.runs import Run
from include.publish.publication import publish_night
from include.publish.table_version import TableVersion
from include.settings import ROOT, settings
from include.sources import shop_sources

Rows = Sequence[Mapping[str, Any]]
_FILLED = {Type.TEXT: "EUR", Type.BOOLEAN: False, Type.RATIO: 0.0}


def sources_in(folder: Path) -> Path:
    """The demo shop's sources with amounts of two decimals, as the tables that are written by hand have."""
    sources = folder / "sources"
    if not sources.exists():
        shutil.copytree(ROOT / "include" / "sources" / "demo_shop", sources)
        (sources / "shop.toml").unlink()
    return sources


@dataclass(frozen=True)
class Ready:
    """A night that is ready to be published."""

    run: Run
    snapshot_at: datetime
    built: list[TableVersion]

    def publish(self) -> int:
        """Publish it, as the DAG ``nightly`` does."""
        return publish_night(self.run, self.snapshot_at, self.built, shop_sources(settings().sources))


def night(day: date, copy: Mapping[str, Rows], tables: Sequence[tuple[Table, Rows]]) -> Ready:
    """Write a night into the lake and the ledger.

    Args:
        day: its business day.
        copy: all rows of some sources, columns by their lake names; what is not given is null.
        tables: all rows of the reporting tables; what is not given is nothing or, where it may be, null.
    """
    run, snapshot_at = Run(f"night of {day}", day, day), datetime.combine(day, time(23, 59), UTC)
    runs.open_run(run)
    runs.record_tables((table, copy, None) for table, _ in tables)
    counted = (
        "extracted", "accepted", "quarantined", "released", "recalled", "deleted", "held_rows", "late", "gone", "known",
        "replaced",
    )  # fmt: skip
    figures = dict.fromkeys((*counted, "held_version"), 0)
    known = shop_sources(settings().sources)
    counts = {
        name: {**figures, "clean_version": _write("clean", known[name], rows), "clean_rows": len(rows)}
        for name, rows in copy.items()
    }
    read = {"changed_since": "-infinity", "proof": None}
    copies.record_extracted(
        run.run_id, snapshot_at, snapshot_at,
        {name: {**figures, **read, "source_rows": len(copy[name])} for name in copy},
    )  # fmt: skip
    copies.record_accepted(run.run_id, counts)
    return Ready(run, snapshot_at, [TableVersion(table, _write("reporting", table, rows)) for table, rows in tables])


def _write(layer: str, table: Table, rows: Rows) -> int:
    """Commit rows to the lake as a build does; gives the version."""
    lake = [{column.lake_name: _value(column, row) for column in table.lake_columns} for row in rows]
    key = [table[name].lake_name for name in table.primary_key]
    with duck.session() as session:
        session.register("given", pa.Table.from_pylist(lake, schema=arrow_schema(table)))
        return merge.commit(session, layer, table.name, table.lake_columns, key, "given").version


def _value(column: Any, row: Mapping[str, Any]) -> Any:
    given = row.get(column.lake_name)
    if isinstance(given, date):
        return day_number(given)
    return given if given is not None or column.nullable else _FILLED.get(column.type, 0)
