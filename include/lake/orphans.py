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
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from pyarrow import parquet

from include.lake import tables as lake

_SPILL = re.compile(r"stocktake-(\d+)-")
_DRAFT = re.compile(r"^_commit_|\.tmp$|#\d+$")  # the name of an unfinished commit


def clear_table(layer: str, table: str) -> None:
    """Remove a table's orphan files and orphan change files: those whose writer was killed before its commit.

    Only files newer than the latest commit are checked: the writer of that commit has removed the older ones.
    """
    folder = lake.folder(layer, table)
    log = folder / "_delta_log"
    newest = max(log.glob("*.json"), default=None)
    since = newest.stat().st_mtime_ns if newest else 0
    drafts = [file for file in _files(log) if _DRAFT.search(file.name)]
    written = [*_files(folder), *_files(lake.changes_folder(layer, table))]
    _remove_unnamed(log, [*drafts, *(file for file in written if file.stat().st_mtime_ns > since)])


def clear_run(layer: str, table: str, run: str) -> None:
    """Remove the orphan files of an earlier try from a run's partition."""
    folder = lake.folder(layer, table)
    _remove_unnamed(folder / "_delta_log", list(_files(folder / f"{lake.RUN}={run}")))


@cache
def clear_spill() -> None:
    """Remove the spill folders of processes that no longer run on this machine; once per process."""
    for folder in Path(tempfile.gettempdir()).glob("stocktake-*"):
        made_by = _SPILL.match(folder.name)
        if made_by and not _is_alive(int(made_by[1])):
            shutil.rmtree(folder, ignore_errors=True)


def spill_prefix() -> str:
    """The prefix of the names of this process's spill folders (the engines use it too)."""
    return f"stocktake-{os.getpid()}-"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.glob("*") if file.is_file())


def _remove_unnamed(log: Path, files: Iterable[Path]) -> None:
    if files := list(files):
        named = set(_named(log))
        for file in files:
            if file.name not in named:
                with suppress(FileNotFoundError):
                    file.unlink()


def _named(log: Path) -> Iterator[str]:
    """The name of every file that a version of a table holds or a commit names."""
    for commit in log.glob("*.json"):
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if path := action.get("add", action.get("remove", {})).get("path"):
                yield Path(unquote(path)).name
            if changes := action.get("commitInfo", {}).get(lake.CHANGES):
                yield Path(changes).name
    for checkpoint in log.glob("*.checkpoint*.parquet"):
        actions = parquet.read_table(checkpoint, columns=["add", "remove"])
        for kind in actions.column_names:
            yield from (Path(unquote(one["path"])).name for one in actions.column(kind).to_pylist() if one)
