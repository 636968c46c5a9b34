"""Drops single constraints of the shop, and restores them.

``stocktake_demo.dropped_constraints`` holds the statement that restores each. A dropped key or foreign key is also
named in its table's comment, ``[set aside: key (order_id)]``, to show that it is missing on purpose.
"""

from __future__ import annotations

from typing import Any, Final

from psycopg import Connection, sql

_NOTEBOOK: Final = """
create schema if not exists stocktake_demo;
create table if not exists stocktake_demo.dropped_constraints (
    dropped_id bigint generated always as identity primary key,
    turn integer not null,
    restore text not null
);
"""
# A key comes back before the foreign keys that refer to it; the index that stood in for it goes first.
_TURNS: Final = {"index": 0, "null": 1, "p": 2, "u": 2, "x": 2, "c": 3, "f": 4, "comment": 5}

_FIND: Final = """
select contype::text, conindid, pg_get_constraintdef(oid) from pg_constraint
where conrelid = format('public.%%I', %(table)s::text)::regclass and conname = %(name)s
"""
_KEY: Final = """
select
    contype::text,
    (
        select string_agg(attname, ', ' order by position)
        from unnest(conkey) with ordinality as part (attnum, position)
        join pg_attribute on attrelid = conrelid and pg_attribute.attnum = part.attnum
    ),
    coalesce(obj_description(conrelid, 'pg_class'), '')
from pg_constraint
where conrelid = format('public.%%I', %(table)s::text)::regclass and conname = %(name)s and contype in ('p', 'u', 'f')
"""
_REFERENCES: Final = """
select conrelid::regclass::text, conname::text from pg_constraint
where contype = 'f' and conindid = %(index)s
order by conrelid::regclass::text, conname
"""


def open_notebook(connection: Connection[Any]) -> None:
    """Make the place where dropped constraints are written down."""
    connection.execute(_NOTEBOOK)


def drop_constraint(connection: Connection[Any], table: str, name: str) -> None:
    """Drop a constraint, and the foreign keys that rest on it; nothing happens if it is gone already."""
    found = connection.execute(_FIND, {"table": table, "name": name}).fetchone()
    if found is None:
        return
    kind, index, definition = found
    if kind in ("p", "u"):
        for child, reference in connection.execute(_REFERENCES, {"index": index}).fetchall():
            drop_constraint(connection, child, reference)
        _stand_in(connection, table, index)
    names = [sql.Identifier(table), sql.Identifier(name)]
    restore = sql.SQL("alter table {} add constraint {}").format(*names).as_string(connection)
    _set_aside(connection, table, name)
    connection.execute(sql.SQL("alter table {} drop constraint {}").format(*names))
    _note(connection, kind, f"{restore} {definition}")


def allow_null(connection: Connection[Any], table: str, column: str) -> None:
    """Let a column be null; nothing happens if it may be already."""
    is_required = connection.execute(
        "select attnotnull from pg_attribute"
        " where attrelid = format('public.%%I', %s::text)::regclass and attname = %s",
        [table, column],
    ).fetchone()
    if is_required is None or not is_required[0]:
        return
    names = [sql.Identifier(table), sql.Identifier(column)]
    connection.execute(sql.SQL("alter table {} alter column {} drop not null").format(*names))
    restore = sql.SQL("alter table {} alter column {} set not null").format(*names)
    _note(connection, "null", restore.as_string(connection))


def restore_constraints(connection: Connection[Any]) -> None:
    """Put back everything that was dropped; the rows must fulfil it again."""
    restores = connection.execute(
        "select restore from stocktake_demo.dropped_constraints order by turn, dropped_id"
    ).fetchall()
    for (restore,) in restores:
        connection.execute(restore.encode())
    connection.execute("delete from stocktake_demo.dropped_constraints")


def _stand_in(connection: Connection[Any], table: str, index: int) -> None:
    """A plain index in place of a key's, so that the shop finds its rows as fast as before."""
    columns = connection.execute(
        "select array_agg(attname::text order by attnum) from pg_attribute where attrelid = %s", [index]
    ).fetchone()
    name = sql.Identifier(f"{table}_planted_idx")
    listed = sql.SQL(", ").join(map(sql.Identifier, columns[0] if columns else []))
    connection.execute(sql.SQL("create index {} on {} ({})").format(name, sql.Identifier(table), listed))
    _note(connection, "index", sql.SQL("drop index {}").format(name).as_string(connection))


def _set_aside(connection: Connection[Any], table: str, name: str) -> None:
    """Name a key or foreign key in its table's comment; the comment as it was is noted, to be put back last."""
    for kind, columns, comment in connection.execute(_KEY, {"table": table, "name": name}).fetchall():
        key = f"{'foreign ' if kind == 'f' else ''}key ({columns})"
        marked = comment[:-1] + f"; {key}]" if comment.endswith("]") else f"{comment} [set aside: {key}]"
        on = sql.SQL("comment on table {} is {}")
        if not comment.endswith("]"):
            restore = on.format(sql.Identifier(table), sql.Literal(comment)).as_string(connection)
            _note(connection, "comment", restore)
        connection.execute(on.format(sql.Identifier(table), sql.Literal(marked)))


def _note(connection: Connection[Any], kind: str, restore: str) -> None:
    connection.execute(
        "insert into stocktake_demo.dropped_constraints (turn, restore) values (%s, %s)", [_TURNS[kind], restore]
    )
