"""The Arrow schema of a table in the lake."""

from __future__ import annotations

import pyarrow as pa

from include.contract.table import Table
from include.contract.types import Type

_ARROW = {
    Type.INTEGER: pa.int64(),
    Type.TEXT: pa.string(),
    Type.UUID: pa.string(),
    Type.BOOLEAN: pa.bool_(),
    Type.JSON: pa.string(),
    Type.CENTS: pa.int64(),
    Type.UNITS: pa.int64(),
    Type.DAY: pa.int64(),
    Type.MONTH: pa.int64(),
    Type.AT: pa.timestamp("us", tz="UTC"),
    Type.RATIO: pa.float64(),
}


def arrow_type(kind: Type) -> pa.DataType:
    """The Arrow type that the lake uses for a kind of value."""
    return _ARROW[kind]


def arrow_schema(table: Table) -> pa.Schema:
    """The schema of the table's rows in the lake: lake names, in order, every field nullable."""
    return pa.schema([pa.field(column.lake_name, _ARROW[column.type]) for column in table.lake_columns])
