"""The files of exports, beside the tables of the lake: written whole or not at all, read in pieces, listed, removed.

Nobody else knows where they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from include.lake.private_folders import keep_private
from include.settings import settings

_UNFINISHED: Final = ".part"  # what a file is called until it is whole
_PIECE: Final = 2**20  # bytes


@dataclass(frozen=True)
class ExportFile:
    """A file there is, whole or not.

    Attributes:
        name: with which it is removed.
        written_at: when it was last written to.
        bytes: its size.
    """

    name: str
    written_at: datetime
    bytes: int


@contextmanager
def written(name: str) -> Iterator[IO[bytes]]:
    """Write a file, which is there once the block has ended without an error, and not before."""
    keep_private()
    file = _folder() / name
    file.parent.mkdir(exist_ok=True)
    unfinished = file.with_name(f"{name}{_UNFINISHED}")
    try:
        with unfinished.open("wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)


def pieces(name: str) -> Iterator[bytes]:
    """What a file holds. It is open from now on: whoever removes it meanwhile takes nothing from this reader.

    Raises:
        FileNotFoundError: when there is none.
    """
    return _read((_folder() / name).open("rb"))


def size(name: str) -> int:
    """How many bytes a file has."""
    return (_folder() / name).stat().st_size


def remove(name: str) -> None:
    """Remove a file, if it is there."""
    (_folder() / name).unlink(missing_ok=True)


def there() -> list[ExportFile]:
    """All files, those too that a killed process has left unfinished."""
    found = []
    for file in sorted(_folder().glob("*")):
        try:
            state = file.stat()
        except FileNotFoundError:  # renamed or removed meanwhile: another export was finished, or cancelled
            continue
        found.append(ExportFile(file.name, datetime.fromtimestamp(state.st_mtime, UTC), state.st_size))
    return found


def _folder() -> Path:
    return settings().lake / "exports"


def _read(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
