"""The lake: Delta tables in layers, written atomically, read as the Parquet files of a pinned version."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Schema,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import DeltaError, TableNotFoundError

from include.lake.integrity import Damaged as Damaged
from include.lake.integrity import check
from include.settings import settings

RUN = "_run"  # raw's partition: the run that read the rows
LAYERS = ("raw", "gone", "clean", "quarantine", "reporting", "features")
CHANGES = "stocktake.changes"  # in a commit's metadata: the file that says what it changes
_NO_ROW = "no row"  # in its place: other files, the same rows
# How every commit is written.
_HOW: Final[Mapping[str, Any]] = {
    # Delta itself forgets, at every hundredth commit, what its log held thirty days ago: publications older than that
    # could not be opened any more. What goes and when is for ``pipeline.housekeeping`` to say, which knows what is
    # needed.
    "post_commithook_properties": PostCommitHookProperties(cleanup_expired_logs=False),
    # DuckDB's own row group: Delta's, of a million rows, is held in memory until it is full, and a filter on a key that
    # was written in order has none to skip. Numbers that seldom repeat as they are, not in dictionaries of up to a
    # megabyte. 6 M made-up order lines: written in 0.9 s, read in 0.4, Delta's own way 2.5 and 0.7; 12 % larger.
    "writer_properties": WriterProperties(
        max_row_group_size=122_880, dictionary_page_size_limit=16_384, compression="LZ4_RAW"
    ),
}
_REFUSED = re.compile(r"\(os error (\d+)\)")


@dataclass(frozen=True)
class Commit:
    """One commit of a table.

    Attributes:
        version: what it made.
        at: when.
        changes: the file that says what it changed; None where there is none.
        keeps_rows: whether it changed no row, only which files they lie in.
    """

    version: int
    at: datetime
    changes: Path | None
    keeps_rows: bool


@dataclass(frozen=True)
class Stored:
    """What lies in a version of a table.

    Attributes:
        files: absolute paths of its Parquet files, sorted.
        types: the type of each column as the Delta log has it, by name; none where the table was never written.
    """

    files: Sequence[str]
    types: Mapping[str, str]


def folder(layer: str, table: str) -> Path:
    """Where a table of a layer (``raw``, ``clean``, ``quarantine``, ``reporting``, ``features``) lies."""
    return settings().lake / layer / table


@contextmanager
def _writing() -> Iterator[None]:
    """What the system refuses (a full disk) is an ``OSError``, as elsewhere: Delta only says so in its error's text."""
    try:
        yield
    except DeltaError as error:
        if refused := _REFUSED.search(str(error)):
            raise OSError(int(refused[1]), str(error)) from error
        raise


@contextmanager
def scratch(layer: str, table: str) -> Iterator[Path]:
    """A folder beside the tables, where a cluster's machines see it too; it goes with what was written into it.

    Whoever asks for a table's is alone with it (``builds.alone``): what lies there is of one who died.
    """
    below = settings().lake / "scratch" / f"{layer}.{table}"
    shutil.rmtree(below, ignore_errors=True)
    below.mkdir(parents=True)
    try:
        with TemporaryDirectory(dir=below) as folder:
            yield Path(folder)
    finally:
        with suppress(OSError):  # the lock was lost, and with it the place
            below.rmdir()


def files(layer: str, table: str, version: int | None = None, run: str | None = None) -> list[str]:
    """The Parquet files of a table: of one version (None: the latest), of one run's rows (raw only).

    Returns:
        Absolute paths, sorted; none where the table was never written.

    Raises:
        Damaged: when a file is not there as it was written.
        deltalake.exceptions.DeltaError: when the table has no such version any more.
    """
    return list(stored(layer, table, version, run).files)


def stored(layer: str, table: str, version: int | None = None, run: str | None = None) -> Stored:
    """The files of a version (None: the latest), or of one run's rows, and the types of its columns.

    Raises:
        Damaged: when a file is not there as it was written.
        deltalake.exceptions.DeltaError: when the table has no such version any more.
    """
    opened = _open(layer, table, version)
    types = column_types(opened.schema()) if opened else {}
    return Stored(_whole(opened, [(RUN, "=", run)] if run else None), types)


def column_types(schema: Schema) -> dict[str, str]:
    """The type of each column of a Delta schema, by name; the run that a row belongs to is no column of it."""
    return {field.name: str(field.type) for field in schema.fields if field.name != RUN}


def named_files(layer: str, table: str, version: int | None = None) -> list[str]:
    """The same files, whether they are there or not."""
    opened = _open(layer, table, version)
    return sorted(opened.file_uris()) if opened else []


def slice_files(layer: str, table: str, version: int, column: str, value: int) -> list[str]:
    """The Parquet files of a version that may hold rows with one value of an integer column.

    Returns:
        Absolute paths, sorted; none where the table was never written.

    Raises:
        Damaged: when a file is not there as it was written.
        deltalake.exceptions.DeltaError: when the table has no such version any more.
    """
    return _whole(_open(layer, table, version), [(column, "=", value)])


def version(layer: str, table: str) -> int | None:
    """The latest version of a table; None where it was never written."""
    opened = _open(layer, table, None)
    return None if opened is None else int(opened.version())


def commits(layer: str, table: str) -> list[Commit]:
    """The commits that a table's log still tells of, the newest first."""
    told, opened = [], _open(layer, table, None)
    while opened:
        told, before = opened.history(), opened.version()
        # Delta (1.6) lists the commits there are by now and counts them down from the version that was opened: had one
        # come in between, each would go by its neighbour's number.
        opened.update_incremental()
        if opened.version() == before:
            break
    return [
        Commit(
            int(said["version"]),
            datetime.fromtimestamp(said["timestamp"] / 1000, UTC),
            Path(said[CHANGES]) if said.get(CHANGES, _NO_ROW) != _NO_ROW else None,
            said.get(CHANGES) == _NO_ROW,
        )
        for said in told
    ]


def settled_version(layer: str, table: str) -> int | None:
    """The version that put the latest rows there, however compacted since; None where nothing was written."""
    told = commits(layer, table)
    return next((one.version for one in told if not one.keeps_rows), told[-1].version if told else None)


@_writing()
def compact(layer: str, table: str) -> None:
    """Lay the rows of a table's small files into fewer ones, as a commit that changes no row."""
    DeltaTable(folder(layer, table)).optimize.compact(
        max_concurrent_tasks=1,  # of two at once, both would be in memory
        commit_properties=CommitProperties(custom_metadata={CHANGES: _NO_ROW}),
        **_HOW,
    )


def columns(layer: str, table: str, version: int) -> set[str] | None:
    """The columns of a version; None where the lake does not have all of that version any more."""
    try:
        opened = _open(layer, table, version)
        _whole(opened)
    except (DeltaError, Damaged):
        return None
    return {field.name for field in opened.schema().fields} if opened else None


@_writing()
def empty(layer: str, table: str) -> None:
    """Take all rows of a table away, of which nothing has to be read for that."""
    DeltaTable(folder(layer, table)).delete(**_HOW)


@_writing()
def replace_run(layer: str, table: str, run: str, rows: pa.RecordBatchReader) -> None:
    """Write the rows of one run; a second time replaces them, and no other run's.

    Rows of other columns than the table has start it anew: those of earlier runs stay in its earlier versions.
    """
    target, opened = folder(layer, table), _open(layer, table, None)
    if opened is None:
        write_deltalake(target, rows, mode="append", partition_by=[RUN], **_HOW)
    elif column_types(opened.schema()) != column_types(Schema.from_arrow(rows.schema)):
        write_deltalake(target, rows, mode="overwrite", schema_mode="overwrite", partition_by=[RUN], **_HOW)
    else:
        write_deltalake(
            target,
            rows,
            mode="overwrite",
            predicate=f"{RUN} = '{run}'",
            partition_by=[RUN],
            **_HOW,
        )


@_writing()
def append_run(layer: str, table: str, rows: pa.RecordBatchReader) -> None:
    """Add rows to those of a run."""
    write_deltalake(folder(layer, table), rows, mode="append", partition_by=[RUN], **_HOW)


@_writing()
def forget_run(layer: str, table: str, *runs: str) -> None:
    """Take away the rows of some runs, where there are any, as one commit."""
    opened = _open(layer, table, None)
    if opened is not None and any(files(layer, table, run=run) for run in runs):
        theirs = " or ".join(f"{RUN} = '{run}'" for run in runs)
        opened.delete(theirs, **_HOW)


def runs(layer: str, table: str) -> set[str]:
    """The runs of which a table has rows (raw and gone only)."""
    opened = _open(layer, table, None)
    return {str(partition[RUN]) for partition in opened.partitions()} if opened else set()


@_writing()
def replace_slice(layer: str, table: str, column: str, value: int, rows: pa.RecordBatchReader) -> int:
    """Write one slice of a table (rows with one value of an integer column); other slices stay.

    Returns:
        The version that holds the result.
    """
    target = _open(layer, table, None)
    if target is None:
        return replace(layer, table, rows)
    write_deltalake(target, rows, mode="overwrite", predicate=f"{column} = {value}", **_HOW)
    return int(target.version())


@_writing()
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
        write_deltalake(folder(layer, table), rows, mode="error", **_HOW)
        return 0
    write_deltalake(
        target,
        rows,
        mode="overwrite",
        schema_mode="overwrite",
        commit_properties=_naming(changes),
        **_HOW,
    )
    return int(target.version())


@_writing()
def merge(
    layer: str, table: str, key: Sequence[str], rows: pa.RecordBatchReader, gone: str, changes: Path | None = None
) -> int:
    """Insert or update rows by key and delete those marked as gone, as one commit.

    Args:
        layer: the layer.
        table: the table.
        key: the columns that identify a row; ``rows`` holds each key once.
        rows: the table's columns and the boolean column ``gone``; all of them are held in memory.
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
            # With all new rows at hand it knows their range of keys, and leaves files beyond it alone: 16,000 changes
            # in the last 500,000 of 6 M rows took 3.8 s and 0.6 GB instead of 9.0 s and 2.2 GB.
            streamed_exec=False,
            commit_properties=_naming(changes),
            **_HOW,
        )
        .when_matched_delete(f"new.{gone}")
        .when_matched_update(values)
        .when_not_matched_insert(values, predicate=f"not new.{gone}")
        .execute()
    )
    return int(target.version())


def changes_file(layer: str, table: str) -> Path:
    """A new file for what a commit changes."""
    below = changes_folder(layer, table)
    below.mkdir(parents=True, exist_ok=True)
    return below / f"{uuid4()}.parquet"


def changes_folder(layer: str, table: str) -> Path:
    """Where the files lie that say what a table's commits change."""
    return settings().lake / "changes" / layer / table


def changes(layer: str, table: str, since: int, until: int) -> list[str] | None:
    """The files that say what differs between two versions: rows as they were and rows as they are, marked ``_old``.

    Returns:
        Absolute paths, one per commit that changed a row; None where that is not known of every commit.
    """
    if since > until:
        return None
    told = {commit.version: commit for commit in commits(layer, table)}
    between = [told.get(version) for version in range(since + 1, until + 1)]
    files: list[str] = []
    for commit in between:
        if commit is None or not (commit.keeps_rows or (commit.changes and commit.changes.exists())):
            return None
        files += [str(commit.changes)] if commit.changes else []
    return files


def _whole(opened: DeltaTable | None, where: list[tuple[str, str, Any]] | None = None) -> list[str]:
    """The files of a version, each of which is there and as long as it was written.

    Raises:
        Damaged: naming the first that is not.
    """
    if opened is None:
        return []
    files = sorted(opened.file_uris(file_pruning_predicate=where))
    written = pa.table(opened.get_add_actions())
    names = (Path(unquote(path)).name for path in written["path"].to_pylist())
    check(files, dict(zip(names, written["size_bytes"].to_pylist(), strict=True)))
    return files


def _naming(changes: Path | None) -> CommitProperties | None:
    """What makes a commit name the file that says what it changes: both are there, or neither."""
    return CommitProperties(custom_metadata={CHANGES: str(changes)}) if changes else None


def _open(layer: str, table: str, version: int | None) -> DeltaTable | None:
    """A table as of a version (None: the latest); None where it was never written.

    Raises:
        deltalake.exceptions.DeltaError: when it has no such version any more: that is not a table without rows.
    """
    try:
        return DeltaTable(folder(layer, table), version=version)
    except TableNotFoundError as error:
        if version is None or not DeltaTable.is_deltatable(str(folder(layer, table))):
            return None
        raise DeltaError(f"the lake no longer has version {version} of {layer}.{table}") from error
