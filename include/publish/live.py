"""The live tables: their comments, all rows of a new one or those of another that differ, counted in the ledger."""

from __future__ import annotations

import duckdb
import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Literal

from include.contract import Table
from include.contract.ddl import KNOWN_AT, PUBLICATION, comments
from include.ledger.runs import Run
from include.publish.copying import copy_rows
from include.publish.restatements import Watch
from include.publish.table_version import TableVersion
from include.publish.verification import Touched

_COMMENTS = """
select concat_ws('.', case when attname is null then 'table ' else 'column ' end || %(table)s, attname), description
from pg_description left join pg_attribute on attrelid = objoid and attnum = objsubid
where classoid = 'pg_class'::regclass and objoid = %(table)s::regclass
"""


def write_comments(connection: psycopg.Connection[TupleRow], table: Table) -> None:
    """Write the declared comments of a live table.

    An unchanged comment is not written: writing one waits for a vacuum of the table, and cancels it.

    Args:
        connection: in a transaction.
        table: with its key types resolved.
    """
    current: dict[str, str] = dict(connection.execute(_COMMENTS, {"table": table.qualified_name}).fetchall())
    for what, text in comments(table).items():
        if current.get(what) != text:
            connection.execute(SQL("comment on {} is {}").format(SQL(what), Literal(text)))


def fill(
    connection: psycopg.Connection[TupleRow],
    session: duckdb.DuckDBPyConnection,
    one: TableVersion,
    publication_id: int,
    run: Run,
) -> None:
    """Insert all rows, or slices, into a live table that is new, and has no key yet.

    Args:
        connection: in the publication's transaction.
        session: a session with the extension that writes for Postgres.
        one: the table.
        publication_id: the publication.
        run: its run.
    """
    table = one.table
    names, more = [*(column.name for column in table.columns), PUBLICATION], f"{publication_id}::bigint"
    if table.schema == "features":
        (now,) = connection.execute("select now()").fetchone() or ("",)
        names, more = [*names, KNOWN_AT], f"{more}, timestamptz '{now}'"
    inserted = sum(
        copy_rows(connection, session, f"select *, {more} from ({selected})", table.qualified_name, names)
        for selected in one.selects()
    )
    _count(connection, one, publication_id, run, inserted, deleted=0)


def replace_what_differs(
    connection: psycopg.Connection[TupleRow],
    one: TableVersion,
    publication_id: int,
    run: Run,
    watched: Watch,
    touched: Touched | None = None,
) -> None:
    """Delete live rows that are not staged unchanged, and insert staged rows that are not live.

    Args:
        connection: in the publication's transaction.
        one: the table.
        publication_id: the publication.
        run: its run.
        watched: keeps the replaced rows, to find restatements.
        touched: the rows to compare; by default all rows, or the table's slices.
    """
    table = one.table
    live = f"{table.schema}.{table.name}"
    names = [column.name for column in table.columns]
    same_key = " and ".join(f"staged.{k} = live.{k}" for k in table.primary_key)
    same_row = (
        f"({', '.join(f'staged.{n}' for n in names)}) is not distinct from ({', '.join(f'live.{n}' for n in names)})"
    )
    window = "true" if one.window is None else f"live.{table.rebuild.column} = any(%(slices)s)"
    delete = f"""
        delete from {live} as live
        where {touched.in_postgres if touched else window}
            and not exists (select from {one.staged} as staged where {same_key} and {same_row})
    """
    deleted = connection.execute(
        SQL(watched.keeping(table, "old", delete, "live.")),
        {"slices": one.window},
    ).rowcount
    known_at = f", {KNOWN_AT}" if table.schema == "features" else ""
    insert = f"""
        insert into {live} ({", ".join(names)}, {PUBLICATION}{known_at})
        select {", ".join(names)}, %s{", now()" if known_at else ""}
        from {one.staged} as staged
        where not exists (select from {live} as live where {same_key})
    """
    inserted = connection.execute(
        SQL(watched.keeping(table, "new", insert)),
        [publication_id],
    ).rowcount
    _count(connection, one, publication_id, run, inserted, deleted)


def _count(
    connection: psycopg.Connection[TupleRow],
    one: TableVersion,
    publication_id: int,
    run: Run,
    inserted: int,
    deleted: int,
) -> None:
    table = one.table
    connection.execute(
        SQL(
            f"""
            insert into audit.publication_tables
                (publication_id, schema_name, table_name, lake_version, rows, inserted, deleted, complete)
            select
                %(publication)s, %(schema)s, %(table)s, %(version)s, count(*), %(inserted)s, %(deleted)s,
                (
                    select coalesce(bool_and(complete), false)
                    from audit.source_counts
                    where run_id = %(run)s and source in (
                        select unnest(sources) from audit.tables
                        where schema_name = %(schema)s and table_name = %(table)s
                    )
                )
            from {table.qualified_name} as live
            where {"true" if one.window is None else f"live.{table.rebuild.column} = %(slice)s"}
            """
        ),
        {
            "slice": table.rebuild.slice_of(run.night),
            "publication": publication_id,
            "schema": table.schema,
            "table": table.name,
            "version": one.version,
            "inserted": inserted,
            "deleted": deleted,
            "run": run.run_id,
        },
    )
