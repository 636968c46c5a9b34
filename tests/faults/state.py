"""All that a night leaves, told so that two nights that came to the same say the same.

Left out is what two undisturbed nights differ in: clocks, durations, the numbers that Postgres gives. A publication is
told by its place among all, a version of the lake by the rows that it holds.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from pyarrow import parquet

from include.lake import duckdb_session as duck
from include.lake import storage
from include.lake import tables as lake
from include.ledger.connection import connect
from include.settings import settings

State = dict[str, list[str]]  # by section, its lines in order

_LOGGED = re.compile(r"\d{20}\.(json|checkpoint\.parquet)$|_last_checkpoint$")
_CLOCKS = ("timestamp with time zone", "double precision")
_NUMBERS = frozenset({"quarantine_id", "approval_id", "anomaly_id", "explanation_id", "accepting_from"})
_PUBLICATIONS = frozenset({"publication_id", "built_from"})
_OF_SOURCES = {"clean_version": "clean", "held_version": "quarantine"}


def left() -> list[str]:
    """What a process that died has left, and nobody has taken away: in the lake, beside it, and in the warehouse."""
    with connect() as connection:
        return sorted(_left_in_lake()) + _left_in_postgres(connection)


def look(tables: Iterable[str]) -> State:
    """What there is now.

    Args:
        tables: the published tables, as ``schema.name``.
    """
    state: State = {}
    with connect() as connection:
        places = {
            number: place
            for place, (number,) in enumerate(
                connection.execute("select publication_id from audit.publications order by 1").fetchall(), 1
            )
        }
        clocks: dict[str, set[str]] = {}
        for schema, table, column in connection.execute(
            "select table_schema, table_name, column_name from information_schema.columns"
            " where data_type = any(%s) and table_schema in ('audit', 'reporting', 'features')",
            [list(_CLOCKS)],
        ):
            clocks.setdefault(f"{schema}.{table}", set()).add(column)
        ledger = [
            f"audit.{name}"
            for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'audit'").fetchall()
        ]
        for name in sorted([*ledger, *tables, "audit.verdicts", "reporting.data_status"]):
            # In a published table an instant is a fact; which publication put a row there is told beside it.
            hidden = {"known_at", "_publication_id"} if name in tables else clocks.get(name, set())
            rows = [row for (row,) in connection.execute(f"select to_jsonb(row) from {name} as row".encode())]
            told = (_told(row, hidden, places) for row in rows)
            state[name] = sorted(json.dumps(row, sort_keys=True) for row in told)
            if name in tables:
                by_publication = Counter(places.get(row["_publication_id"]) for row in rows)
                state[f"audit of {name}"] = [str(sorted(by_publication.items()))]
        state["the watermarks"] = [
            str(row)
            for row in connection.execute(
                "select source, runs.run_id from audit.watermarks left join audit.runs using (changed_until) order by 1"
            )
        ]
        state["left in Postgres"] = _left_in_postgres(connection)
    for layer in lake.LAYERS:
        for name in _tables(layer):
            state[f"lake/{layer}/{name}"] = [_rows(layer, name, None)]
    state["left in the lake"] = sorted(_left_in_lake())
    return state


def differences(expected: State, found: State, leaving_out: Iterable[str] = ()) -> list[str]:
    """What is not as it should be, a line per section."""
    said = []
    for section in sorted(expected.keys() | found.keys()):
        one, other = expected.get(section), found.get(section)
        if one == other or any(section.startswith(prefix) for prefix in leaving_out):
            continue
        lacking = sorted(set(one or []) - set(other or []))
        more = sorted(set(other or []) - set(one or []))
        said.append(
            f"{section}: {len(lacking)} lines lack, {len(more)} are more"
            f"{', expected ' + lacking[0][:300] if lacking else ''}{', found ' + more[0][:300] if more else ''}"
        )
    return said


def _told(row: dict[str, Any], hidden: set[str], places: Mapping[int, int]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for column, value in row.items():
        if column in hidden or column in _NUMBERS:
            continue
        if column in _PUBLICATIONS:
            told[column] = places.get(value, value)
        elif column in _OF_SOURCES and value is not None:
            told[column] = _rows(_OF_SOURCES[column], row["source"], value)
        elif column == "changed_since" and row.get("accepted", 0) is None:  # a run that read nothing itself
            told[column] = "the snapshot of the copy that it goes by"
        elif column == "lake_version":
            told[column] = _rows(row["schema_name"], row["table_name"], value)
        elif column == "inputs" and value:
            told[column] = {
                table: _rows(table.partition(".")[0], table.partition(".")[2], version)
                for table, version in value.items()
            }
        else:
            told[column] = value
    return told


def _rows(layer: str, name: str, version: int | None) -> str:
    """A digest of the rows of a version; a run's rows that were read are told without the clock's time."""
    try:
        files = lake.files(layer, name, version)
        return _digest(tuple(files), layer) if files else "no rows"
    except Exception as error:  # said as what is found there
        return f"cannot be read: {str(error)[:200]}"


@cache
def _digest(files: tuple[str, ...], layer: str) -> str:
    listed = ", ".join(duck.quoted(file) for file in files)
    with storage.opened(files[0]) as file:
        columns = sorted(name for name in parquet.read_schema(file).names if name != "_snapshot_at")
    if layer in ("raw", "gone"):
        columns.append("_run")
    found = (
        _duckdb()
        .execute(
            f"select count(*), coalesce(sum(hash({', '.join(columns)})), 0)"
            f" from read_parquet([{listed}], hive_partitioning = {layer in ('raw', 'gone')})"
        )
        .fetchone()
    )
    return "{} rows, {}".format(*(found or ()))


@cache
def _duckdb() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    duck.reach_lake(connection)
    return connection


def _tables(layer: str) -> list[str]:
    names = storage.folders(storage.in_lake(layer))
    return [name for name in names if storage.files(storage.join(lake.folder(layer, name), "_delta_log"))]


def _left_in_postgres(connection: psycopg.Connection[Any]) -> list[str]:
    """Staging tables, and locks that somebody holds."""
    found = connection.execute(
        "select 'staging ' || tablename from pg_tables where schemaname = 'staging'"
        " union all select 'lock of process ' || pid from pg_locks"
        " where relation = to_regclass('audit.locks') and mode = 'RowShareLock'"
        " and database = (select oid from pg_database where datname = current_database())"
    )
    return sorted(row[0] for row in found)


def _left_in_lake() -> Iterable[str]:
    """What a process that died would leave in the lake, and in the folder for what is temporary."""
    root = f"{settings().lake}/"
    yield from (f"scratch {name}" for name in storage.folders(storage.in_lake("scratch")))
    yield from (f"spill {entry.name}" for entry in Path(os.environ["TMPDIR"]).glob("stocktake-*"))
    gate = [file.path.removeprefix(root) for file in storage.files(storage.in_lake("gate"), deep=True)]
    yield from (f"gate {file}" for file in gate if file.endswith(".part") or re.fullmatch("gate/[^/]+/[^/]+/.*", file))
    for layer in lake.LAYERS:
        for name in _tables(layer):
            log = storage.files(storage.join(lake.folder(layer, name), "_delta_log"))
            named = {*_named(layer, name, log)}
            stored = {file.path: file.name for file in storage.files(lake.folder(layer, name), deep=True)}
            for file in log:
                stored.pop(file.path)
            yield from (f"file {layer}/{name}/{file}" for file in stored.values() if file not in named)
            told = {storage.name_of(one.changes) for one in lake.commits(layer, name) if one.changes}
            changes = storage.files(lake.changes_folder(layer, name))
            yield from (f"changes {layer}/{name}/{file.name}" for file in changes if file.name not in told)
            yield from (f"log {layer}/{name}/{file.name}" for file in log if not _LOGGED.match(file.name))


def _named(layer: str, name: str, log: Iterable[storage.File]) -> Iterable[str]:
    """The files that any version of a table names."""
    for file in log:
        if file.name.endswith(".json"):
            for line in storage.read(file.path).decode().splitlines():
                action = json.loads(line)
                if "add" in action:
                    yield storage.name_of(action["add"]["path"])
        elif file.name.endswith(".checkpoint.parquet"):
            yield from map(storage.name_of, lake.named_files(layer, name))
