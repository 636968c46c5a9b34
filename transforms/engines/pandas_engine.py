"""pandas: for tables that fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import narwhals as nw

from transforms.engines.protocol import ROWS_PER_GROUP, Frame, Resources, Step


class PandasEngine:
    """The rows in this process's memory, on Arrow-backed columns, so that integers stay integers beside nulls."""

    implementation: ClassVar = nw.Implementation.PANDAS

    def __init__(self, resources: Resources) -> None:
        """Take the files; pandas has no limits to set."""
        self._files = resources.files

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    def open(self, files: Sequence[str], schema: Any) -> Frame:
        """See Engine."""
        from pyarrow import dataset

        if not files:
            return self.frame(schema.empty_table())
        system, paths = self._files.arrow(files)
        return self.frame(dataset.dataset(paths, schema=schema, filesystem=system).to_table())

    def frame(self, table: Any) -> Frame:
        """See Engine."""
        frame: Frame = nw.from_native(to_pandas(table)).lazy()
        return frame

    def typed(self, frame: Frame, schema: Any) -> Frame:
        """See Engine."""
        return self.frame(to_arrow(frame.collect().to_native(), schema))

    def write(self, frame: Frame, schema: Any, order: Sequence[str], into: Path) -> list[str]:
        """See Engine."""
        rows = to_arrow(frame.collect().to_native(), schema).sort_by([(column, "ascending") for column in order])
        return write_batches(rows.to_batches(), schema, into)

    @staticmethod
    def by_key(frame: Frame, key: Sequence[str], step: Step) -> Frame:  # noqa: ARG004 - all rows are in one place
        """See Engine."""
        return step(frame)


def to_pandas(table: Any) -> Any:
    """A ``pyarrow.Table`` as an Arrow-backed ``pandas.DataFrame``."""
    import pandas as pd

    return table.to_pandas(types_mapper=pd.ArrowDtype)


def to_arrow(rows: Any, schema: Any) -> Any:
    """A ``pandas.DataFrame`` as a ``pyarrow.Table`` of exactly this schema.

    Raises:
        pyarrow.ArrowInvalid: when a value does not fit its declared type.
    """
    import pyarrow as pa

    return pa.Table.from_pandas(rows, preserve_index=False).select(schema.names).cast(schema)


def write_batches(batches: Iterable[Any], schema: Any, into: Path) -> list[str]:
    """Write sorted ``pyarrow.RecordBatch``es as one Parquet file of exactly this schema.

    Raises:
        pyarrow.ArrowInvalid: when a value does not fit its declared type.
    """
    from pyarrow import parquet

    file = into / "part-00000.parquet"
    # The file is read soon and then removed: LZ4 is the quickest to write, two thirds of the time of zstd.
    with parquet.ParquetWriter(file, schema, compression="lz4", dictionary_pagesize_limit=16_384) as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema), row_group_size=ROWS_PER_GROUP)
    return [str(file)]
