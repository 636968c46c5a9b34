"""Folders of this machine's file system, or of one that it mounts, as storage."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final
from uuid import uuid4

from include.lake.paths import File, join

UNFINISHED: Final = ".part"  # the ending of a file's name until it is whole
_NOT_THERE: Final = (FileNotFoundError, NotADirectoryError)


class Folders:
    """Folders of this machine's file system, or one that it mounts."""

    def find(self, file: str) -> File | None:
        """See storage."""
        try:
            found = Path(file).stat()
        except _NOT_THERE:
            return None
        return _seen(file, found) if stat.S_ISREG(found.st_mode) else None

    def files(self, folder: str, *, deep: bool) -> Iterator[File]:
        """See storage."""
        try:
            entries = list(os.scandir(folder))
        except _NOT_THERE:
            return
        for entry in entries:
            with suppress(FileNotFoundError):  # removed or renamed meanwhile
                if entry.is_file():
                    yield _seen(entry.path, entry.stat())
                elif deep and entry.is_dir(follow_symlinks=False):
                    yield from self.files(entry.path, deep=True)

    def folders(self, folder: str) -> list[str]:
        """See storage."""
        try:
            return [entry.name for entry in os.scandir(folder) if entry.is_dir()]
        except _NOT_THERE:
            return []

    def latest(self, folder: str, name: re.Pattern[str]) -> File | None:
        """See storage."""
        try:
            found = max((entry.name for entry in os.scandir(folder) if name.fullmatch(entry.name)), default=None)
        except _NOT_THERE:
            return None
        return self.find(join(folder, found)) if found else None

    def unfinished(self, folder: str) -> list[File]:
        """See storage."""
        return [file for file in self.files(folder, deep=True) if file.name.endswith(UNFINISHED)]

    def times(self, folder: str) -> Iterator[datetime]:
        """See storage."""
        try:
            yield datetime.fromtimestamp(Path(folder).stat().st_mtime, UTC)
        except _NOT_THERE:  # somebody removes it meanwhile
            yield datetime.now(UTC)
        yield from (file.written_at for file in self.files(folder, deep=True))

    def read(self, file: str) -> bytes:
        """See storage."""
        return Path(file).read_bytes()

    def pieces(self, file: str, size: int) -> Iterator[bytes]:
        """See storage."""
        return _pieces(Path(file).open("rb"), size)

    def opened(self, file: str) -> Any:
        """See storage."""
        import pyarrow as pa

        return pa.OSFile(file, "rb")

    @contextmanager
    def whole(self, file: str) -> Iterator[str]:
        """See storage."""
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(f"{file}.{uuid4().hex}{UNFINISHED}")
        try:
            yield str(unfinished)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)

    def remove(self, files: list[str]) -> None:
        """See storage."""
        for file in files:
            Path(file).unlink(missing_ok=True)

    def remove_empty(self, folders: set[str]) -> None:
        """See storage."""
        for folder in folders:
            with suppress(OSError):  # somebody put something there
                Path(folder).rmdir()

    def remove_folder(self, folder: str) -> None:
        """See storage."""
        shutil.rmtree(folder, ignore_errors=True)


def _seen(path: str, found: os.stat_result) -> File:
    mark = f"{found.st_ino} {found.st_mtime_ns} {found.st_size}"
    return File(path, found.st_size, datetime.fromtimestamp(found.st_mtime_ns / 1e9, UTC), mark)


def _pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    with file:
        while piece := file.read(size):
            yield piece
