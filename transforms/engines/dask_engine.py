"""Dask: for tables of any size, on processes of this machine or a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self

import narwhals as nw

from transforms.engines.duckdb_engine import DuckdbEngine
from transforms.engines.pandas_engine import to_arrow, to_pandas
from transforms.engines.protocol import Frame, Resources, Step, worker_bytes, write_part
from transforms.engines.shared_server import joined

_ROWS_PER_PARTITION: Final = 500_000
_MANY_PARTITIONS: Final = 64


class DaskEngine:
    """Dask dataframes of Arrow-backed pandas partitions, on ``dask.distributed``.

    An existing client is used and left open; otherwise one is made for ``dask_scheduler``, or for the cluster that the
    builds of a night share on this machine, and closed on exit.
    """

    implementation: ClassVar = nw.Implementation.DASK
    rows_per_partition: ClassVar[int] = _ROWS_PER_PARTITION

    def __init__(self, resources: Resources) -> None:
        """Run on ``dask_scheduler``, or on a worker per core here, which spills beyond twice ``memory_limit``."""
        self._resources = resources

    def __enter__(self) -> Self:
        import dask
        from distributed import default_client

        self._held = ExitStack()
        # The partitions hold Arrow-backed strings; Dask's own conversion would change their type.
        self._held.enter_context(dask.config.set({"dataframe.convert-string": False}))
        try:
            default_client()
        except ValueError:
            self._held.enter_context(self._client())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client and the cluster if they were made here."""
        self._held.__exit__(kind, error, trace)

    def _client(self) -> Any:
        """A client of a cluster that somebody else runs, or of the one of this machine."""
        from distributed import Client, Security

        if self._resources.dask_scheduler:
            return Client(self._resources.dask_scheduler)
        arguments = {"memory_limit": worker_bytes(self._resources)}
        server = self._held.enter_context(joined("dask", arguments, self._resources.server_idle_seconds))
        security = Security(require_encryption=True, **server.address["security"])
        return Client(server.address["scheduler"], security=security)

    def open(self, files: Sequence[str], schema: Any) -> Frame:
        """See Engine."""
        import dask.dataframe as dd

        pieces = list(_pieces(*self._resources.files.arrow(files), self.rows_per_partition))
        if not pieces:
            return self.frame(schema.empty_table())
        return _frame(dd.from_map(_read, pieces, schema=schema, meta=to_pandas(schema.empty_table())))

    def frame(self, table: Any) -> Frame:
        """See Engine."""
        import dask.dataframe as dd

        return _frame(dd.from_pandas(to_pandas(table), npartitions=1))

    def typed(self, frame: Frame, schema: Any) -> Frame:
        """See Engine."""
        return _frame(frame.to_native().map_partitions(_cast, schema, meta=to_pandas(schema.empty_table())))

    def write(self, frame: Frame, schema: Any, order: Sequence[str], into: Path) -> list[str]:
        """See Engine.

        The workers write a file per partition; DuckDB then sorts them in one pass, spilling to disk, because Dask sorts
        by one column only.
        """
        import dask
        from dask.base import compute
        from dask.delayed import delayed

        rows = frame.to_native()
        # The peer-to-peer shuffle keeps memory flat, but each is set up on all workers, and a table has a dozen.
        shuffle = "p2p" if rows.npartitions > _MANY_PARTITIONS else "tasks"
        parts = f"{self._resources.shared or into.parent}/{into.name}/unsorted"
        system, (folder,) = self._resources.files.arrow([parts])
        with dask.config.set({"dataframe.shuffle.method": shuffle}):
            # Fusing tasks copies what they share: 110 of 118 s, profiled on small tables.
            partitions = rows.optimize(fuse=False).to_delayed(optimize_graph=False)
        written = compute(
            *(
                delayed(_write)(rows, schema, system, folder, f"{number:05}.parquet")
                for number, rows in enumerate(partitions)
            )
        )
        with DuckdbEngine(self._resources) as duckdb:
            return duckdb.write(duckdb.open([f"{parts}/{name}" for name in written], schema), schema, order, into)

    @staticmethod
    def by_key(frame: Frame, key: Sequence[str], step: Step) -> Frame:
        """See Engine: Dask has no ordered windows, so each partition is a pandas frame that holds whole keys."""
        rows = frame.to_native()
        if rows.npartitions > 1:
            rows = rows.shuffle(on=list(key))
        columns = list(rows.columns)
        return _frame(rows.map_partitions(_stepped, step, columns, meta=_stepped(rows._meta, step, columns)))


@dataclass(frozen=True)
class _Piece:
    """Some row groups of a Parquet file: what one partition holds. ``system`` is Arrow's, None for folders."""

    system: Any
    file: str
    row_groups: tuple[int, ...]


def _pieces(system: Any, files: Sequence[str], rows_per_partition: int) -> Iterator[_Piece]:
    """Cut files into partitions of about so many rows, along their row groups."""
    from pyarrow import parquet

    for file in files:
        metadata = parquet.read_metadata(file, filesystem=system)
        groups: list[int] = []
        rows = 0
        for group in range(metadata.num_row_groups):
            groups.append(group)
            rows += metadata.row_group(group).num_rows
            if rows >= rows_per_partition or group == metadata.num_row_groups - 1:
                yield _Piece(system, file, tuple(groups))
                groups, rows = [], 0


def _read(piece: _Piece, schema: Any, columns: Sequence[str] | None = None) -> Any:
    """A partition, with only the ``columns`` that the build needs."""
    import pyarrow as pa
    from pyarrow import dataset

    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    whole = dataset.dataset(piece.file, schema=schema, filesystem=piece.system)
    groups = [fragment.subset(row_group_ids=piece.row_groups) for fragment in whole.get_fragments()]
    return to_pandas(pa.concat_tables([group.to_table(schema=wanted) for group in groups]))


def _frame(rows: Any) -> Frame:
    frame: Frame = nw.from_native(rows)
    return frame


def _cast(rows: Any, schema: Any) -> Any:
    return to_pandas(to_arrow(rows, schema))


def _write(rows: Any, schema: Any, system: Any, folder: str, name: str) -> str:
    write_part(to_arrow(rows, schema), system, f"{folder}/{name}")
    return name


def _stepped(rows: Any, step: Step, columns: list[str]) -> Any:
    """A step on one pandas partition, whose columns Dask's optimizer may have put in another order than it says."""
    return step(nw.from_native(rows[columns]).lazy()).collect().to_native()
