"""The rows of a version of a table, in the columns declared now, even if it was written with other columns.

A column that did not exist then is null. One that had another type is cast, and null where its value does not fit. An
amount that had fewer decimals, as before a shop sold in dinars, has the same value: a lake column is a whole number of
the smallest units, so it is multiplied.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache

import pyarrow as pa
from deltalake import Schema

from include.contract import Column, ContractError, Type
from include.contract.arrow import arrow_type
from include.contract.types import DECIMALS
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.lake.opened import DECIMALS_KEY, column_types
from include.lake.tables import Stored


def rows(
    layer: str, table: str, columns: Sequence[Column], version: int | None = None, *, run: str | None = None
) -> str:
    """A DuckDB relation of a version's rows (None: the latest), or of one run's, with the given columns.

    Raises:
        Damaged: when a file is missing or has another size than it was written with.
        deltalake.exceptions.DeltaError: when the table no longer has this version.
    """
    return rows_of(lake.stored(layer, table, version, run), columns)


def rows_of(stored: Stored, columns: Sequence[Column]) -> str:
    """The same relation, of a version that was looked up before."""
    return duck.relation(
        stored.files, columns, of_other_columns=bool(lacking(stored, columns)), scales=scales(stored, columns)
    )


def with_decimals(rows: pa.RecordBatchReader, columns: Collection[Column]) -> pa.RecordBatchReader:
    """The same rows, whose schema says the decimals of every amount that has others than ``DECIMALS``."""
    named = {column.lake_name: _decimals(column) for column in columns if _decimals(column) != DECIMALS}
    if not named:
        return rows
    schema = pa.schema(
        [
            field.with_metadata({DECIMALS_KEY: str(named[field.name])}) if field.name in named else field
            for field in rows.schema
        ]
    )
    return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in rows))


def lacking(stored: Stored, columns: Collection[Column]) -> set[str]:
    """The names of the columns that a version lacks or holds in another type; none where the version has no file."""
    if not stored.files:
        return set()
    return {column.lake_name for column in columns if stored.types.get(column.lake_name) != _stored_as(column.type)}


@cache
def _stored_as(kind: Type) -> str:
    """The type of a column of a type in the Delta log."""
    return column_types(Schema.from_arrow(pa.schema([pa.field("column", arrow_type(kind))])))["column"]


def has_columns(stored: Stored, columns: Collection[Column]) -> bool:
    """Whether a version has exactly these columns, in these types and decimals."""
    named = {column.lake_name for column in columns}
    return not lacking(stored, columns) and stored.types.keys() == named and not scales(stored, columns)


def scales(stored: Stored, columns: Collection[Column]) -> dict[str, int]:
    """What to multiply a version's amounts by, by name of the column; those that are 1 are left out.

    Raises:
        ContractError: when a version has more decimals than are asked for: nothing is rounded.
    """
    found = {}
    for column in columns if stored.files else ():
        held = stored.decimals.get(column.lake_name, DECIMALS)
        if column.type is Type.CENTS and held > column.decimals:
            raise ContractError(f"{column.name} has {held} decimals in the lake, and {column.decimals} are asked for")
        if column.type is Type.CENTS and held < column.decimals:
            found[column.lake_name] = 10 ** (column.decimals - held)
    return found


def _decimals(column: Column) -> int:
    return column.decimals if column.type is Type.CENTS else DECIMALS
