"""The hand-off: the files that a run's tasks leave at the gate for each other, until every row has its outcome.

Belongs here: where the files are, and how long they are kept. Does not: what is in them (``selection``), and what is
done with it (``row_outcomes``, ``acceptance``).
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

import duckdb

from include.lake import duckdb_session as duck
from include.settings import settings

KEPT_SECONDS = 2 * 24 * 3600


class Forgotten(RuntimeError):
    """A file that a run left at the gate is gone; the message says which task to clear."""


def folder(run: str) -> Path:
    """The folder of a run's files at the gate."""
    return _runs() / run


def checked_file(run: str, source: str) -> Path:
    """The file of a source's checked rows."""
    return folder(run) / f"{source}.parquet"


def touched_file(run: str, source: str) -> Path:
    """The file with the keys of a source's rows to check."""
    return folder(run) / f"{source}.touched.parquet"


def sums_file(run: str, source: str) -> Path:
    """The file of the shop's sums of a source, for the proof after acceptance."""
    return folder(run) / f"{source}.sums.json"


def write(connection: duckdb.DuckDBPyConnection, rows: str, file: Path) -> None:
    """Write a file at the gate; it is there complete or not at all.

    Args:
        connection: a session of ``include.lake.duckdb_session``.
        rows: a DuckDB query.
        file: where its rows are written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    connection.execute(f"copy ({rows}) to {duck.quoted(str(partial))} (format parquet)")
    partial.rename(file)


def waiting(file: Path) -> Path:
    """The path of a file that a run left at the gate.

    Raises:
        Forgotten: when it is gone.
    """
    if not file.exists():
        raise Forgotten(
            f"{file.name} of run {file.parent.name} is no longer at the gate, where files are kept for"
            f" {KEPT_SECONDS // 86_400} days: clear begin and all tasks after it"
        )
    return file


def clear(run: str) -> None:
    """Remove what an earlier try of a run left at the gate, so that its new files are not taken for old ones."""
    shutil.rmtree(folder(run), ignore_errors=True)


def old_runs() -> list[Path]:
    """The folders that runs left at the gate more than two days ago; their rows are in the lake or are read again."""
    old = []
    for left in _runs().glob("*"):
        with suppress(FileNotFoundError):  # another task has just removed it
            if time.time() - left.stat().st_mtime > KEPT_SECONDS:
                old.append(left)
    return old


def remove_old_runs() -> None:
    """Remove the folders of ``old_runs``."""
    for left in old_runs():
        shutil.rmtree(left, ignore_errors=True)


def _runs() -> Path:
    return settings().lake / "gate"
