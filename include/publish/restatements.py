"""Restatements: every figure of an earlier day that a publication changes, old and new, and the rows that caused it.

Belongs here: which tables have days, and which of their rows a publication replaced. Does not: replacing them
(``live``) or finding the causes (``changed_rows``, ``causes``). The publication's transaction records everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL

from include.contract import Table, Type
from include.lake import duckdb_session as duck
from include.ledger import copies, publications
from include.ledger.runs import Run
from include.publish.causes import find_causes
from include.publish.changed_rows import find_changed, stage_changed
from include.publish.live_schema import Difference
from include.settings import settings
from include.sources import lake_sources

DAY = "day"  # a table with this column in its key is a table by day


@dataclass(frozen=True)
class Watch:
    """What is watched during a publication, to find restatements.

    Attributes:
        until: the last day that was published before and is published again now.
        tables: the tables with a day in their key.
        changed: per source with rows that differ between the two copies, the columns that link its rows to a figure.
        is_known: whether the differences of every source are known.
        new_columns: per table, the columns that were not published before, or had another type: they restate nothing.
    """

    until: date | None = None
    tables: Sequence[Table] = ()
    changed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    is_known: bool = True
    new_columns: Mapping[str, Collection[str]] = field(default_factory=dict)

    def keeping(self, table: Table, side: str, statement: str, row: str = "") -> str:
        """Extend a statement so that it also keeps the rows it deletes (``old``) or inserts (``new``).

        Args:
            table: the table.
            side: ``old`` or ``new``.
            statement: a delete or an insert.
            row: the statement's alias for a row, with a dot.
        """
        if table not in self.tables:
            return statement
        names = [column.name for column in table.columns]
        returned = ", ".join(f"{row}{name}" for name in names)
        return f"""
            with changed as ({statement} returning {returned})
            insert into {_kept_rows(table, side)} select {", ".join(names)} from changed
        """


def watch(run: Run, differs: Iterable[Difference]) -> Watch:
    """Find out what a run's publication may restate, and stage the shop's rows that may be the cause.

    Args:
        run: a run that is not published yet.
        differs: how its live tables differ from their declaration. A table, grain or column that was not published
            before restates nothing.

    Returns:
        A watch without tables if nothing was published before.

    Raises:
        duckdb.Error: when the warehouse or the lake cannot be read.
    """
    differs = list(differs)
    live = publications.live_copy(run, [one.table for one in differs])
    compared = [one for one in differs if not (one.missing or one.key)]
    if live and run.kind.builds_some_tables:
        compared = [one for one in compared if one.table.qualified_name in live.tables]  # the others are new
    days = [one.table for one in compared if DAY in one.table.primary_key and one.table[DAY].type is Type.DAY]
    new_columns = {one.table.name: {*one.added, *one.retyped} - {*one.widened} for one in compared}
    if live is None or not days:
        return Watch()
    before, after, sources = live.versions, copies.clean_versions(run.run_id), lake_sources(settings().sources)
    wanted = {table[name].owner_key: table[name] for table in days for name in table.primary_key if name != DAY}
    changed: dict[str, Sequence[str]] = {}
    is_known = True
    with duck.session() as session:
        duck.attach(session, "warehouse", settings().warehouse_url, read_only=False)
        for name in sources:
            pinned = (before.get(name), after.get(name))
            is_known = find_changed(session, sources[name], *pinned) and is_known
        for name, source in sources.items():
            if session.execute(f"select 1 from changed_{name} limit 1").fetchone():
                changed[name] = stage_changed(session, source, sources, after, wanted)
    return Watch(min(live.horizon, run.horizon), days, changed, is_known, new_columns)


def keep(connection: psycopg.Connection[TupleRow], watched: Watch) -> None:
    """Create temporary tables for the replaced rows; they are dropped with the transaction."""
    for table in watched.tables:
        names = ", ".join(column.name for column in table.columns)
        for side in ("old", "new"):
            connection.execute(
                SQL(
                    f"""
                    create temp table {_kept_rows(table, side)} on commit drop as
                    select {names} from {table.qualified_name} with no data
                    """
                )
            )


def record(connection: psycopg.Connection[TupleRow], watched: Watch, publication_id: int) -> None:
    """Record every figure of an earlier day that the publication changed, after its tables were replaced."""
    for table in watched.tables:
        new = watched.new_columns.get(table.name, ())
        metrics = [name for name in _metrics(table) if name not in new]
        if metrics and _find_restated(connection, table, metrics, watched.until):
            find_causes(connection, table, watched.changed)
            _enter(connection, table, metrics, publication_id, watched)


def _find_restated(
    connection: psycopg.Connection[TupleRow], table: Table, metrics: Sequence[str], until: date | None
) -> int:
    """Create ``restated_…``: the rows of earlier days that changed; returns their number."""
    name, key = table.name, ", ".join(table.primary_key)
    old, new = (", ".join(f"{side}.{metric}" for metric in metrics) for side in ("old", "new"))
    # Postgres assumes that a table without statistics is small, and would join a large one row by row.
    connection.execute(SQL(f"analyze {_kept_rows(table, 'old')}, {_kept_rows(table, 'new')}"))
    return connection.execute(
        SQL(
            f"""
            create temp table restated_{name} on commit drop as
            select {key}, to_jsonb(old) as old, to_jsonb(new) as new
            from {_kept_rows(table, "old")} as old
            full join {_kept_rows(table, "new")} as new using ({key})
            where day <= %s and ({old}) is distinct from ({new})
            """
        ),
        [until],
    ).rowcount


def _enter(
    connection: psycopg.Connection[TupleRow], table: Table, metrics: Sequence[str], publication_id: int, watched: Watch
) -> None:
    values = ", ".join(
        f"('{name}', nullif(old -> '{name}', 'null'), nullif(new -> '{name}', 'null'))" for name in metrics
    )
    others = ", ".join(f"'{name}', {name}" for name in table.primary_key if name != DAY)
    connection.execute(
        SQL(
            f"""
            insert into audit.restatements
                (publication_id, schema_name, table_name, day, row_key, metric, old_value, new_value, causes)
            select
                %(publication)s, '{table.schema}', '{table.name}', day, jsonb_build_object({others}),
                metric.name, metric.old_value, metric.new_value,
                coalesce(why.causes, case when %(known)s then '{{}}'::jsonb end)
            from restated_{table.name}
            left join why_{table.name} as why using ({", ".join(table.primary_key)})
            cross join lateral (values {values}) as metric (name, old_value, new_value)
            where metric.old_value is distinct from metric.new_value
            """
        ),
        {"publication": publication_id, "known": watched.is_known},
    )


def _metrics(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.name not in table.primary_key]


def _kept_rows(table: Table, side: str) -> str:
    return f"{side}_{table.name}"
