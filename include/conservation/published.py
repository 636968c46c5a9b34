"""The proof of a publication: what Postgres holds after the load is what the lake holds, to the last bit.

Both sides add up a hash per row for themselves: DuckDB over the lake's Parquet files, Postgres over the live table,
whose values are turned back into the lake's. So a value that was changed on the way or in the warehouse is seen,
wherever that happened. Only where the sums differ are rows compared one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL

from include import duck, lake
from include.contract import Column, ContractError, Type
from include.contract.types import day_number
from include.ledger import conservation
from include.ledger.conservation import EXAMPLES, Proof
from include.ledger.runs import Run

if TYPE_CHECKING:
    from include.publish import Built

_HASHES = "staging.lake_hashes"  # the lake's rows, where they are compared one by one; undone with the transaction
_BATCH = 100_000

# Fifteen hexadecimal digits of an md5: a bigint that is never negative.
_LAKE_HASH = "cast('0x' || substr(md5({}), 1, 15) as bigint)"
_POSTGRES_HASH = "('x0' || substr(md5({}), 1, 15))::bit(64)::bigint"


def prove_published(connection: psycopg.Connection[TupleRow], run: Run, built: Iterable[Built]) -> None:
    """Compare the live tables with the lake's versions, each in the window that a publication writes.

    The figures are entered beside the publication's transaction: those of a proof that failed stay when it is undone.

    Args:
        connection: the publication's transaction, after it wrote its rows.
        run: the run that publishes.
        built: what it publishes.

    Raises:
        ContractError: naming table, both sides and the first keys that differ.
    """
    with duck.session() as session:
        proofs = [_Comparison(connection, session, one, run).proof() for one in built]
    conservation.record(run.run_id, proofs)
    if failed := [proof.failure for proof in proofs if not proof.held]:
        raise ContractError("Postgres does not hold what the lake does; nothing is published. " + " | ".join(failed))


class _Comparison:
    """One table on both sides, in the window that is published."""

    def __init__(
        self, connection: psycopg.Connection[TupleRow], session: duckdb.DuckDBPyConnection, built: Built, run: Run
    ) -> None:
        self._postgres, self._session, self._table = connection, session, built.table
        table, rebuild = built.table, built.table.rebuild
        in_lake = in_postgres = "true"
        if rebuild.kind == "as_of":
            in_lake = f"{rebuild.column} = {day_number(rebuild.slice_of(run.night))}"
            in_postgres = f"{rebuild.column} = date '{rebuild.slice_of(run.night)}'"
        stored = duck.relation(lake.files(table.schema, table.name, built.version), table.lake_columns)
        self._lake = f"{stored} where {in_lake}"
        self._live = f"{table.qualified_name} where {in_postgres}"
        key = [table[name] for name in table.primary_key]
        self._lake_key, self._live_key = _row(map(_lake_text, key)), _row(map(_postgres_text, key))
        self._lake_hash = _LAKE_HASH.format(_row(map(_lake_text, table.columns)))
        self._live_hash = _POSTGRES_HASH.format(_row(map(_postgres_text, table.columns)))

    def proof(self) -> Proof:
        """Whether both sides are equal, and if not, which rows differ."""
        sums = "select count(*), coalesce(sum({}), 0) from {}"
        of_lake = self._in_lake(sums.format(self._lake_hash, self._lake))[0]
        of_live = self._in_postgres(sums.format(self._live_hash, self._live))[0]
        differing, examples = (0, []) if of_lake == of_live else self._find_differing()
        return Proof(
            f"published_{self._table.name}",
            f"What Postgres holds of {self._table.qualified_name} is what the lake holds, to the last bit.",
            ("the lake", "Postgres"),
            int(max(of_lake[0], of_live[0])),
            differing,
            {name: (int(of_lake[place]), int(of_live[place])) for place, name in enumerate(("rows", "digest"))},
            examples,
        )

    def _find_differing(self) -> tuple[int, list[str]]:
        """How many rows differ, and the first of them."""
        self._postgres.execute(SQL(f"create table {_HASHES} (row_key text, hash bigint)"))
        hashes = self._session.execute(f"select {self._lake_key}, {self._lake_hash} from {self._lake}")
        with self._postgres.cursor().copy(SQL(f"copy {_HASHES} from stdin")) as copy:
            while rows := hashes.fetchmany(_BATCH):
                for row in rows:
                    copy.write_row(row)
        differing = self._in_postgres(
            f"select coalesce(lake.row_key, live.row_key), count(*) over () from {_HASHES} as lake"
            f" full join (select {self._live_key} as row_key, {self._live_hash} as hash from {self._live}) as live"
            f" using (row_key) where lake.hash is distinct from live.hash order by 1 limit {EXAMPLES}"
        )
        self._postgres.execute(SQL(f"drop table {_HASHES}"))
        return (differing[0][1] if differing else 0), [self._example(key) for key, _ in differing]

    def _example(self, key: str) -> str:
        """A row that differs, with every column that does, on both sides."""
        columns = self._table.columns
        # Shown as the warehouse writes it; but for a float both sides write the shortest exact text.
        in_lake = [f"cast({column.type.to_warehouse_sql(column.lake_name)} as varchar)" for column in columns]
        in_live = [f"{column.name}::text" for column in columns]
        asked = duck.quoted(key)
        one = self._in_lake(f"select {', '.join(in_lake)} from {self._lake} and {self._lake_key} = {asked}")
        other = self._in_postgres(f"select {', '.join(in_live)} from {self._live} and {self._live_key} = {asked}")
        if not one or not other:
            return f"{key}: only in {'the lake' if one else 'Postgres'}"
        pairs = zip(columns, one[0], other[0], strict=True)
        return f"{key}: " + ", ".join(
            f"{column.name} {ours} in the lake, {theirs} in Postgres"
            for column, ours, theirs in pairs
            if ours != theirs
        )

    def _in_lake(self, statement: str) -> list[tuple[Any, ...]]:
        return self._session.execute(statement).fetchall()

    def _in_postgres(self, statement: str) -> list[tuple[Any, ...]]:
        return self._postgres.execute(SQL(statement)).fetchall()


def _row(texts: Iterable[str]) -> str:
    """A row as text that no other row shares, alike in Postgres and DuckDB."""
    return f"concat_ws('|', {', '.join(texts)})"


def _lake_text(column: Column) -> str:
    """A value of the lake as text; a null as what no value is."""
    name = column.lake_name
    if column.type in _WORDS:
        name = _escaped(name)
    elif column.type is Type.BOOLEAN:
        name = f"cast({name} as integer)"
    elif column.type is Type.AT:
        name = f"epoch_us({name})"
    elif column.type is Type.RATIO:
        name = f"cast(cast({name} as bit) as bigint)"
    return f"coalesce(cast({name} as varchar), '\\0')"


def _postgres_text(column: Column) -> str:
    """The same text, of a live value.

    The loader's casts are not asked: what Postgres holds is turned back into what the lake must hold.
    """
    name = column.type.from_source_sql(column.name)
    if column.type in _WORDS:
        name = _escaped(name)
    elif column.type is Type.BOOLEAN:
        name = f"{name}::integer"
    elif column.type is Type.AT:
        name = f"(extract(epoch from {name}) * 1000000)::bigint"
    elif column.type is Type.RATIO:
        name = f"('x' || encode(float8send({name}), 'hex'))::bit(64)::bigint"
    return f"coalesce(({name})::text, '\\0')"


_WORDS = (Type.TEXT, Type.UUID)  # jsonb is written in its own way, and no published table holds any


def _escaped(text: str) -> str:
    return f"replace(replace({text}, '\\', '\\\\'), '|', '\\p')"
