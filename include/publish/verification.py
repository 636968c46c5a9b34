"""The proof of a publication: after the load, Postgres holds what the lake holds, to the last bit.

Each side sums a hash per row: DuckDB over the lake's Parquet files, Postgres over the live table, whose values are
converted back to the lake's. So a changed value is found, whether it changed on the way or in the warehouse. Rows are
compared one by one only if the sums differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import duckdb
import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL

from include.contract import Column, ContractError, Table, Type
from include.contract.types import day_number
from include.lake import duckdb_session as duck
from include.lake.rows import rows as stored_rows
from include.ledger import reconciliation
from include.ledger.reconciliation import EXAMPLES, Proof
from include.ledger.runs import Run
from include.publish.table_version import TableVersion

_HASHES = "staging.lake_hashes"  # the lake's rows, when they are compared one by one; rolled back with the transaction
_BATCH = 100_000

# Fifteen hexadecimal digits of an md5: a bigint that is never negative.
_LAKE_HASH = "cast('0x' || substr(md5(concat_ws('|', {})), 1, 15) as bigint)"
_POSTGRES_HASH = "('x0' || substr(md5(concat_ws('|', {})), 1, 15))::bit(64)::bigint"


@dataclass(frozen=True)
class Touched:
    """The rows of a table that a publication wrote, if it did not write all of them, as a predicate for each side.

    Attributes:
        in_lake: a DuckDB predicate over the table's lake columns.
        in_postgres: a Postgres predicate over the columns of the live table, called ``live``.
    """

    in_lake: str = "true"
    in_postgres: str = "true"


Sums: TypeAlias = Mapping[str, int]  # by what is counted or summed
_ALL = Touched()
_COMPARE_ALL: Mapping[str, Touched] = MappingProxyType({})


def prove_published(
    connection: psycopg.Connection[TupleRow],
    run: Run,
    built: Iterable[TableVersion],
    touched: Mapping[str, Touched] = _COMPARE_ALL,
) -> None:
    """Compare the live tables with the versions in the lake; for a table by night, the published slices.

    The results are recorded outside the publication's transaction: those of a failed proof stay after the rollback.

    Args:
        connection: the publication's transaction, after it wrote its rows.
        run: the run that publishes.
        built: what it publishes.
        touched: by qualified name, the rows of a table that were written; its other rows are only counted. A table
            that is not named is compared in full.

    Raises:
        ContractError: naming the table, both sides and the first keys that differ.
    """
    with duck.session() as session:
        compared = [
            (_Comparison(connection, session, one), touched.get(one.table.qualified_name, _ALL)) for one in built
        ]
        proofs = [one.proof(*sums) for (one, _), sums in zip(compared, _sums_of_both(compared), strict=True)]
    reconciliation.record(run.run_id, proofs)
    if failed := [proof.failure for proof in proofs if not proof.held]:
        raise ContractError("Postgres does not hold what the lake does; nothing is published. " + " | ".join(failed))


def _sums_of_both(compared: Sequence[tuple[_Comparison, Touched]]) -> list[tuple[Sums, Sums]]:
    """Of each table, the lake's sums and Postgres': the lake's are made while Postgres sums on a core of its own."""
    with ThreadPoolExecutor(1) as beside:
        try:
            in_lake = [beside.submit(copy_context().run, one.sums_in_lake, some) for one, some in compared]
            in_postgres = [one.sums_in_postgres(some) for one, some in compared]
            return [(one.result(), other) for one, other in zip(in_lake, in_postgres, strict=True)]
        finally:
            beside.shutdown(wait=False, cancel_futures=True)  # after an error nothing more is summed


def _stored(table: Table, version: int) -> str:
    return stored_rows(table.schema, table.name, table.lake_columns, version)


class _Comparison:
    """One table on both sides, in the window that a publication writes."""

    def __init__(
        self, connection: psycopg.Connection[TupleRow], session: duckdb.DuckDBPyConnection, built: TableVersion
    ) -> None:
        self._postgres, self._session, self._table = connection, session, built.table
        table, column = built.table, built.table.rebuild.column
        self._columns = [
            replace(one, nullable=True) if one.name in built.null_columns else one for one in table.columns
        ]
        in_lake, in_postgres = [_stored(table, built.version)], "true"
        if built.window is not None:
            in_lake = [
                f"(select * from {_stored(table, version)} where {column} = {day_number(day)})"
                for day, version in zip(built.window, built.slices.values(), strict=True)
                if version is not None
            ] or [duck.relation([], table.lake_columns)]
            days = ", ".join(f"date '{day}'" for day in built.window)
            in_postgres = f"{column} in ({days})" if days else "false"
        self._lake = f"({' union all '.join(f'select * from {rows}' for rows in in_lake)}) where true"
        self._live = f"{table.qualified_name} as live where {in_postgres}"
        self._lake_hash = _LAKE_HASH.format(", ".join(map(_lake_text, self._columns)))
        self._live_hash = _POSTGRES_HASH.format(", ".join(map(_postgres_text, self._columns)))

    def sums_in_lake(self, touched: Touched) -> Sums:
        """Of the rows that the lake holds."""
        return self._sums(self._in_lake, self._lake_hash, self._lake, touched.in_lake)

    def sums_in_postgres(self, touched: Touched) -> Sums:
        """Of those that Postgres holds."""
        return self._sums(self._in_postgres, self._live_hash, self._live, touched.in_postgres)

    def _sums(self, ask: Callable[[str], list[tuple[Any, ...]]], hashed: str, rows: str, touched: str) -> Sums:
        [(compared, digest)] = ask(f"select count(*), coalesce(sum({hashed}), 0) from {rows} and {touched}")
        if touched == "true":
            return {"rows": compared, "digest": digest}
        [(count,)] = ask(f"select count(*) from {rows}")
        return {"rows": count, "rows_compared": compared, "digest": digest}

    def proof(self, in_lake: Sums, in_postgres: Sums) -> Proof:
        """Whether both sides are equal, and if not, which rows differ."""
        differing, examples = 0, list[str]()
        if in_lake != in_postgres:
            differing, examples = self._find_differing()
        return Proof(
            f"published_{self._table.name}",
            f"Postgres and the lake hold the same rows of {self._table.qualified_name}, to the last bit.",
            ("the lake", "Postgres"),
            max(in_lake["rows"], in_postgres["rows"]),
            differing,
            {name: (int(one), int(in_postgres[name])) for name, one in in_lake.items()},
            examples,
        )

    def _find_differing(self) -> tuple[int, list[str]]:
        """The number of rows in the window that differ, at least one, and the first of them."""
        key = [self._table[name] for name in self._table.primary_key]
        names = ", ".join(column.name for column in key)
        self._postgres.execute(
            SQL(f"create table {_HASHES} ({', '.join(f'{c.name} {c.postgres}' for c in key)}, hash bigint)")
        )
        values = ", ".join(column.to_warehouse_sql() for column in key)
        hashes = self._session.execute(f"select {values}, {self._lake_hash} from {self._lake}")
        with self._postgres.cursor().copy(SQL(f"copy {_HASHES} from stdin")) as copy:
            while rows := hashes.fetchmany(_BATCH):
                for row in rows:
                    copy.write_row(row)
        differing = self._in_postgres(
            f"""
            select {", ".join(f"{c.name}::text" for c in key)}, count(*) over ()
            from {_HASHES} as lake
            full join (select {names}, {self._live_hash} as hash from {self._live}) as live using ({names})
            where lake.hash is distinct from live.hash
            order by {names}
            limit {EXAMPLES}
            """
        )
        self._postgres.execute(SQL(f"drop table {_HASHES}"))
        # If one side has a row twice, the rows may still be equal one by one.
        return (differing[0][-1] if differing else 1), [self._example(row[:-1]) for row in differing]

    def _example(self, values: tuple[str, ...]) -> str:
        """A row that differs: each differing column, on both sides."""
        columns = self._columns
        key = dict(zip(self._table.primary_key, values, strict=True))
        is_in_lake = " and ".join(f"{_lake_shown(self._table[n])} = {duck.quoted(v)}" for n, v in key.items())
        is_live = " and ".join(f"{name}::text = {duck.quoted(value)}" for name, value in key.items())
        texts = [f"concat_ws('|', {_lake_text(column)}), {_lake_shown(column)}" for column in columns]
        one = self._in_lake(f"select {', '.join(texts)} from {self._lake} and {is_in_lake}")
        texts = [f"concat_ws('|', {_postgres_text(column)}), {_postgres_shown(column)}" for column in columns]
        other = self._in_postgres(f"select {', '.join(texts)} from {self._live} and {is_live}")
        row = ", ".join(f"{name} {value}" for name, value in key.items())
        if not one or not other:
            return f"{row}: only in {'the lake' if one else 'Postgres'}"
        return f"{row}: " + ", ".join(
            f"{column.name} {one[0][place + 1]} in the lake, {other[0][place + 1]} in Postgres"
            for place, column in zip(range(0, 2 * len(columns), 2), columns, strict=True)
            if one[0][place] != other[0][place]
        )

    def _in_lake(self, statement: str) -> list[tuple[Any, ...]]:
        return self._session.execute(statement).fetchall()

    def _in_postgres(self, statement: str) -> list[tuple[Any, ...]]:
        return self._postgres.execute(SQL(statement)).fetchall()


# A value is hashed as the text that Postgres writes for it, because that is the cheapest: amounts and instants with a
# decimal point. The lake's side builds the same text from its integers. It does not use the loader's casts, which are
# being tested. A text value follows its length, so different rows always give different texts; for other types, only
# null is an empty text. JSON columns cannot be compared this way: Postgres formats them differently.


def _lake_text(column: Column) -> str:
    """The text of a value in the lake, as part of the text of its row."""
    name = column.lake_name
    if column.type is Type.TEXT:
        return f"coalesce(strlen({name}), -1), coalesce({name}, '')"
    if column.type is Type.BOOLEAN:
        name = f"cast({name} as integer)"
    elif column.type in (Type.CENTS, Type.UNITS):
        name = _with_point(name, column.places)
    elif column.type is Type.AT:
        name = _with_point(f"epoch_us({name})", 6)
    elif column.type is Type.RATIO:
        name = f"cast(cast({name} as bit) as bigint)"
    return f"coalesce(cast({name} as varchar), '')"


def _with_point(integer: str, digits: int) -> str:
    if not digits:
        return integer
    unit = 10**digits
    whole, part = f"cast(abs({integer}) // {unit} as varchar)", f"cast(abs({integer}) % {unit} as varchar)"
    return f"if({integer} < 0, '-', '') || {whole} || '.' || lpad({part}, {digits}, '0')"


def _postgres_text(column: Column) -> str:
    """The same text, of a live value."""
    name = column.name
    if column.type is Type.TEXT:
        return f"coalesce(octet_length({name}), -1), coalesce({name}, '')"
    if column.type in (Type.DAY, Type.MONTH):
        name = column.type.from_source_sql(name)
    elif column.type is Type.BOOLEAN:
        name = f"{name}::integer"
    elif column.type is Type.AT:
        name = f"extract(epoch from {name})"
    elif column.type is Type.RATIO:
        name = f"('x' || encode(float8send({name}), 'hex'))::bit(64)::bigint"
    # No cast if it is never null: the cast would double the cost.
    return f"coalesce(({name})::text, '')" if column.nullable else name


def _lake_shown(column: Column) -> str:
    """A value in the lake as a person reads it."""
    if column.type is Type.AT:
        return f"cast(timezone('UTC', {column.lake_name}) as varchar)"
    return f"cast({column.to_warehouse_sql()} as varchar)"


def _postgres_shown(column: Column) -> str:
    return f"timezone('UTC', {column.name})::text" if column.type is Type.AT else f"{column.name}::text"
