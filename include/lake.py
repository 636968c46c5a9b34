"""The lake: Delta tables in layers, written atomically, read as the Parquet files of a pinned version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from include.settings import settings

RUN = "_run"  # raw's partition: the run that read the rows


def folder(layer: str, table: str) -> Path:
    """Where a table of a layer (``raw``, ``clean``, ``quarantine``, ``reporting``, ``features``) lies."""
    return settings().lake / layer / table


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder beside the tables, where a cluster's machines see it too; it goes with what was written into it."""
    below = settings().lake / "scratch"
    below.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=below) as folder:
        yield Path(folder)


def files(layer: str, table: str, version: int | None = None, run: str | None = None) -> list[str]:
    """The Parquet files of a table: of one version (None: the latest), of one run's rows (raw only).

    Returns:
        Absolute paths, sorted; none where the table was never written.
    """
    opened = _open(layer, table, version)
    if opened is None:
        return []
    return sorted(opened.file_uris(file_pruning_predicate=[(RUN, "=", run)] if run else None))


def slice_files(layer: str, table: str, version: int, column: str, value: int) -> list[str]:
    """The Parquet files of a version that may hold rows with one value of an integer column.

    Returns:
        Absolute paths, sorted; none where the table was never written.

    Raises:
        deltalake.exceptions.DeltaError: when the table has no such version any more.
    """
    opened = _open(layer, table, version)
    return sorted(opened.file_uris(file_pruning_predicate=[(column, "=", value)])) if opened else []


def version(layer: str, table: str) -> int | None:
    """The latest version of a table; None where it was never written."""
    opened = _open(layer, table, None)
    return None if opened is None else int(opened.version())


def replace_run(layer: str, table: str, run: str, rows: pa.RecordBatchReader) -> None:
    """Write the rows of one run; a second time replaces them, and no other run's."""
    target = folder(layer, table)
    if _open(layer, table, None) is None:
        write_deltalake(target, rows, mode="append", partition_by=[RUN])
    else:
        write_deltalake(target, rows, mode="overwrite", predicate=f"{RUN} = '{run}'", partition_by=[RUN])


def append_run(layer: str, table: str, rows: pa.RecordBatchReader) -> None:
    """Add rows to those of a run."""
    write_deltalake(folder(layer, table), rows, mode="append", partition_by=[RUN])


def forget_run(layer: str, table: str, run: str) -> None:
    """Take away the rows of one run, where there are any."""
    opened = _open(layer, table, None)
    if opened is not None and files(layer, table, run=run):
        opened.delete(f"{RUN} = '{run}'")


def replace_slice(layer: str, table: str, column: str, value: int, rows: pa.RecordBatchReader) -> int:
    """Write one slice of a table (rows with one value of an integer column); other slices stay.

    Returns:
        The version that holds the result.
    """
    target = _open(layer, table, None)
    if target is None:
        return replace(layer, table, rows)
    write_deltalake(target, rows, mode="overwrite", predicate=f"{column} = {value}")
    return int(target.version())


def replace(layer: str, table: str, rows: pa.RecordBatchReader) -> int:
    """Write a table anew, as one commit.

    Returns:
        The version that holds exactly these rows.
    """
    target = _open(layer, table, None)
    if target is None:
        write_deltalake(folder(layer, table), rows, mode="error")
        return 0
    write_deltalake(target, rows, mode="overwrite", schema_mode="overwrite")
    return int(target.version())


def merge(layer: str, table: str, key: Sequence[str], rows: pa.RecordBatchReader, gone: str) -> int:
    """Insert or update rows by key and delete those marked as gone, as one commit.

    Args:
        layer: the layer.
        table: the table.
        key: the columns that identify a row; ``rows`` holds each key once.
        rows: the table's columns and the boolean column ``gone``.
        gone: the name of that column; of such a row only the key counts.

    Returns:
        The version that holds the result.
    """
    target = DeltaTable(folder(layer, table))
    columns = [name for name in rows.schema.names if name != gone]
    values = {name: f"new.{name}" for name in columns}
    (
        target.merge(rows, " and ".join(f"new.{name} = old.{name}" for name in key), "new", "old")
        .when_matched_delete(f"new.{gone}")
        .when_matched_update(values)
        .when_not_matched_insert(values, predicate=f"not new.{gone}")
        .execute()
    )
    return int(target.version())


def _open(layer: str, table: str, version: int | None) -> DeltaTable | None:
    try:
        return DeltaTable(folder(layer, table), version=version)
    except TableNotFoundError:
        return None
