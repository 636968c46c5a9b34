"""The (entity, timestamp) pairs of a training set: reading them, and checking them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from include.contract import Column, Type
from include.contract.types import day_number
from include.lake import duckdb_session as duck
from include.lake import storage
from include.settings import settings
from include.training.errors import ColumnClash, MissingColumn, NullKey, WrongKeyType, WrongTimestamp, WrongTrainingSet
from include.training.slices import end_of, files, published
from include.training.wanted import Wanted, wanted

PAIR = "_pair"  # the number of a pair: its place in the training set
AT = "_at"
KEY = "_key_"  # the prefix of a key column that holds the key as the lake does
_NUMBERS = ("_place", "file_row_number")  # columns with a pair's position in its table or file
_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
_ALLOWED: Mapping[Type, frozenset[str]] = {
    Type.INTEGER: _INTEGERS,
    Type.TEXT: frozenset({"VARCHAR"}),
    Type.UUID: frozenset({"UUID", "VARCHAR"}),
}


@dataclass(frozen=True)
class Query:
    """Pairs from the warehouse, read as the analyst.

    Attributes:
        sql: one ``select``, in Postgres' dialect.
    """

    sql: str


@dataclass(frozen=True)
class EveryEntity:
    """Every entity of a feature set at the end of some business days.

    Attributes:
        feature_set: its name.
        dates: the days; each must have a published slice.
    """

    feature_set: str
    dates: tuple[date, ...]


Entities: TypeAlias = pa.Table | Path | str | Query | EveryEntity


def load(
    connection: duckdb.DuckDBPyConnection,
    entities: Entities,
    timestamp: str,
    asked: Sequence[Wanted],
    publication: int,
) -> list[str]:
    """Create the table ``pairs``: the pairs, numbered, with keys and instants as the lake holds them.

    Args:
        connection: the session to create it in.
        entities: the pairs; a text is the path of a Parquet file.
        timestamp: the column with each pair's instant.
        asked: the sets that will be joined; the pairs need their keys.
        publication: the latest publication of features that may be read.

    Returns:
        The pairs' own columns, in order.

    Raises:
        WrongTrainingSet: naming what is wrong with the pairs.
    """
    rows, order = _relation(connection, entities, timestamp, publication)
    kinds = {str(name): str(kind) for name, kind, *_ in connection.execute(f"describe select * from {rows}").fetchall()}
    own = [name for name in kinds if name not in _NUMBERS]
    keys = {column.name: column for one in asked for column in one.keys}
    _check_columns(own, kinds, timestamp, keys, asked)
    order_by = ", ".join(quoted(name) for name in order or own)
    lake_keys = ", ".join(f"{_as_in_lake(column)} as {quoted(KEY + name)}" for name, column in keys.items())
    try:
        connection.execute(
            f"""
            create table pairs as
            select
                row_number() over (order by {order_by}) as {PAIR},
                {", ".join(map(quoted, own))},
                {quoted(timestamp)}::timestamptz as {AT},
                {lake_keys}
            from {rows}
            """
        )
    except duckdb.ConversionException as error:
        raise WrongKeyType(f"a key of the entities is not of the shop's type: {str(error).splitlines()[0]}") from error
    _check_values(connection, timestamp, keys)
    return own


def quoted(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def slice_rows(one: Wanted, names: Sequence[str]) -> str:
    """A SQL relation of a set's rows with their file and day; a column that a file lacks is null.

    Args:
        one: the set, with its keys and the columns asked for.
        names: Parquet files; without any the relation is empty.
    """
    columns = [*one.keys, *one.columns]
    empty = ", ".join(f"null::{column.type.duckdb} as {quoted(column.lake_name)}" for column in columns)
    if not names:
        return f"(select {empty}, null::varchar as _file, null::bigint as _day where false)"
    day = quoted(one.slice_column)
    values = ", ".join(
        f"try_cast({quoted(column.lake_name)} as {column.type.duckdb}) as {quoted(column.lake_name)}"
        for column in columns
    )
    return f"""(
        select {values}, _file, {day} as _day
        from (
            select {empty}, null::varchar as _file, null::bigint as {day} where false
            union all by name
            select * from read_parquet(
                [{", ".join(map(duck.quoted, names))}], union_by_name = true, filename = '_file'
            )
        )
    )"""


def _relation(
    connection: duckdb.DuckDBPyConnection, entities: Entities, timestamp: str, publication: int
) -> tuple[str, list[str]]:
    """A SQL relation of the pairs, and the columns that order them; none means all of their own."""
    if isinstance(entities, Query):
        url = settings().analyst_url
        if url is None:
            raise WrongTrainingSet("set STOCKTAKE_ANALYST_URL: entities are read from the warehouse as the analyst")
        duck.attach(connection, "analyst", url, read_only=True)
        # It may end in a comment.
        statement = f"select * from (\n{entities.sql.rstrip().rstrip(';')}\n) as asked"
        try:
            with duck.guarded():
                connection.execute(
                    f"create table found as select * from postgres_query('analyst', {duck.quoted(statement)})"
                )
        except duckdb.Error as error:
            raise WrongTrainingSet(f"the warehouse refuses the query: {' '.join(str(error).split())}") from None
        return "found", []
    if isinstance(entities, EveryEntity):
        _every(connection, entities, timestamp, publication)
        return "found", [timestamp, *(name for name in _names(connection, "found") if name != timestamp)]
    names = entities.column_names if isinstance(entities, pa.Table) else _schema(entities).names
    if clashing := sorted({*_NUMBERS} & {*names}):
        raise ColumnClash(f"rename {', '.join(clashing)}: the training set uses this name for row numbers")
    if isinstance(entities, pa.Table):
        connection.register("given", entities.append_column("_place", pa.array(range(len(entities)), pa.int64())))
        return "given", ["_place"]
    return f"read_parquet({duck.quoted(str(entities))}, file_row_number = true)", ["file_row_number"]


def _schema(file: Path | str) -> pa.Schema:
    if not storage.exists(str(file)):
        raise WrongTrainingSet(f"there is no Parquet file {file}")
    try:
        with storage.opened(str(file)) as source:
            return pq.read_schema(source)
    except pa.ArrowInvalid as error:
        raise WrongTrainingSet(f"{file} is no Parquet file: {error}") from error


def _every(connection: duckdb.DuckDBPyConnection, every: EveryEntity, timestamp: str, publication: int) -> None:
    [one] = wanted([every.feature_set], [])
    newest = {of.as_of: of for of in published(one, publication)}
    if missing := sorted(set(every.dates) - set(newest)):
        raise WrongTrainingSet(f"{one.table.name} has no slice of {', '.join(map(str, missing))} published")
    if not every.dates:
        raise WrongTrainingSet("name at least one date")
    keys = ", ".join(quoted(column.name) for column in one.keys)
    parts = [
        f"""
        select {keys}, timestamptz {duck.quoted(end_of(day).isoformat())} as {quoted(timestamp)}
        from {slice_rows(one, files(one, newest[day]))}
        where _day = {day_number(day)}
        """
        for day in sorted(set(every.dates))
    ]
    connection.execute(f"create table found as {' union all '.join(parts)}")


def _names(connection: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    return [str(name) for name, *_ in connection.execute(f"describe {relation}").fetchall()]


def _check_columns(
    own: Sequence[str],
    kinds: Mapping[str, str],
    timestamp: str,
    keys: Mapping[str, Column],
    asked: Sequence[Wanted],
) -> None:
    if missing := sorted({timestamp, *keys} - set(own)):
        raise MissingColumn(f"the entities have no column {', '.join(missing)}; they have {', '.join(own)}")
    if kinds[timestamp] != "TIMESTAMP WITH TIME ZONE":
        raise WrongTimestamp(
            f"{timestamp} is of type {kinds[timestamp]}: give it a time zone, because a day ends at an instant"
        )
    for name, column in keys.items():
        if kinds[name] not in _ALLOWED[column.type]:
            raise WrongKeyType(f"{name} is of type {kinds[name]}, the shop's is {column.type}")
    prefixes = tuple(one.named("") for one in asked)
    if clashing := sorted(
        name for name in own if name.startswith(prefixes) or name in (PAIR, AT) or name.startswith(KEY)
    ):
        raise ColumnClash(f"rename {', '.join(clashing)}: the training set has columns with these names")


def _check_values(connection: duckdb.DuckDBPyConnection, timestamp: str, keys: Mapping[str, Column]) -> None:
    for name in keys:
        if nulls := _count(connection, f"{quoted(KEY + name)} is null"):
            raise NullKey(f"{name} is null in {nulls:,} of the entities: leave them out, as the orders of guests")
    known = f"isfinite({AT}) and {AT} between timestamptz '0001-01-02' and timestamptz '9999-12-30'"
    if wrong := _count(connection, f"not coalesce({known}, false)"):
        raise WrongTimestamp(
            f"{timestamp} is null, infinite or beyond the years 1 to 9999 in {wrong:,} of the entities"
        )


def _count(connection: duckdb.DuckDBPyConnection, condition: str) -> int:
    found = connection.execute(f"select count(*) from pairs where {condition}").fetchone()
    return int(found[0]) if found else 0


def _as_in_lake(column: Column) -> str:
    """A DuckDB expression of a key as the lake holds it: a UUID is lower-case text there."""
    if column.type is Type.UUID:
        return f"{quoted(column.name)}::uuid::varchar"
    return f"{quoted(column.name)}::{column.type.duckdb}"
