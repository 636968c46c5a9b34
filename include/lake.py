"""The lake: Delta tables in layers, written atomically, read as the Parquet files of a pinned version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from include.settings import settings

RUN = "_run"  # raw's partition: the run that read the rows
_CHANGES = "stocktake.changes"  # in a commit's metadata: the file that says what it changes


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


def replace(layer: str, table: str, rows: pa.RecordBatchReader, changes: Path | None = None) -> int:
    """Write a table anew, as one commit.

    Args:
        layer: the layer.
        table: the table.
        rows: all of its rows.
        changes: a file that says what differs from the version before; see ``changes``.

    Returns:
        The version that holds exactly these rows.
    """
    target = _open(layer, table, None)
    if target is None:
        write_deltalake(folder(layer, table), rows, mode="error")
        return 0
    write_deltalake(target, rows, mode="overwrite", schema_mode="overwrite", commit_properties=_naming(changes))
    return int(target.version())


def merge(
    layer: str, table: str, key: Sequence[str], rows: pa.RecordBatchReader, gone: str, changes: Path | None = None
) -> int:
    """Insert or update rows by key and delete those marked as gone, as one commit.

    Args:
        layer: the layer.
        table: the table.
        key: the columns that identify a row; ``rows`` holds each key once.
        rows: the table's columns and the boolean column ``gone``.
        gone: the name of that column; of such a row only the key counts.
        changes: a file that says what differs from the version before; see ``changes``.

    Returns:
        The version that holds the result.
    """
    target = DeltaTable(folder(layer, table))
    columns = [name for name in rows.schema.names if name != gone]
    values = {name: f"new.{name}" for name in columns}
    (
        target.merge(
            rows,
            " and ".join(f"new.{name} = old.{name}" for name in key),
            "new",
            "old",
            commit_properties=_naming(changes),
        )
        .when_matched_delete(f"new.{gone}")
        .when_matched_update(values)
        .when_not_matched_insert(values, predicate=f"not new.{gone}")
        .execute()
    )
    return int(target.version())


def changes_file(layer: str, table: str) -> Path:
    """A new file for what a commit changes."""
    below = settings().lake / "changes" / layer / table
    below.mkdir(parents=True, exist_ok=True)
    return below / f"{uuid4()}.parquet"


def changes(layer: str, table: str, since: int, until: int) -> list[str] | None:
    """The files that say what differs between two versions: rows as they were and rows as they are, marked ``_old``.

    Returns:
        Absolute paths, one per commit that changed something; None where that is not known of every commit.
    """
    if since == until:
        return []
    opened = _open(layer, table, until)
    if opened is None or since > until:
        return None
    commits = {int(commit["version"]): commit for commit in opened.history()}
    files = [commits.get(version, {}).get(_CHANGES) for version in range(since + 1, until + 1)]
    return [str(file) for file in files] if all(file and Path(file).exists() for file in files) else None


def _naming(changes: Path | None) -> CommitProperties | None:
    """What makes a commit name the file that says what it changes: both are there, or neither."""
    return CommitProperties(custom_metadata={_CHANGES: str(changes)}) if changes else None


def _open(layer: str, table: str, version: int | None) -> DeltaTable | None:
    try:
        return DeltaTable(folder(layer, table), version=version)
    except TableNotFoundError:
        return None
