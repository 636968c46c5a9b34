"""Scratch: what a build leaves for itself, and for the machines of a cluster, until its rows are committed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from include.lake import storage
from include.settings import settings


@dataclass(frozen=True)
class Scratch:
    """Where a build may write.

    Attributes:
        here: an empty folder on this machine.
        shared: the path or URL of a folder that all machines of a cluster see; the same one where there is no cluster.
    """

    here: Path
    shared: str


@contextmanager
def scratch(layer: str, table: str) -> Iterator[Scratch]:
    """Scratch for a build; it is gone after the block.

    Beside the tables where the lake is a folder. Only one process at a time builds a table (``builds.alone``): what is
    found there was left by a killed process.
    """
    below = storage.in_lake("scratch", f"{layer}.{table}")
    if not storage.is_url(below):
        with _beside_tables(Path(below)) as folder:
            yield Scratch(folder, str(folder))
        return
    with TemporaryDirectory(prefix=storage.spill_prefix()) as folder:
        if not settings().has_cluster:
            yield Scratch(Path(folder), folder)
            return
        storage.remove_folder(below)
        try:
            yield Scratch(Path(folder), below)
        finally:
            storage.remove_folder(below)


@contextmanager
def _beside_tables(below: Path) -> Iterator[Path]:
    shutil.rmtree(below, ignore_errors=True)
    below.mkdir(parents=True)
    try:
        with TemporaryDirectory(dir=below) as folder:
            yield Path(folder)
    finally:
        with suppress(OSError):  # the lock was lost, and another process writes here
            below.rmdir()
