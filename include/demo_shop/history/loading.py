"""Columns into Postgres: COPY into bare tables, keys and indexes afterwards, all in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection, sql
from pyarrow import csv

from include.demo_shop.schema import KEY_PREFIXES, TABLES, key_type, next_number_sequence

_GENERATED_KEYS = {
    "customers": "customer_id",
    "products": "product_id",
    "warehouses": "warehouse_id",
    "orders": "order_id",
    "order_items": "order_item_id",
    "refunds": "refund_id",
    "order_refunds": "order_refund_id",
    "payments": "transaction_id",
    "shipment_items": "shipment_item_id",
    "inventory_movements": "movement_id",
    "purchase_order_lines": "purchase_order_line_id",
}
_CONSTRAINTS = """
select conrelid::regclass::text, conname, pg_get_constraintdef(oid)
from pg_constraint
where connamespace = 'public'::regnamespace and contype = any(%(kinds)s) and conrelid::regclass::text = any(%(tables)s)
order by conrelid::regclass::text, conname
"""
_INDEXES = """
select indexname, indexdef from pg_indexes
where schemaname = 'public' and tablename = any(%(tables)s)
order by tablename, indexname
"""


class Loader:
    """Writes a history into the shop's empty tables."""

    def __init__(self, connection: Connection[Any]) -> None:
        """Write through this connection, in its transaction."""
        self._connection = connection
        self._keys = key_type(connection)
        self.rows = dict.fromkeys(TABLES, 0)
        self._last = dict.fromkeys(_GENERATED_KEYS, 0)

    @contextmanager
    def bare_tables(self) -> Iterator[None]:
        """Take keys, foreign keys and indexes away while rows are written; on leaving, everything is as it was.

        Building them once over all rows takes a fraction of the time that checking every row takes.
        """
        run = self._connection.execute
        run("set local maintenance_work_mem = '256MB'")
        run("set local synchronous_commit = off")
        run("set local client_min_messages = error")
        keys, foreign_keys = self._constraints("p", "u", "x"), self._constraints("f")
        for table, name, _ in [*foreign_keys, *keys]:
            run(_sql("alter table {} drop constraint {}", table, name))
        indexes = run(_INDEXES, {"tables": list(TABLES)}).fetchall()
        for name, _ in indexes:
            run(_sql("drop index {}", name))
        # COPY may freeze its rows in a table that was truncated in the same transaction: nothing is left to vacuum.
        run(sql.SQL("truncate {}").format(sql.SQL(", ").join(map(sql.Identifier, TABLES))))
        if self._keys != "integer":
            for table in TABLES:
                self._stage(table)
        yield
        if self._keys != "integer":
            for table in TABLES:
                self._unstage(table)
        for table, name, definition in keys:
            run(_sql(f"alter table {{}} add constraint {{}} {definition}", table, name))
        for _, definition in indexes:
            run(definition.encode())
        for table, name, definition in foreign_keys:
            run(_sql(f"alter table {{}} add constraint {{}} {definition}", table, name))
        self._number_on()

    def write(self, table: str, columns: dict[str, Any]) -> None:
        """Append rows to a table, given as equally long Arrow arrays by column."""
        frame = pa.table(columns)
        if not frame.num_rows:
            return
        self.rows[table] += frame.num_rows
        if table in self._last:
            self._last[table] = max(self._last[table], pc.max(frame[_GENERATED_KEYS[table]]).as_py())
        is_direct = self._keys == "integer"
        statement = sql.SQL("copy {} ({}) from stdin (format csv{})").format(
            sql.Identifier(table if is_direct else _staged(table)),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", freeze" if is_direct else ""),
        )
        options = csv.WriteOptions(include_header=False, batch_size=16_384)
        with self._connection.cursor().copy(statement) as copy:
            for batch in frame.to_batches(max_chunksize=65_536):
                sink = pa.BufferOutputStream()
                csv.write_csv(batch, sink, options)
                copy.write(memoryview(sink.getvalue()))

    def _constraints(self, *kinds: str) -> list[tuple[str, str, str]]:
        return self._connection.execute(_CONSTRAINTS, {"kinds": list(kinds), "tables": list(TABLES)}).fetchall()

    def _columns(self, table: str) -> list[str]:
        rows = self._connection.execute(
            "select attname::text from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            [f"public.{table}"],
        )
        return [name for (name,) in rows]

    def _stage(self, table: str) -> None:
        """A table of this session's with integer keys, to be turned into keys of the shop's type at the end."""
        self._connection.execute(
            _sql("create temp table {} on commit drop as table {} with no data", _staged(table), table)
        )
        for column in self._columns(table):
            if column in KEY_PREFIXES:
                change = "alter table {} alter column {} type bigint using null"
                self._connection.execute(_sql(change, _staged(table), column))

    def _unstage(self, table: str) -> None:
        columns = self._columns(table)
        values = [
            sql.SQL("shop_key({}, {})").format(sql.Literal(KEY_PREFIXES[column]), sql.Identifier(column))
            if column in KEY_PREFIXES
            else sql.Identifier(column)
            for column in columns
        ]
        self._connection.execute(
            sql.SQL("insert into {} ({}) select {} from {}").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join(values),
                sql.Identifier(_staged(table)),
            )
        )

    def _number_on(self) -> None:
        """Let the next row of each table have the next number."""
        for table, column in _GENERATED_KEYS.items():
            if self._last[table]:
                sequence = next_number_sequence(column, table, self._keys)
                self._connection.execute("select setval(%s::regclass, %s)", [sequence, self._last[table]])


def _staged(table: str) -> str:
    return f"staged_{table}"


def _sql(statement: LiteralString, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))
