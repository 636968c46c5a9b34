"""The lake: Delta tables in layers, read as the Parquet files of a pinned version.

Belongs here: a table's folder, its versions and files, its change feed. Does not: writing (``writes``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from include.lake import storage
from include.lake.integrity import Damaged as Damaged
from include.lake.integrity import check
from include.lake.opened import RUN as RUN
from include.lake.opened import Opened, opened
from include.lake.opened import open_table as opened_anew

LAYERS = ("raw", "gone", "clean", "kept", "quarantine", "reporting", "features")
CHANGES = "stocktake.changes"  # in a commit's metadata: the change file, the rows before and after the commit
NO_ROW = "no row"  # instead of a file: a compaction, which changes no row


@dataclass(frozen=True)
class Commit:
    """One commit of a table.

    Attributes:
        version: the version it made.
        at: when it was made.
        changes: its change file; None where it has none.
        keeps_rows: whether it is a compaction: other files, the same rows.
    """

    version: int
    at: datetime
    changes: str | None
    keeps_rows: bool


@dataclass(frozen=True)
class Stored:
    """What a version of a table holds.

    Attributes:
        files: its Parquet files, sorted.
        types: the type of each column in the Delta log, by name; none where the table was never written.
        decimals: of each amount that has others than ``DECIMALS``, by name.
    """

    files: Sequence[str]
    types: Mapping[str, str]
    decimals: Mapping[str, int]


def folder(layer: str, table: str) -> str:
    """The folder of a table of a layer (see ``LAYERS``)."""
    return storage.in_lake(layer, table)


def files(layer: str, table: str, version: int | None = None, run: str | None = None) -> list[str]:
    """The Parquet files of a table: of one version (None: the latest), of one run (raw and gone only).

    Returns:
        Paths or URLs, sorted; none where the table was never written.

    Raises:
        Damaged: when a file is missing or has another size than it was written with.
        deltalake.exceptions.DeltaError: when the table no longer has this version.
    """
    return list(stored(layer, table, version, run).files)


def stored(layer: str, table: str, version: int | None = None, run: str | None = None) -> Stored:
    """The files of a version (None: the latest), or of one run's rows, and the types of its columns.

    Raises:
        Damaged: when a file is missing or has another size than it was written with.
        deltalake.exceptions.DeltaError: when the table no longer has this version.
    """
    found = opened(folder(layer, table), version)
    if found is None:
        return Stored([], {}, {})
    return Stored(_checked(found, [(RUN, "=", run)] if run else None), found.types, found.decimals)


def named_files(layer: str, table: str, version: int | None = None) -> list[str]:
    """The Parquet files of a version (None: the latest), without a check that they exist."""
    found = opened(folder(layer, table), version)
    return found.files() if found else []


def slice_files(layer: str, table: str, version: int, column: str, value: int) -> list[str]:
    """The Parquet files of a version that may hold rows with one value of an integer column.

    Returns:
        Paths or URLs, sorted; none where the table was never written.

    Raises:
        Damaged: when a file is missing or has another size than it was written with.
        deltalake.exceptions.DeltaError: when the table no longer has this version.
    """
    return _checked(opened(folder(layer, table), version), [(column, "=", value)])


def version(layer: str, table: str) -> int | None:
    """The latest version of a table; None where it was never written."""
    found = opened(folder(layer, table), None)
    return None if found is None else found.version


def commits(layer: str, table: str) -> list[Commit]:
    """The commits that are still in a table's log, the newest first."""
    entries, current = [], open_table(layer, table, None)
    while current:
        entries, before = current.history(), current.version()
        # Delta (1.6) lists the commits as of now, but numbers them backwards from the version that was opened: a commit
        # in between shifts every number by one. So the history is read again until no commit came in between.
        current.update_incremental()
        if current.version() == before:
            break
    return [
        Commit(
            int(entry["version"]),
            datetime.fromtimestamp(entry["timestamp"] / 1000, UTC),
            _changes_of(layer, table, entry[CHANGES]) if entry.get(CHANGES, NO_ROW) != NO_ROW else None,
            entry.get(CHANGES) == NO_ROW,
        )
        for entry in entries
    ]


def settled_version(layer: str, table: str) -> int | None:
    """The latest version that changed rows, ignoring compactions; None where nothing was written."""
    found = commits(layer, table)
    return next((commit.version for commit in found if not commit.keeps_rows), found[-1].version if found else None)


def columns(layer: str, table: str, version: int) -> set[str] | None:
    """The columns of a version; None where the version or one of its files is gone."""
    try:
        found = opened(folder(layer, table), version)
        _checked(found)
    except (DeltaError, Damaged):
        return None
    return {field.name for field in found.table.schema().fields} if found else None


def runs(layer: str, table: str) -> set[str]:
    """The runs with rows in a table (raw and gone only)."""
    found = opened(folder(layer, table), None)
    return {str(partition[RUN]) for partition in found.table.partitions()} if found else set()


def changes_file(layer: str, table: str) -> str:
    """The path of a new change file."""
    return storage.join(changes_folder(layer, table), f"{uuid4()}.parquet")


def _changes_of(layer: str, table: str, named: str) -> str:
    """The change file that a commit names; it lies where the lake is now, which may have been copied elsewhere."""
    return storage.join(changes_folder(layer, table), storage.name_of(named))


def changes_folder(layer: str, table: str) -> str:
    """The folder of a table's change files."""
    return storage.in_lake("changes", layer, table)


def changes(layer: str, table: str, since: int, until: int) -> list[str] | None:
    """The change feed between two versions: files with the old rows, marked ``_old``, and the new rows of each commit.

    Returns:
        Paths or URLs, one per commit that changed a row; None where a commit in between has no change file.
    """
    if since > until:
        return None
    by_version = {commit.version: commit for commit in commits(layer, table)}
    files: list[str] = []
    for commit in map(by_version.get, range(since + 1, until + 1)):
        if commit is None or not (commit.keeps_rows or (commit.changes and storage.exists(commit.changes))):
            return None
        files += [commit.changes] if commit.changes else []
    return files


def _checked(found: Opened | None, where: list[tuple[str, str, Any]] | None = None) -> list[str]:
    """The files of a version, after a check that each exists and has its size in the log.

    Raises:
        Damaged: naming the first damaged file.
    """
    if found is None:
        return []
    files = found.files(where)
    check(files, found.sizes)
    return files


def open_table(layer: str, table: str, version: int | None) -> DeltaTable | None:
    """A table as of a version (None: the latest), to be written; None where it was never written.

    Raises:
        deltalake.exceptions.DeltaError: when it no longer has this version, which is not the same as having no rows.
    """
    return opened_anew(folder(layer, table), version)
