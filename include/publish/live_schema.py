"""The live tables' columns, types and keys: compared with the declaration, altered in a publication's transaction.

A table is altered in place, so views, grants and indexes that analysts made stay. Whatever a dropped column or table
would break is named before anything is changed: Postgres itself would drop an index silently. A column of another type
makes Postgres write the table anew, which is not MVCC-safe: a reader in a transaction of repeatable read that began
before, and reads the table for the first time after, sees no row of it.

Belongs here: what differs, what depends on it, and the statements. Does not: the rows (``live``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier

from include.contract import ContractError, Table
from include.contract.ddl import create_table, warehouse_columns

# A long query locks its table until it ends. While an alteration waits for it, all other readers wait too.

_COLUMNS = """
select attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum) is not null
from pg_attribute
where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
order by attnum
"""
_KEY = """
select conname, array(
    select attname::text from unnest(conkey) with ordinality as key (attnum, place)
    join pg_attribute on attrelid = conrelid and pg_attribute.attnum = key.attnum
    order by place
)
from pg_constraint
where conrelid = to_regclass(%s) and contype = 'p'
"""
_AMOUNT = re.compile(r"numeric\(18,(\d)\)")
# What depends on the named columns, or on the whole table, except what belongs to the table's own declaration: its
# primary key and its columns' "not null".
_DEPENDENTS = """
select distinct
    coalesce(attname::text, ''),
    regexp_replace(pg_describe_object(depend.classid, depend.objid, 0), '^rule \\S+ on ', ''),
    depend.classid = 'pg_rewrite'::regclass
from pg_depend as depend
left join pg_attribute on attrelid = refobjid and attnum = refobjsubid and attnum > 0
left join pg_constraint as own on depend.classid = 'pg_constraint'::regclass and own.oid = depend.objid
left join pg_index on depend.classid = 'pg_class'::regclass and indexrelid = depend.objid
where refclassid = 'pg_class'::regclass
    and refobjid = to_regclass(%(table)s)
    and depend.deptype in ('n', 'a')
    and coalesce(own.contype not in ('p', 'n'), true)
    and not coalesce(indisprimary, false)
    and (attname = any(%(columns)s) or %(whole)s and depend.deptype = 'n')
order by 2, 1
"""


@dataclass(frozen=True)
class Difference:
    """How a live table differs from its declaration.

    Attributes:
        table: the declaration.
        missing: whether the table does not exist.
        added: declared columns that it lacks, with their types.
        dropped: columns that are no longer declared, except columns that somebody else added.
        retyped: columns of another type than declared, with the declared type.
        widened: those of them whose values the declared type holds as they are.
        loosened: columns that are declared nullable, but are not nullable yet.
        tightened: columns that are declared never null, but are still nullable.
        key: the name and columns of the live primary key if it differs in columns or types; None if it is as declared.
    """

    table: Table
    missing: bool = False
    added: Mapping[str, str] = field(default_factory=dict)
    dropped: Sequence[str] = ()
    retyped: Mapping[str, str] = field(default_factory=dict)
    widened: Sequence[str] = ()
    loosened: Sequence[str] = ()
    tightened: Sequence[str] = ()
    key: tuple[str, Sequence[str]] | None = None

    @property
    def is_of_rows(self) -> bool:
        """Whether the difference concerns rows: the live rows cannot be the declared ones."""
        return bool(self.missing or self.added or self.dropped or self.retyped or self.key)

    @property
    def sentences(self) -> list[str]:
        """The alterations to make, for a person; empty if the table is as declared."""
        if self.missing:
            return ["create table"]
        actions = [f"add column {name} {kind}" for name, kind in self.added.items()]
        actions += [f"drop column {name}" for name in self.dropped]
        actions += [f"change the type of column {name} to {kind}" for name, kind in self.retyped.items()]
        actions += [f"make column {name} nullable" for name in self.loosened]
        actions += [f"make column {name} not null" for name in self.tightened]
        if self.key:
            actions.append(f"change the key to ({', '.join(self.table.primary_key)}), was ({', '.join(self.key[1])})")
        return actions


def difference(connection: psycopg.Connection[TupleRow], table: Table) -> Difference:
    """Compare a live table with its declaration.

    Args:
        connection: to the warehouse.
        table: the declaration, with its key types resolved.
    """
    rows = connection.execute(_COLUMNS, [table.qualified_name]).fetchall()
    if not rows:
        return Difference(table, missing=True)
    found = {name: (kind, never_null) for name, kind, never_null, _ in rows}
    # Every declared column has a comment. One without was added by somebody else and is not ours to drop.
    ours = {name for name, _, _, has_comment in rows if has_comment}
    declared = warehouse_columns(table)
    shared = [name for name in declared if name in found]
    key = connection.execute(_KEY, [table.qualified_name]).fetchone() or ("", [])
    retyped = {name: declared[name].type for name in shared if found[name][0] != _catalogue_type(declared[name].type)}
    same_key = list(key[1]) == list(table.primary_key) and not retyped.keys() & set(table.primary_key)
    return Difference(
        table,
        added={name: declared[name].type for name in declared if name not in found},
        dropped=[name for name in found if name not in declared and name in ours],
        retyped=retyped,
        widened=[name for name, kind in retyped.items() if _holds(kind, found[name][0])],
        loosened=[name for name in shared if found[name][1] and not declared[name].never_null],
        tightened=[name for name in shared if declared[name].never_null and not found[name][1]],
        key=None if same_key else (key[0], key[1]),
    )


def published_tables(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """The qualified names of the live tables that any publication has written."""
    found = connection.execute(
        """
        select distinct schema_name || '.' || table_name
        from audit.publication_tables
        where to_regclass(schema_name || '.' || table_name) is not null
        order by 1
        """
    )
    return [name for (name,) in found]


def gone_tables(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """The published tables that this shop no longer has, according to the ledger."""
    known = connection.execute("select schema_name || '.' || table_name from audit.tables where left_out is null")
    current = {name for (name,) in known}
    return [name for name in published_tables(connection) if name not in current]


def refuse_breaking(
    connection: psycopg.Connection[TupleRow], tables: Iterable[Table], gone: Iterable[str] = ()
) -> None:
    """Refuse to alter or drop anything that something else in the warehouse needs.

    Args:
        connection: to the warehouse.
        tables: the declarations of live tables.
        gone: live tables that are to be dropped.

    Raises:
        ContractError: naming every table and column, and what needs it.
    """
    reasons = [reason for table in tables for reason in _broken(connection, difference(connection, table))]
    for name in gone:
        reasons += [
            f"{name}: the table is to be dropped, and {needed} needs it"
            for _, needed, _ in _dependents(connection, name, [], whole=True)
        ]
    if reasons:
        raise ContractError(
            f"the tables' new definition would break what others made in the warehouse; nothing is changed."
            f" {' | '.join(reasons)} | Change or drop it first"
        )


def loosen(connection: psycopg.Connection[TupleRow], table: Table, lacking: Collection[str] = ()) -> None:
    """Make a live table accept the declared rows: create or alter it, before its rows are replaced.

    A new table gets its key from ``tighten``: sorting its rows once is cheaper than inserting each into the index.
    If its key changes, all its rows are deleted: none of them is a row of the new grain.

    Args:
        connection: in the publication's transaction.
        table: the declaration, with its key types resolved.
        lacking: columns that are null in what is published, even if declared never null.

    Raises:
        ContractError: when something else in the warehouse needs what is altered or dropped.
    """
    differs = difference(connection, table)
    if differs.missing:
        connection.execute(SQL(create_table(table, keyed=False)))
        differs = difference(connection, table)
    declared = warehouse_columns(table)
    null = [name for name in lacking if declared[name].never_null and name not in differs.tightened]
    refuse_breaking(connection, [table])
    for statement in _loosening(differs, null):
        connection.execute(SQL(f"alter table {table.qualified_name} {statement}"))
    if differs.key:
        connection.execute(SQL(f"delete from {table.qualified_name}"))


def tighten(connection: psycopg.Connection[TupleRow], table: Table) -> None:
    """Make a live table refuse undeclared rows, as far as its own rows allow it, after they were replaced."""
    differs = difference(connection, table)
    name = table.qualified_name
    full = [
        column
        for column in differs.tightened
        if not connection.execute(
            SQL("select 1 from {} where {} is null limit 1").format(
                Identifier(table.schema, table.name), Identifier(column)
            )
        ).fetchone()
    ]
    for column in full:
        connection.execute(SQL(f"alter table {name} alter column {column} set not null"))
    if differs.key:
        connection.execute(SQL(f"alter table {name} add primary key ({', '.join(table.primary_key)})"))


def drop_gone(connection: psycopg.Connection[TupleRow]) -> None:
    """Drop the live tables that this shop no longer has, in a night's transaction.

    Raises:
        ContractError: when something else in the warehouse needs one.
    """
    gone = gone_tables(connection)
    refuse_breaking(connection, [], gone)
    for name in gone:
        connection.execute(SQL(f"drop table {name}"))


def _loosening(differs: Difference, null: Iterable[str]) -> Iterator[str]:
    """The actions of ``alter table``, in an order that Postgres accepts."""
    if differs.key and differs.key[0]:
        yield f"drop constraint {differs.key[0]}"
    for name in differs.dropped:
        yield f"drop column {name}"
    for name, kind in differs.added.items():
        yield f"add column {name} {kind}"
    for name in sorted({*differs.loosened, *null, *differs.retyped}):
        if name not in differs.table.primary_key or differs.key:
            yield f"alter column {name} drop not null"
    for name, kind in differs.retyped.items():
        yield f"alter column {name} type {kind} using {name if name in differs.widened else 'null'}"


def _broken(connection: psycopg.Connection[TupleRow], differs: Difference) -> Iterator[str]:
    """What altering a table would break, one sentence each."""
    name = differs.table.qualified_name
    for column, needed, _ in _dependents(connection, name, differs.dropped):
        yield f"{name}: the column {column} is to be dropped, and {needed} needs it"
    for column, needed, is_view in _dependents(connection, name, list(differs.retyped)):
        if is_view:
            yield f"{name}: the type of column {column} is to be {differs.retyped[column]}, and {needed} needs it"


def _dependents(
    connection: psycopg.Connection[TupleRow], table: str, columns: Sequence[str], *, whole: bool = False
) -> list[tuple[str, str, bool]]:
    """What depends on some columns of a table, or on the whole table: column, description, whether it is a view."""
    if not columns and not whole:
        return []
    asked = {"table": table, "columns": list(columns), "whole": whole}
    found = connection.execute(_DEPENDENTS, asked).fetchall()
    return list(dict.fromkeys(("" if whole else column, needed, is_view) for column, needed, is_view in found))


def _holds(kind: str, before: str) -> bool:
    """Whether a type holds every value of another as it is: an amount with more decimals.

    A slice that this publication does not write keeps its amounts then.
    """
    wide, narrow = (_AMOUNT.fullmatch(_catalogue_type(one)) for one in (kind, before))
    return bool(wide and narrow and int(wide[1]) >= int(narrow[1]))


def _catalogue_type(kind: str) -> str:
    """A type as Postgres's catalogue writes it."""
    return {"timestamptz": "timestamp with time zone"}.get(kind, kind.replace(", ", ","))
