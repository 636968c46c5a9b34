"""How Spark reads and writes a lake in an object store without a jar: through Arrow, in its Python workers.

They need pyarrow and obstore, and nothing of ours: what they run is sent to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any


def lake_source(name: str, system: Any, paths: Sequence[str], wanted: Any) -> type[Any]:
    """A data source of Spark's: Parquet files, a partition each.

    Args:
        name: what it is called in the session.
        system: Arrow's file system.
        paths: the files, as it calls them.
        wanted: the ``pyarrow.Schema`` of the rows; a column that a file lacks is null.
    """
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

    class Reader(DataSourceReader):
        def partitions(self) -> Sequence[InputPartition]:
            return [InputPartition(path) for path in paths]

        def read(self, partition: InputPartition) -> Iterator[Any]:
            from pyarrow import dataset

            yield from dataset.dataset(partition.value, schema=wanted, filesystem=system).to_batches()

    # A class of a function is sent to the workers as it is, with what it refers to.
    class Lake(DataSource):
        @classmethod
        def name(cls) -> str:
            return name

        def schema(self) -> Any:
            from pyspark.sql.pandas.types import from_arrow_schema

            return from_arrow_schema(wanted)

        def reader(self, schema: Any) -> DataSourceReader:  # noqa: ARG002 - the same one
            return Reader()

    return Lake


def writer(system: Any, folder: str, wanted: Any) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """What writes the rows of a partition to a file of a folder, and gives its name; for ``mapInArrow``."""

    def write(batches: Iterable[Any]) -> Iterator[Any]:
        import io

        import pyarrow as pa
        from pyarrow import parquet
        from pyspark import TaskContext

        context = TaskContext.get()
        name = f"part-{context.partitionId() if context else 0:05}.parquet"
        content = io.BytesIO()
        with parquet.ParquetWriter(content, wanted) as file:
            for batch in batches:
                file.write_table(pa.Table.from_batches([batch]).cast(wanted))
        system.handler.fs.pipe_file(f"{folder}/{name}", content.getvalue())
        yield pa.RecordBatch.from_pydict({"name": [name]})

    return write
