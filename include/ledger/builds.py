"""Builds in the ledger: which version of a table a run made, from what, and which build a later run may continue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from psycopg.types.json import Jsonb

from include.contract import Table
from include.ledger.connection import connect
from include.ledger.locks import held
from include.ledger.runs import Run


@dataclass(frozen=True)
class Build:
    """An earlier build that an incremental build can continue from.

    Attributes:
        version: of the table in the lake.
        inputs: the version of each input, by ``layer.name``.
        horizon: the last whole business day that it covers.
        digest: of all its rows.
    """

    version: int
    inputs: Mapping[str, int]
    horizon: date
    digest: str


@contextmanager
def alone(table: Table) -> Iterator[None]:
    """Lock a table of the lake: if two nights build it at once, one waits for the other."""
    with held(f"build {table.qualified_name}"):
        yield


def find_base(run: Run, table: Table, version: int | None, definition: str) -> Build | None:
    """The build that made a version of a table, if this run may continue from it.

    It may not if the run is a full refresh or asks for another engine, if the table's definition or the shop's numbers
    were different then, or if that build covers later days.
    """
    if run.full_refresh or version is None:
        return None
    with connect() as connection:
        row = connection.execute(
            """
            select lake_version, inputs, horizon, digest
            from audit.builds
            where schema_name = %(schema)s and table_name = %(table)s and lake_version = %(version)s
                and definition = %(definition)s and %(engine)s in ('auto', engine)
                and horizon <= %(horizon)s
            order by built_at desc limit 1
            """,
            {
                "schema": table.schema,
                "table": table.name,
                "version": version,
                "definition": definition,
                "engine": run.engine,
                "horizon": run.horizon,
            },
        ).fetchone()
    return Build(*row) if row else None


def last_definition(table: Table) -> str | None:
    """The definition of a table's latest build; None if it was never built, or if the definition is not known."""
    with connect() as connection:
        row = connection.execute(
            "select definition from audit.builds where schema_name = %s and table_name = %s"
            " order by built_at desc limit 1",
            [table.schema, table.name],
        ).fetchone()
    return row[0] if row else None


def versions(run: Run) -> dict[str, dict[str, int]]:
    """The versions that a run's builds may read, by schema and table: its own, and those of the copy it uses."""
    with connect() as connection:
        rows = connection.execute(
            """
            select schema_name, table_name, lake_version from audit.publication_tables
            join audit.publications using (publication_id)
            where publication_id = %(built_from)s and publications.horizon = %(horizon)s
            union all
            select schema_name, table_name, lake_version from audit.builds where run_id = %(run)s
            """,
            {
                "built_from": run.built_from if run.kind.builds_some_tables else None,
                "horizon": run.horizon,
                "run": run.run_id,
            },
        ).fetchall()
    found: dict[str, dict[str, int]] = {}
    for schema, name, version in rows:
        found.setdefault(schema, {})[name] = version
    return found


def record(
    run: Run,
    table: Table,
    engine: str,
    version: int,
    rows: int,
    digest: str,
    inputs: Mapping[str, int],
    definition: str,
) -> None:
    """Record a built table, replacing what an earlier attempt recorded."""
    with connect() as connection:
        connection.execute(
            """
            insert into audit.builds
                (run_id, schema_name, table_name, engine, lake_version, rows, digest, inputs, definition, horizon)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (run_id, schema_name, table_name) do update set
                engine = excluded.engine, lake_version = excluded.lake_version, rows = excluded.rows,
                digest = excluded.digest, inputs = excluded.inputs, definition = excluded.definition,
                horizon = excluded.horizon, built_at = now()
            """,
            [
                run.run_id, table.schema, table.name, engine, version, rows, digest, Jsonb(dict(inputs)), definition,
                run.horizon,
            ],
        )  # fmt: skip


def built_versions(run_id: str) -> dict[str, int]:
    """Per table that the run has built, its version in the lake."""
    with connect() as connection:
        return dict(
            connection.execute(
                "select table_name, lake_version from audit.builds where run_id = %s", [run_id]
            ).fetchall()
        )


def record_parity(run_id: str, table: Table, engine: str, other: str, difference: str | None) -> None:
    """Record whether two engines built the same table."""
    with connect() as connection:
        connection.execute(
            """
            insert into audit.parity (run_id, schema_name, table_name, engine, other_engine, equal, difference)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (run_id, schema_name, table_name) do update set
                engine = excluded.engine, other_engine = excluded.other_engine, equal = excluded.equal,
                difference = excluded.difference
            """,
            [run_id, table.schema, table.name, engine, other, difference is None, difference],
        )
