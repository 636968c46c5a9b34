"""What files are called: absolute paths and URLs alike, of which parts are separated by ``/``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class File:
    """A file there is.

    Attributes:
        path: its path or URL.
        bytes: its size.
        written_at: when it was last written.
        mark: what tells it from another file that had the same name.
    """

    path: str
    bytes: int
    written_at: datetime
    mark: str

    @property
    def name(self) -> str:
        """The last part of its path."""
        return name_of(self.path)


def is_url(file: str) -> bool:
    """Whether a file lies in an object store."""
    return "://" in file


def join(folder: str, *parts: str) -> str:
    """The path or URL of something below a folder."""
    return "/".join((folder.rstrip("/"), *parts))


def name_of(file: str) -> str:
    """The last part of a path or URL."""
    return file.rsplit("/", 1)[-1]


def folder_of(file: str) -> str:
    """A path or URL without its last part."""
    return file.rsplit("/", 1)[0]


def spill_prefix() -> str:
    """The first part of the names of this process's own folders; a later process removes those of a dead one by it."""
    return f"stocktake-{os.getpid()}-"
