"""The engines that run a table's ``build``. The only file that knows one.

A build sees narwhals lazy frames and nothing else. An engine opens Parquet files as such a frame and gives back the
rows of one; adding an engine is adding one class to ``ENGINES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, ClassVar, Final, Protocol, Self, TypeAlias

import narwhals as nw

Frame: TypeAlias = nw.LazyFrame[Any]
Step: TypeAlias = Callable[[Frame], Frame]

ROWS_PER_BATCH: Final = 122_880  # a DuckDB row group: what one Parquet row group of a published table holds


class Engine(Protocol):
    """Opens files as frames and gives back a frame's rows; a context, because an engine may hold a connection.

    Attributes:
        implementation: what narwhals calls the frames of this engine.
    """

    implementation: ClassVar[nw.Implementation]

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def open(self, files: Sequence[str], schema: Any) -> Frame:
        """The rows of all the Parquet files.

        Args:
            files: paths; none means no rows.
            schema: the ``pyarrow.Schema`` of the frame. A file's other columns are not read, a column it lacks is null.
        """

    def frame(self, table: Any) -> Frame:
        """A small ``pyarrow.Table`` as a frame of this engine."""

    def typed(self, frame: Frame, schema: Any) -> Frame:
        """The rows with exactly the columns and types of a schema, as if they had been written to a file and opened.

        Raises:
            pyarrow.ArrowInvalid: when a value does not fit its declared type.
        """

    def batches(self, frame: Frame, schema: Any, order: Sequence[str]) -> Iterator[Any]:
        """The rows as ``pyarrow.RecordBatch``es of exactly this schema, sorted by the given columns.

        Raises:
            pyarrow.ArrowInvalid: when a value does not fit its declared type.
        """

    @staticmethod
    def by_key(frame: Frame, key: Sequence[str], step: Step) -> Frame:
        """Run ``step`` on frames that each hold all rows of a key."""


def by_key(frame: Frame, key: Sequence[str], step: Step) -> Frame:
    """Run a step that must see all rows of a key together: ordered windows, row numbers, sums over a key.

    Args:
        frame: the rows.
        key: the columns that name the key; every window of the step is over (at least) these.
        step: takes and returns a frame. It may be called once with everything or many times with some of the keys.
    """
    return _BY_IMPLEMENTATION[frame.implementation].by_key(frame, key, step)


class PandasEngine:
    """pandas on Arrow-backed columns, so that integers stay integers beside nulls."""

    implementation: ClassVar = nw.Implementation.PANDAS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to let go of."""

    def open(self, files: Sequence[str], schema: Any) -> Frame:
        """See Engine."""
        from pyarrow import dataset

        return self.frame(dataset.dataset(list(files), schema=schema).to_table() if files else schema.empty_table())

    def frame(self, table: Any) -> Frame:
        """See Engine."""
        import pandas as pd

        frame: Frame = nw.from_native(table.to_pandas(types_mapper=pd.ArrowDtype)).lazy()
        return frame

    def typed(self, frame: Frame, schema: Any) -> Frame:
        """See Engine."""
        return self.frame(self._table(frame, schema))

    def batches(self, frame: Frame, schema: Any, order: Sequence[str]) -> Iterator[Any]:
        """See Engine."""
        rows = self._table(frame, schema).sort_by([(column, "ascending") for column in order])
        yield from rows.combine_chunks().to_batches(max_chunksize=ROWS_PER_BATCH)

    def _table(self, frame: Frame, schema: Any) -> Any:
        import pyarrow as pa

        rows = pa.Table.from_pandas(frame.collect().to_native(), preserve_index=False)
        return rows.select(schema.names).cast(schema)

    @staticmethod
    def by_key(frame: Frame, key: Sequence[str], step: Step) -> Frame:  # noqa: ARG004 - all rows are in one place
        """See Engine."""
        return step(frame)


class DuckdbEngine:
    """DuckDB in this process, reading the files as it goes."""

    implementation: ClassVar = nw.Implementation.DUCKDB

    def __enter__(self) -> Self:
        import duckdb

        self._folder = TemporaryDirectory(prefix="stocktake-")
        self._connection = duckdb.connect()
        self._connection.execute("set timezone = 'UTC'")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection; frames opened on it end with it."""
        self._connection.close()
        self._folder.cleanup()

    def open(self, files: Sequence[str], schema: Any) -> Frame:
        """See Engine."""
        if not files:
            return self.frame(schema.empty_table())
        rows = self._connection.read_parquet(list(files), union_by_name=True)
        columns = (_quoted(name) if name in rows.columns else f"null as {_quoted(name)}" for name in schema.names)
        return nw.from_native(rows.project(", ".join(columns)))

    def frame(self, table: Any) -> Frame:
        """See Engine."""
        return nw.from_native(self._connection.from_arrow(table))

    def typed(self, frame: Frame, schema: Any) -> Frame:
        """See Engine.

        They are written to a file: DuckDB binds a relation anew for everything that is made from it, so that a deep
        tree of them takes seconds before it reads the first row.
        """
        file = str(Path(self._folder.name) / f"{len(list(Path(self._folder.name).iterdir()))}.parquet")
        self._bigint(frame, schema).write_parquet(file)
        return self.open([file], schema)

    def batches(self, frame: Frame, schema: Any, order: Sequence[str]) -> Iterator[Any]:
        """See Engine."""
        ordered = self._bigint(frame, schema).order(", ".join(_quoted(column) for column in order))
        for batch in ordered.to_arrow_reader(ROWS_PER_BATCH):
            yield batch.cast(schema)

    def _bigint(self, frame: Frame, schema: Any) -> Any:
        """The rows with 64-bit integers: a sum of BIGINTs is a HUGEINT, which Arrow does not have; too much fails."""
        rows = frame.to_native()
        kinds = dict(zip(rows.columns, rows.types, strict=True))
        return rows.project(
            ", ".join(
                f"{_quoted(name)}::bigint as {_quoted(name)}" if str(kinds[name]) == "HUGEINT" else _quoted(name)
                for name in schema.names
            )
        )

    @staticmethod
    def by_key(frame: Frame, key: Sequence[str], step: Step) -> Frame:  # noqa: ARG004 - DuckDB partitions windows itself
        """See Engine."""
        return step(frame)


ENGINES: Final[Mapping[str, type[Engine]]] = {"pandas": PandasEngine, "duckdb": DuckdbEngine}

_BY_IMPLEMENTATION: Final = {engine.implementation: engine for engine in ENGINES.values()}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
