"""The rows of a version of a table, in the columns declared now, even if it was written with other columns.

A column that did not exist then is null. One that had another type is cast, and null where its value does not fit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa
from deltalake import Schema

from include.contract import Column
from include.contract.arrow import arrow_type
from include.lake import duckdb_session as duck
from include.lake import tables as lake
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
    return duck.relation(stored.files, columns, of_other_columns=bool(lacking(stored, columns)))


def lacking(stored: Stored, columns: Collection[Column]) -> set[str]:
    """The names of the columns that a version lacks or holds in another type; none where the version has no file."""
    declared = lake.column_types(
        Schema.from_arrow(pa.schema([pa.field(column.lake_name, arrow_type(column.type)) for column in columns]))
    )
    if not stored.files:
        return set()
    return {name for name, kind in declared.items() if stored.types.get(name) != kind}


def has_columns(stored: Stored, columns: Collection[Column]) -> bool:
    """Whether a version has exactly these columns, in these types."""
    return not lacking(stored, columns) and stored.types.keys() == {column.lake_name for column in columns}
