"""What waits at the gate: the files that a run leaves there between its tasks, until there is a verdict on all rows.

Belongs here: where they lie, and how long they are kept. Does not: what is in them (``selection``), nor what becomes
of it (``row_outcomes``, ``acceptance``).
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
    """What a run left at the gate is not there any more; the message says what to clear."""


def folder(run: str) -> Path:
    """Where all lies that a run leaves at the gate."""
    return _runs() / run


def judged_file(run: str, source: str) -> Path:
    """Where the judged rows of a source wait."""
    return folder(run) / f"{source}.parquet"


def touched_file(run: str, source: str) -> Path:
    """Where the keys of the rows of a source wait that are to be judged."""
    return folder(run) / f"{source}.touched.parquet"


def sums_file(run: str, source: str) -> Path:
    """Where the shop's sums of a source wait for the proof after it is accepted."""
    return folder(run) / f"{source}.sums.json"


def leave(connection: duckdb.DuckDBPyConnection, rows: str, file: Path) -> None:
    """Write a file of the gate, which is there whole or not at all.

    Args:
        connection: a session of ``include.lake.duckdb_session``.
        rows: a DuckDB query.
        file: where they wait.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    connection.execute(f"copy ({rows}) to {duck.quoted(str(partial))} (format parquet)")
    partial.rename(file)


def waiting(file: Path) -> Path:
    """A file that a run left at the gate.

    Raises:
        Forgotten: when it is gone.
    """
    if not file.exists():
        raise Forgotten(
            f"{file.name} of run {file.parent.name} is no longer at the gate, where what waits is kept for"
            f" {KEPT_SECONDS // 86_400} days: clear begin and all that follows"
        )
    return file


def clear(run: str) -> None:
    """Take away what an earlier try of a run left at the gate; what comes next is as new as it is."""
    shutil.rmtree(folder(run), ignore_errors=True)


def old_runs() -> list[Path]:
    """What runs left at the gate two days ago or more; their rows are in the lake, or will be read again."""
    old = []
    for left in _runs().glob("*"):
        with suppress(FileNotFoundError):  # another task has just forgotten it
            if time.time() - left.stat().st_mtime > KEPT_SECONDS:
                old.append(left)
    return old


def forget_old_runs() -> None:
    """Remove them."""
    for left in old_runs():
        shutil.rmtree(left, ignore_errors=True)


def _runs() -> Path:
    return settings().lake / "gate"
