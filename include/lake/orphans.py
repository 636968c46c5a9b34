"""What a process that died has left behind: taken away by the next that comes to write at the same place.

Whoever writes a table of the lake is alone there (``accept`` takes turns, ``builds.alone``; a run's partition of raw is
its own). So a file that lies there and that no commit names belongs to nobody, however young it is. Folders for what
is spilled are told by the process that made them.

Belongs here: files that nobody can ever have read. Does not: what was in use and is no longer (``housekeeping``), and
staging tables, which every publication drops before it makes its own.
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
_DRAFT = re.compile(r"^_commit_|\.tmp$|#\d+$")  # what becomes a commit when it is complete


def clear_table(layer: str, table: str) -> None:
    """Remove the files of a table, and of its commits' changes, that a writer left who died before its commit.

    Only files that are younger than the newest commit are looked at: whoever wrote that commit has removed the others.
    """
    folder = lake.folder(layer, table)
    log = folder / "_delta_log"
    newest = max(log.glob("*.json"), default=None)
    since = newest.stat().st_mtime_ns if newest else 0
    drafts = [file for file in _files(log) if _DRAFT.search(file.name)]
    written = [*_files(folder), *_files(lake.changes_folder(layer, table))]
    _remove_unnamed(log, [*drafts, *(file for file in written if file.stat().st_mtime_ns > since)])


def clear_run(layer: str, table: str, run: str) -> None:
    """Remove the files of a run's partition that no commit names, where an earlier try of it left some."""
    folder = lake.folder(layer, table)
    _remove_unnamed(folder / "_delta_log", list(_files(folder / f"{lake.RUN}={run}")))


@cache
def clear_spill() -> None:
    """Remove what processes that are no more have spilled on this machine; once per process."""
    for folder in Path(tempfile.gettempdir()).glob("stocktake-*"):
        made_by = _SPILL.match(folder.name)
        if made_by and not _is_alive(int(made_by[1])):
            shutil.rmtree(folder, ignore_errors=True)


def spill_prefix() -> str:
    """How the name of a folder begins that this process spills to (the engines call theirs alike)."""
    return f"stocktake-{os.getpid()}-"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
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
    """The name of every file that some version of a table holds, or a commit of it names."""
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
