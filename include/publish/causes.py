"""Why a figure of an earlier day changed: the changed rows of the shop that explain it.

Belongs here: which changed rows explain which restated figure. Does not: finding the changed rows (``changed_rows``) or
the restated figures (``restatements``). All work is done in tables of the publication's transaction:

    restated_<table>   key, old, new                      the restated figures (given)
    causes_of_<table>  key, source, level, rows, keys     the changed rows that explain them, by source
    why_<table>        key, causes                        the same, one row per figure
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL

from include.contract import Table
from include.publish.changed_rows import staged

SAMPLE: Final = 5  # keys that are named per figure and source; the number of rows is always given


def find_causes(connection: psycopg.Connection[TupleRow], table: Table, shared_by: Mapping[str, Sequence[str]]) -> None:
    """Create ``why_…``: per restated figure and source, how many changed rows explain it, and some of their keys.

    First come changed rows with the figure's own day and keys. If there are none: for a figure of, say, a product,
    changed rows of the same product from earlier days (stock is carried forward); for a figure of the whole shop,
    changed rows of, say, a customer who also has a row on that day (it may have become the customer's first order).

    Args:
        connection: the publication's.
        table: a table with a day in its key.
        shared_by: per source with changed rows, the columns that link its rows to a figure.
    """
    name, key = table.name, table.primary_key
    keys = ", ".join(key)
    connection.execute(
        SQL(
            f"""
            create temp table causes_of_{name} (
                {", ".join(f"{one} {table[one].postgres}" for one in key)},
                source text, level int, rows bigint, keys text[]
            ) on commit drop;
            create index on causes_of_{name} ({keys});
            analyze restated_{name}
            """
        )
    )
    row = connection.execute(
        "select sources from audit.tables where schema_name = %s and table_name = %s", [table.schema, name]
    ).fetchone()
    is_of_entity, linked = any(table[one].key_of for one in key), _linked(table)
    sources = sorted(set(shared_by) & set(row[0] if row else ()))
    found = {source: {one: its for one, its in linked.items() if its in shared_by[source]} for source in sources}
    for source, shared in found.items():
        _enter_same_day(connection, table, source, 1, shared)
    for source, shared in found.items():
        if not is_of_entity:
            _enter_same_day(connection, table, source, 2, {})
        elif any(table[one].key_of for one in shared):
            _enter_earlier(connection, table, source, shared)
    connection.execute(
        SQL(
            f"""
            create temp table why_{name} on commit drop as
            select {keys}, jsonb_object_agg(source, jsonb_build_object('rows', rows, 'keys', keys)) as causes
            from causes_of_{name}
            group by {keys};
            analyze why_{name}
            """
        )
    )


def _linked(table: Table) -> dict[str, str]:
    """The columns of a figure's key that link it to changed rows, each with what it is called there.

    Where a column holds a key under another name, as ``kit_id`` holds the ``product_id`` of what was sold, the column
    that has that name is of something else, which was not sold.
    """
    called = {one: table[one].owner_key for one in table.primary_key}
    taken = {its for one, its in called.items() if one != its}
    return {one: its for one, its in called.items() if one not in taken}


def _enter_same_day(
    connection: psycopg.Connection[TupleRow], table: Table, source: str, level: int, shared: Mapping[str, str]
) -> None:
    """Enter the changed rows of a source that have a figure's own day and its values in the shared columns.

    Level 1 uses the days of the changed rows; level 2 uses the days of rows related to them.
    """
    key = ", ".join(f"restated.{one}" for one in table.primary_key)
    same = "".join(f" and changed.{its} = restated.{one}" for one, its in shared.items())
    connection.execute(
        SQL(
            f"""
            insert into causes_of_{table.name} ({", ".join(table.primary_key)}, source, level, rows, keys)
            select
                {key}, %(source)s, %(level)s, count(distinct changed.row_key),
                (array_agg(distinct changed.row_key order by changed.row_key))[1:{SAMPLE}]
            from restated_{table.name} as restated
            join {staged(source)} as changed
                on changed.day = restated.day and changed.related = %(related)s{same}
            where {_not_explained(table, level)}
            group by {key}
            """
        ),
        {"source": source, "level": level, "related": level > 1},
    )


def _enter_earlier(
    connection: psycopg.Connection[TupleRow], table: Table, source: str, shared: Mapping[str, str]
) -> None:
    """Enter the changed rows of a source with a figure's keys, from its day or earlier; the latest are named.

    The count is a running total, so each row is read once. A join with every later day would grow with the square of
    the history if all of it changed.
    """
    name, keys = f"counted_{table.name}_{source}", ", ".join(shared.values())
    connection.execute(
        SQL(
            f"""
            create temp table {name} on commit drop as
            select
                {keys}, since, count(*) over rows_so_far as rows,
                array_agg(row_key) over (rows_so_far rows between {SAMPLE - 1} preceding and current row) as keys
            from (
                select {keys}, row_key, min(coalesce(day, '-infinity')) as since
                from {staged(source)}
                where not related
                group by {keys}, row_key
            ) as changed
            window rows_so_far as (partition by {keys} order by since, row_key);
            create index on {name} ({keys}, since, rows);
            analyze {name}
            """
        )
    )
    same = "".join(f"counted.{its} = restated.{one} and " for one, its in shared.items())
    connection.execute(
        SQL(
            f"""
            insert into causes_of_{table.name} ({", ".join(table.primary_key)}, source, level, rows, keys)
            select
                {", ".join(f"restated.{one}" for one in table.primary_key)}, %(source)s, 2, earlier.rows,
                array(select unnest(earlier.keys) as one order by one)
            from restated_{table.name} as restated
            cross join lateral (
                select rows, keys
                from {name} as counted
                where {same}since <= restated.day
                order by since desc, rows desc
                limit 1
            ) as earlier
            where {_not_explained(table, 2)}
            """
        ),
        {"source": source},
    )


def _not_explained(table: Table, level: int) -> str:
    """A predicate: the restated figure has no cause of a lower level."""
    same = " and ".join(f"found.{one} = restated.{one}" for one in table.primary_key)
    return f"not exists (select from causes_of_{table.name} as found where found.level < {level} and {same})"
