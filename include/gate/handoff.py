"""The hand-off: the files that a run's tasks leave at the gate for each other, until every row has its outcome.

Belongs here: where the files are, and how long they are kept. Does not: what is in them (``selection``), and what is
done with it (``row_outcomes``, ``acceptance``).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from include.lake import storage

KEPT: Final = timedelta(days=2)
_LAYER: Final = "gate"


class Forgotten(RuntimeError):
    """A file that a run left at the gate is gone; the message says which task to clear."""


def folder(run: str) -> str:
    """The folder of a run's files at the gate."""
    return storage.in_lake(_LAYER, run)


def checked_file(run: str, source: str) -> str:
    """The file of a source's checked rows."""
    return storage.join(folder(run), f"{source}.parquet")


def touched_file(run: str, source: str) -> str:
    """The file with the keys of a source's rows to check."""
    return storage.join(folder(run), f"{source}.touched.parquet")


def sums_file(run: str, source: str) -> str:
    """The file of the shop's sums of a source, for the proof after acceptance."""
    return storage.join(folder(run), f"{source}.sums.json")


def waiting(file: str) -> str:
    """The path of a file that a run left at the gate.

    Raises:
        Forgotten: when it is gone.
    """
    if not storage.exists(file):
        raise Forgotten(
            f"{storage.name_of(file)} of run {storage.name_of(storage.folder_of(file))} is no longer at the gate, where"
            f" files are kept for {KEPT.days} days: clear begin and all tasks after it"
        )
    return file


def clear(run: str) -> None:
    """Remove what an earlier try of a run left at the gate, so that its new files are not taken for old ones."""
    storage.remove_folder(folder(run))


def old_runs() -> list[str]:
    """The folders that runs left at the gate more than two days ago; their rows are in the lake or are read again."""
    runs = (folder(run) for run in storage.folders(storage.in_lake(_LAYER)))
    return [run for run in runs if storage.is_older(run, datetime.now(UTC) - KEPT)]


def remove_old_runs() -> None:
    """Remove the folders of ``old_runs``."""
    for left in old_runs():
        storage.remove_folder(left)
