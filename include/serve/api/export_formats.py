"""The formats of exports, each written batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import IO, Any, Final

import pyarrow as pa

from include.contract import Column
from include.serve.api.answers import arrow_batch, arrow_schema, csv_header, csv_lines

Write = Callable[[Sequence[tuple[Any, ...]]], object]
_ROW_GROUP: Final = 100_000  # rows of Parquet that are skipped or read together


class ExportFormat(StrEnum):
    """What kind of file an export is; its name ends in this."""

    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"

    @property
    def media_type(self) -> str:
        """The media type of the file."""
        return _MEDIA_TYPES[self]

    @contextmanager
    def writing(self, sink: IO[bytes], columns: Sequence[Column], *, byte_order_mark: bool) -> Iterator[Write]:
        """Write a file: what is yielded takes rows, as often as there are some.

        Args:
            sink: where it is written.
            columns: of the rows, in order.
            byte_order_mark: whether CSV begins with one.
        """
        with _WRITERS[self](sink, columns, byte_order_mark) as write:
            yield write


_MEDIA_TYPES: Final = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
    ExportFormat.ARROW: "application/vnd.apache.arrow.file",
}


@contextmanager
def _csv(sink: IO[bytes], columns: Sequence[Column], byte_order_mark: bool) -> Iterator[Write]:
    sink.write(("\ufeff" if byte_order_mark else "").encode() + csv_header(columns))
    yield lambda rows: sink.write(csv_lines(columns, rows))


@contextmanager
def _arrow(sink: IO[bytes], columns: Sequence[Column], _: bool) -> Iterator[Write]:
    with pa.ipc.new_file(sink, arrow_schema(columns)) as file:
        yield lambda rows: file.write_batch(arrow_batch(columns, rows))


@contextmanager
def _parquet(sink: IO[bytes], columns: Sequence[Column], _: bool) -> Iterator[Write]:
    from pyarrow import parquet  # which the API's processes need not load

    schema = arrow_schema(columns)
    with parquet.ParquetWriter(sink, schema, compression="zstd") as file:
        waiting: list[pa.RecordBatch] = []

        def write_group() -> None:
            if waiting:
                file.write_table(pa.Table.from_batches(waiting, schema), row_group_size=_ROW_GROUP)
                waiting.clear()

        def write(rows: Sequence[tuple[Any, ...]]) -> None:
            waiting.append(arrow_batch(columns, rows))
            if sum(batch.num_rows for batch in waiting) >= _ROW_GROUP:
                write_group()

        yield write
        write_group()


_WRITERS: Final = {ExportFormat.CSV: _csv, ExportFormat.PARQUET: _parquet, ExportFormat.ARROW: _arrow}
