"""The files of exports, beside the tables of the lake: written whole or not at all, read in pieces, listed, removed.

Nobody else knows where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from include.lake import storage
from include.lake.private_folders import keep_private
from include.lake.storage import File


@contextmanager
def written(name: str) -> Iterator[IO[bytes]]:
    """Write a file, which is there once the block has ended without an error, and not before."""
    keep_private()
    with storage.written(_file(name)) as sink:
        yield sink


def pieces(name: str) -> Iterator[bytes]:
    """What a file holds. In a folder, whoever removes it meanwhile takes nothing from this reader.

    Raises:
        FileNotFoundError: when there is none.
    """
    return storage.pieces(_file(name))


def size(name: str) -> int:
    """How many bytes a file has.

    Raises:
        FileNotFoundError: when there is none.
    """
    if (found := storage.find(_file(name))) is None:
        raise FileNotFoundError(_file(name))
    return found.bytes


def remove(name: str) -> None:
    """Remove a file, if it is there."""
    storage.remove([_file(name)])


def there() -> list[File]:
    """All files, those too that a killed process has left unfinished."""
    return storage.files(storage.in_lake("exports"))


def _file(name: str) -> str:
    return storage.in_lake("exports", name)
