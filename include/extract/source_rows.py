"""The rows of one source on their way out of the shop: in the lake's types, stamped with the run and its snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa

from include.contract import Source
from include.extract import statements
from include.extract.range_sums import RangeSums
from include.extract.reading import AS_GIVEN, Reading
from include.extract.refusals import value_refused
from include.extract.sql_files import EVERYTHING, Range, file_of, shown, typed_sql
from include.extract.work import ReadRange
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.lake.rows import with_decimals

_BATCH: Final = 100_000
_BATCH_OF_RANGE: Final = 25_000  # every connection holds one, and none of them counts against its share of memory

Divided = Callable[[ReadRange], Iterator[pa.RecordBatch]]  # the rows of all ranges, by whoever reads them


@dataclass(frozen=True)
class SourceRows:
    """Reads rows of a source.

    Attributes:
        source: the source.
        run: the run that they are read for.
        snapshot_at: of which instant they are.
        reading: how the statement's columns are read.
        any_bytes: whether the shop's texts may hold any bytes.
    """

    source: Source
    run: str
    snapshot_at: datetime
    reading: Reading = AS_GIVEN
    any_bytes: bool = False

    def typed(self, changed_since: str, within: Range | None = None) -> str:
        """The statement that returns them in the lake's types."""
        return typed_sql(self.source, changed_since, any_bytes=self.any_bytes, reading=self.reading, within=within)

    def of(
        self, connection: duckdb.DuckDBPyConnection, statement: str, batch_rows: int = _BATCH
    ) -> pa.RecordBatchReader:
        """The rows of a statement in the shop."""
        return self.stamped(connection, "select * from postgres_query('shop', ?)", [statement], batch_rows)

    def in_ranges(
        self, connection: duckdb.DuckDBPyConnection, divided: Divided, sums: RangeSums | None
    ) -> pa.RecordBatchReader:
        """All rows, as several connections read them; they also sum what they have read."""

        def read(reader: duckdb.DuckDBPyConnection, some: Range) -> Iterator[pa.RecordBatch]:
            with naming_source(self.source.name):
                typed = self.typed(EVERYTHING, some)
                yield from self.of(reader, typed, _BATCH_OF_RANGE)
                if sums:
                    sums.add(reader, self.source, typed)

        schema = self.of(connection, f"select * from ({self.typed(EVERYTHING)}) as whole limit 0").schema
        return pa.RecordBatchReader.from_batches(schema, divided(read))

    def stamped(
        self,
        connection: duckdb.DuckDBPyConnection,
        rows: str,
        parameters: Sequence[str] = (),
        batch_rows: int = _BATCH,
    ) -> pa.RecordBatchReader:
        """The rows of a DuckDB query, as lake/raw has them."""
        statement = f"select *, cast(? as timestamptz) as _snapshot_at, ? as {lake.RUN} from ({rows})"
        made = connection.execute(statement, [self.snapshot_at, self.run, *parameters])
        return with_decimals(made.to_arrow_reader(batch_rows), self.source.columns)


@contextmanager
def naming_source(source: str) -> Iterator[None]:
    """Add the source and its file to an error, and leave out the statement that was made of the file.

    Raises:
        StatementsRefused: where a value cannot be cast: DuckDB has the same error for a server that went away.
    """
    try:
        with duck.guarded():
            yield
    except (duckdb.Error, ConnectionError) as error:
        said = duck.reason(error)
        if finding := value_refused(source, said):
            statements.refuse([finding])
        raise type(error)(f"source {source} ({shown(file_of(source))}): {said}") from None


def counted(reader: pa.RecordBatchReader, counts: list[int]) -> pa.RecordBatchReader:
    """The same rows; the size of each batch is appended to ``counts`` as it passes."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            counts.append(batch.num_rows)
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
