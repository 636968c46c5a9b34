"""Staging: the rows that changed since the live version, by the lake's change feed, and the quarantine.

All rows of a table if its changes are not known, or on a full refresh; of a table of slices, the slices to publish.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier

from include.contract import Source, Table
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.ledger import publications
from include.ledger.locks import patient
from include.ledger.runs import Run
from include.publish import quarantine
from include.publish.live_schema import Difference
from include.publish.table_version import STAGING, UNVACUUMED, TableVersion
from include.publish.verification import Touched
from include.settings import settings


def unpublished(run: Run, table: Table, version: int) -> list[str] | None:
    """The change files that name the rows in which a version of a table may differ from the published one.

    Returns:
        Absolute paths (``lake.changes``); None if all rows must be compared: the published version is unknown, was
        built from another definition, does not precede this version or is a slice, or this is a full refresh.
    """
    live = publications.live_version(table, version)
    if run.full_refresh or table.rebuild.kind == "as_of" or live is None:
        return None
    return lake.changes(table.schema, table.name, live, version)


def stage(
    connection: psycopg.Connection[TupleRow],
    run: Run,
    built: list[TableVersion],
    sources: Mapping[str, Source],
    differs: Mapping[str, Difference],
) -> dict[str, Touched]:
    """Load the changed rows of every table that is there, and the quarantine, into staging.

    Args:
        connection: to the warehouse, in no transaction.
        run: the run that publishes.
        built: its tables.
        sources: the shop's sources, for the quarantine.
        differs: by qualified name, how a live table differs from its declaration; if rows differ, all are staged.

    Returns:
        By qualified name, which rows are staged, for the tables that are not staged in full.
    """
    built = [one for one in built if not differs[one.table.qualified_name].missing]
    changes = {one.staged: unpublished(run, one.table, one.version) for one in built}
    for one in built:
        if differs[one.table.qualified_name].is_of_rows:
            changes[one.staged] = None
    with connection.transaction():
        drop(connection)
        for one in built:
            columns = ", ".join(f"{column.name} {column.postgres}" for column in one.table.columns)
            connection.execute(SQL(f"create unlogged table {one.staged} ({columns}) {UNVACUUMED}"))
            keys = ", ".join(f"{name} {one.table[name].postgres}" for name in one.table.primary_key)
            connection.execute(SQL(f"create unlogged table {one.staged_keys} ({keys}) {UNVACUUMED}"))
        connection.execute(SQL(quarantine.STAGED))
    with duck.session() as session:
        duck.attach(session, "warehouse", settings().warehouse_url, read_only=False)
        for one in built:
            _load(session, one, changes[one.staged])
        for source in sources.values():
            quarantine.stage(session, source)
    with connection.transaction():
        for one in built:
            # After the load: sorting once is cheaper than inserting every row into the index.
            key = ", ".join(one.table.primary_key)
            for staged in (one.staged, one.staged_keys):
                connection.execute(SQL(f"alter table {staged} add primary key ({key}); analyze {staged}"))
    return {
        one.table.qualified_name: _touched(one, files) for one in built if (files := changes[one.staged]) is not None
    }


def drop(connection: psycopg.Connection[TupleRow]) -> None:
    """Drop every staging table, including those left by a killed publisher.

    Args:
        connection: in a transaction.

    Raises:
        LockBusy: when somebody reads one for too long, as a dump of the database may.
    """
    rows = connection.execute("select tablename from pg_tables where schemaname = 'staging'").fetchall()
    with patient(connection, "clearing the staging tables"):
        for (name,) in rows:
            connection.execute(SQL("drop table {}").format(Identifier(STAGING, name)))


def _touched(one: TableVersion, changes: Sequence[str]) -> Touched:
    """The rows whose keys the change files name."""
    if not changes:
        return Touched("false", "false")
    key = ", ".join(one.table[name].lake_name for name in one.table.primary_key)
    same = " and ".join(f"staged.{name} = live.{name}" for name in one.table.primary_key)
    return Touched(
        f"({key}) in ({duck.keys(changes, key)})", f"exists (select from {one.staged_keys} as staged where {same})"
    )


def _load(session: duckdb.DuckDBPyConnection, one: TableVersion, changes: list[str] | None) -> None:
    """Stage the rows whose keys the change files name, and these keys; without files (None), all rows or slices."""
    if changes is not None and not changes:
        return
    some = ""
    if changes:
        table = one.table
        keys = ", ".join(table[name].lake_name for name in table.primary_key)
        session.execute(f"create or replace temp table changed as {duck.keys(changes, keys)}")
        warehouse_keys = ", ".join(f"{table[name].to_warehouse_sql()} as {name}" for name in table.primary_key)
        session.execute(f"insert into warehouse.{one.staged_keys} by name select {warehouse_keys} from changed")
        some = f" semi join changed using ({keys})"
    for selected in one.selects(some):
        session.execute(f"insert into warehouse.{one.staged} by name {selected}")
