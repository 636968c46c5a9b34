"""What is in a shop, for comparing: its rows, and what they must fulfil."""

from __future__ import annotations

from typing import Any

from psycopg import Connection, sql

from include.demo_shop.schema import TABLES


def contents(shop: Connection[Any], *, with_updated_at: bool = True) -> dict[str, list[str]]:
    """Every row of every table that there is as text, sorted."""
    rows = {}
    found = shop.execute("select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'")
    there = {name for (name,) in found}
    for table in filter(there.__contains__, TABLES):
        without = "" if with_updated_at else " - 'updated_at'"
        query = sql.SQL("select (to_jsonb(row){})::text as line from {} as row order by line").format(
            sql.SQL(without), sql.Identifier(table)
        )
        rows[table] = [line for (line,) in shop.execute(query)]
    return rows


def structure(shop: Connection[Any]) -> list[str]:
    """Every constraint, index and column of the shop's tables."""
    rows = shop.execute(
        """
        select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
        where connamespace = 'public'::regnamespace
        union all select indexdef from pg_indexes where schemaname = 'public'
        union all
        select concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull)
        from pg_attribute join pg_class on pg_class.oid = attrelid
        where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum > 0
        order by 1
        """
    )
    return [line for (line,) in rows]
