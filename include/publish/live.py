"""The live tables: writing their comments, replacing the rows that differ, and counting them in the ledger."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Literal

from include.contract import Table
from include.contract.ddl import KNOWN_AT, PUBLICATION, comments
from include.ledger.runs import Run
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
            from {live} as live
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
