"""Orphan files: files left by a killed process, removed by the next writer of the same table.

A table of the lake has one writer at a time (``accept`` takes turns, ``builds.alone``; every run has its own partition
of raw). So a file that no commit names is an orphan, however new it is. A spill folder carries the id of its process.

Belongs here: files that nobody can have read. Does not: files that were in use once (``housekeeping``), and staging
tables, which every publication drops before it creates its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from pyarrow import parquet

from include.lake import storage
from include.lake import tables as lake
from include.lake.storage import File

_SPILL = re.compile(r"stocktake-(\d+)-")
_DRAFT = re.compile(r"^_commit_|\.tmp$|#\d+$")  # the name of an unfinished commit


def clear_table(layer: str, table: str) -> None:
    """Remove a table's orphan files and orphan change files: those whose writer was killed before its commit.

    Only files newer than the latest commit are checked: the writer of that commit has removed the older ones.
    """
    folder = lake.folder(layer, table)
    log = storage.files(storage.join(folder, "_delta_log"))
    newest = max((file for file in log if file.name.endswith(".json")), key=lambda file: file.name, default=None)
    drafts = [file for file in log if _DRAFT.search(file.name)]
    written = [*storage.files(folder), *storage.files(lake.changes_folder(layer, table))]
    # An object store tells seconds: what was written in that of the latest commit may be newer.
    suspects = [file for file in written if newest is None or file.written_at >= newest.written_at]
    _remove_unnamed(log, [*drafts, *suspects])


def clear_run(layer: str, table: str, run: str) -> None:
    """Remove the orphan files of an earlier try from a run's partition."""
    folder = lake.folder(layer, table)
    log = storage.files(storage.join(folder, "_delta_log"))
    _remove_unnamed(log, storage.files(storage.join(folder, f"{lake.RUN}={run}")))


@cache
def clear_spill() -> None:
    """Remove the spill folders of processes that no longer run on this machine; once per process."""
    for folder in Path(tempfile.gettempdir()).glob("stocktake-*"):
        made_by = _SPILL.match(folder.name)
        if made_by and not _is_alive(int(made_by[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _remove_unnamed(log: Sequence[File], files: Sequence[File]) -> None:
    left = {file.name for file in files}
    for name in _named(log) if left else ():
        left.discard(name)
        if not left:
            return
    storage.remove(file.path for file in files if file.name in left)


def _named(log: Sequence[File]) -> Iterator[str]:
    """The name of every file that a version of a table holds or a commit names; the newest commits first."""
    for commit in (file for file in reversed(log) if file.name.endswith(".json")):
        for line in storage.read(commit.path).decode().splitlines():
            action = json.loads(line)
            if path := action.get("add", action.get("remove", {})).get("path"):
                yield storage.name_of(unquote(path))
            if changes := action.get("commitInfo", {}).get(lake.CHANGES):
                yield storage.name_of(changes)
    for checkpoint in (file for file in log if ".checkpoint" in file.name and file.name.endswith(".parquet")):
        with storage.opened(checkpoint.path) as source:
            actions = parquet.read_table(source, columns=["add", "remove"])
        for kind in actions.column_names:
            yield from (storage.name_of(unquote(one["path"])) for one in actions.column(kind).to_pylist() if one)
