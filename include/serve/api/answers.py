"""A page of rows as JSON, CSV or Arrow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import pyarrow as pa

from include.contract import Column, Type
from include.serve.api.values import shown


class Format(StrEnum):
    """How rows are answered."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"

    @property
    def media_type(self) -> str:
        """The media type of an answer."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES: Final = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.ARROW: "application/vnd.apache.arrow.stream",
}
# What a spreadsheet takes for the beginning of a formula, OWASP's list; such a text gets an apostrophe, in CSV only.
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True)
class Page:
    """Some rows of a table.

    Attributes:
        table: its qualified name.
        publication_id: the publication that it is of.
        columns: of the rows, in order.
        rows: the values.
        following: the cursor of the next page; None on the last.
    """

    table: str
    publication_id: int
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Any, ...]]
    following: str | None

    def written(self, form: Format) -> bytes:
        """The body of the answer."""
        return {Format.JSON: self._json, Format.CSV: self._csv, Format.ARROW: self._arrow}[form]()

    def _json(self) -> bytes:
        names = [column.name for column in self.columns]
        body = {
            "table": self.table,
            "publication_id": self.publication_id,
            "rows": [dict(zip(names, self._shown(row), strict=True)) for row in self.rows],
            "next": self.following,
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    def _csv(self) -> bytes:
        return csv_header(self.columns) + csv_lines(self.columns, self.rows)

    def _arrow(self) -> bytes:
        sink = pa.BufferOutputStream()
        batch = arrow_batch(self.columns, self.rows)
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        return bytes(sink.getvalue())

    def _shown(self, row: Sequence[Any]) -> list[Any]:
        return [shown(column, value) for column, value in zip(self.columns, row, strict=True)]


def csv_header(columns: Sequence[Column]) -> bytes:
    """The first line of CSV."""
    return (",".join(column.name for column in columns) + "\r\n").encode()


def csv_lines(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> bytes:
    """RFC 4180. Every text is quoted, as some programs separate by semicolons; null is nothing, without quotes."""
    lines = [",".join(map(_cell, columns, map(shown, columns, row))) for row in rows]
    return "".join(f"{line}\r\n" for line in lines).encode()


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The columns as Arrow has them."""
    return pa.schema([(column.name, _arrow_type(column)) for column in columns])


def arrow_batch(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    """Rows as Arrow has them."""
    arrays = [
        pa.array([_arrow_value(column, row[place]) for row in rows], _arrow_type(column))
        for place, column in enumerate(columns)
    ]
    return pa.record_batch(arrays, schema=arrow_schema(columns))


def _cell(column: Column, value: Any) -> str:
    """A value in CSV; see CWE-1236: whoever writes a product's name must not write a reader's formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if column.type not in (Type.TEXT, Type.JSON):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    harmless = f"'{text}" if text.startswith(_FORMULAS) else text
    return '"' + harmless.replace('"', '""') + '"'


def _arrow_type(column: Column) -> pa.DataType:
    """As the warehouse has it: amounts are decimals, days are dates."""
    if column.type is Type.CENTS or (column.type is Type.UNITS and column.places):
        return pa.decimal128(18, column.places)
    if column.type in (Type.DAY, Type.MONTH):
        return pa.date32()
    if column.type is Type.AT:
        return pa.timestamp("us", tz="UTC")
    plain = {Type.INTEGER: pa.int64(), Type.UNITS: pa.int64(), Type.BOOLEAN: pa.bool_(), Type.RATIO: pa.float64()}
    return plain.get(column.type, pa.string())


def _arrow_value(column: Column, value: Any) -> Any:
    if value is None or column.type not in (Type.JSON, Type.UUID, Type.TEXT):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
