"""Storage: where the files of the lake and of the reports lie, in folders or in an object store.

Whatever lists, opens, writes or removes such a file does it here. A file is named by what Delta, DuckDB and Arrow take:
an absolute path, or a URL (``s3://bucket/lake/clean/orders/part-0.parquet``).

Belongs here: files, whatever is in them. Does not: tables and their versions (``tables``), and files that a process
keeps for itself, such as what it spills.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

from include.lake.folders import Folders
from include.lake.paths import File as File
from include.lake.paths import folder_of as folder_of
from include.lake.paths import is_url as is_url
from include.lake.paths import join as join
from include.lake.paths import name_of as name_of
from include.lake.paths import spill_prefix as spill_prefix
from include.settings import settings

if TYPE_CHECKING:
    from include.lake.object_store import ObjectStore

Answer = TypeVar("Answer")
_AT_ONCE: Final = 16  # requests to an object store, which takes 20 ms and more to answer one


def in_lake(*parts: str) -> str:
    """The path or URL of something in the lake."""
    return join(settings().lake, *parts)


def parts_in_lake(file: str) -> list[str]:
    """The folders, and the name, of a file of the lake."""
    lake = settings().lake
    if not is_url(lake):  # Delta follows links
        file, lake = os.path.realpath(file), os.path.realpath(lake)
    return file.removeprefix(f"{lake}/").split("/")


def find(file: str) -> File | None:
    """A file; None where there is none."""
    return _of(file).find(file)


def find_all(files: Iterable[str]) -> list[File | None]:
    """Files, in the same order; None for those that are not there."""
    files = list(files)
    if len(files) < 2 or not is_url(files[0]):
        return [find(file) for file in files]
    with ThreadPoolExecutor(_AT_ONCE) as asking:
        return list(asking.map(find, files))


def exists(file: str) -> bool:
    """Whether there is a file."""
    return find(file) is not None


def files(folder: str, *, deep: bool = False) -> list[File]:
    """The files in a folder, sorted by path; none where there is no such folder.

    Args:
        folder: its path or URL.
        deep: whether those in folders below it are listed too.
    """
    return sorted(_of(folder).files(folder, deep=deep), key=lambda file: file.path)


def folders(folder: str) -> list[str]:
    """The names of the folders in a folder, sorted; none where there is no such folder."""
    return sorted(_of(folder).folders(folder))


def latest(folder: str, name: re.Pattern[str]) -> File | None:
    """The file of a folder with the greatest name among those that match; None where there is none."""
    return _of(folder).latest(folder, name)


def unfinished(folder: str) -> list[File]:
    """What killed processes left below a folder of files that were never whole."""
    return _of(folder).unfinished(folder)


def is_older(folder: str, than: datetime) -> bool:
    """Whether nothing in a folder, nor the folder itself, was written since an instant."""
    return all(written_at < than for written_at in _of(folder).times(folder))


def read(file: str) -> bytes:
    """What a file holds.

    Raises:
        FileNotFoundError: when there is none.
    """
    return _of(file).read(file)


def pieces(file: str, size: int = 2**20) -> Iterator[bytes]:
    """What a file holds, in pieces of so many bytes. In a folder, its removal takes nothing from who reads it.

    Raises:
        FileNotFoundError: when there is none.
    """
    return _of(file).pieces(file, size)


def opened(file: str) -> Any:
    """A file for Arrow to read from: a context manager.

    Raises:
        FileNotFoundError: when there is none.
    """
    return _of(file).opened(file)


def write(file: str, content: bytes) -> None:
    """Write a file: a reader sees what it held before, or the whole of this."""
    with written(file) as sink:
        sink.write(content)


@contextmanager
def written(file: str) -> Iterator[IO[bytes]]:
    """Write a file, which is there, on disk, once the block has ended without an error, and not before."""
    with whole(file) as unfinished, Path(unfinished).open("wb") as sink:
        yield sink
        sink.flush()
        os.fsync(sink.fileno())


@contextmanager
def whole(file: str) -> Iterator[str]:
    """A path on this machine to write a file to, which is there once the block has ended without an error."""
    with _of(file).whole(file) as unfinished:
        yield unfinished


def remove(files: Iterable[str]) -> None:
    """Remove files, those that are there."""
    if files := list(files):
        _of(files[0]).remove(files)


def remove_empty(folders: Iterable[str]) -> None:
    """Remove folders that are empty, and in which nobody is about to write; an object store has none."""
    if folders := set(folders):
        _of(next(iter(folders))).remove_empty(folders)


def remove_folder(folder: str) -> None:
    """Remove a folder and all in it, if it is there."""
    _of(folder).remove_folder(folder)


def check(folder: str) -> None:
    """Check that an object store can be reached and lists a folder.

    Raises:
        UnusableStorage: when it refuses, or there is no such bucket.
        ConnectionError: when it is away.
    """
    _of(folder).folders(folder)


def arrow(files: Sequence[str]) -> tuple[Any, list[str]]:
    """Arrow's file system for files that lie in one place, and what they are called there.

    Returns:
        None and the same paths for files in folders. The file system of an object store can be pickled.
    """
    if not files or not is_url(files[0]):
        return None, list(files)
    return _bucket_of(files[0]).arrow, [file.partition("://")[2] for file in files]


def duckdb_files() -> Any:
    """The object store of the lake as a file system of fsspec's, which DuckDB reads through."""
    return _bucket_of(settings().lake).fsspec


def asked_again(ask: Callable[[], Answer]) -> Answer:
    """What Delta reads in the lake, asked for again where an object store breaks off in the middle of its answer."""
    if not is_url(settings().lake):
        return ask()
    from include.lake.object_store import asked_again

    return asked_again(ask, settings().lake)


def meaning(error: BaseException) -> Exception | None:
    """What an error means that Delta, DuckDB or Arrow had of the lake's object store; None for any other error."""
    if not is_url(settings().lake):
        return None
    from include.lake.object_store import meaning

    return meaning(error, settings().lake)


def delta_options() -> dict[str, str] | None:
    """What Delta needs to reach the lake; None for a folder."""
    if not is_url(settings().lake):
        return None
    from include.lake.object_store import MOST_RETRIES

    patience = {"max_retries": str(MOST_RETRIES), "retry_timeout": f"{settings().lake_retry_seconds}s"}
    return settings().storage_options | patience


_FOLDERS: Final = Folders()


def _of(file: str) -> Folders | ObjectStore:
    return _bucket_of(file) if is_url(file) else _FOLDERS


def _bucket_of(file: str) -> ObjectStore:
    scheme, _, rest = file.partition("://")
    how = tuple(settings().storage_options.items())
    return _object_store(f"{scheme}://{rest.partition('/')[0]}", how, settings().lake_retry_seconds)


@cache
def _object_store(root: str, options: tuple[tuple[str, str], ...], seconds: int) -> ObjectStore:
    from include.lake.object_store import ObjectStore  # 40 ms, which only a lake in one pays

    return ObjectStore(root, dict(options), timedelta(seconds=seconds))
