"""An object store as storage: S3 and what speaks like it, Google Cloud Storage, Azure; through ``obstore``.

``obstore`` reaches them with the library that Delta reaches them with: the same options, the same retries.

Belongs here: requests, and what their errors mean. Does not: which store, and how it is reached (``include.settings``).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import obstore
from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError
from obstore.fsspec import FsspecStore
from obstore.store import from_url
from pyarrow.fs import FSSpecHandler, PyFileSystem
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

from include.lake.paths import File, name_of, spill_prefix

Answer = TypeVar("Answer")
_TRIES: Final = 5  # of what breaks off in the middle of its answer
MOST_RETRIES: Final = 100  # how long is what counts
# Options that concern the connection; all others begin with the name of a cloud.
_CLOUD: Final = ("aws_", "azure_", "google_")

# What object_store, in obstore and Delta, and DuckDB say of a request; nobody else's error is about the store.
_OF_STORE: Final = re.compile(
    r"Generic (?:S3|GCS|MicrosoftAzure) error|Error performing (?:GET|HEAD|PUT|POST|DELETE) "
    r"|HTTP (?:Error|GET|HEAD|PUT|POST|DELETE)|valid authentication credentials"
)
_KEY_ID: Final = re.compile(r"(?<=<AWSAccessKeyId>)[^<]*|(?<=<StringToSign>)[^<]*")
_REFUSED: Final = re.compile(
    "403 Forbidden|401 Unauthorized|SignatureDoesNotMatch|InvalidAccessKeyId|AccessDenied|AuthenticationFailed"
    "|lacked the necessary privileges|valid authentication credentials"
)
_NO_BUCKET: Final = re.compile("NoSuchBucket|ContainerNotFound|bucket does not exist")
_AWAY: Final = re.compile(
    r"error sending request|request or response body error|(?:non-2xx status code:|HTTP) (?:408|429|5\d\d)"
    "|Could not (?:connect|establish|resolve)|Connection (?:refused|reset|closed)|[Tt]imed? ?out|Failed to connect"
)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")  # Delta's, for a terminal


class UnusableStorage(RuntimeError):
    """An object store refuses what the settings say, or has no such bucket; trying again would not help."""


class ObjectStore:
    """A bucket, or a container."""

    def __init__(self, root: str, options: Mapping[str, str], patience: timedelta) -> None:
        """Name it.

        Args:
            root: its URL, without a path.
            options: how it is reached, by object_store's names (``aws_endpoint``); ``allow_http`` among them.
            patience: how long a request is tried again.
        """
        self._root = root
        self._retries: Any = {"max_retries": MOST_RETRIES, "retry_timeout": patience}
        self._cloud = {name: value for name, value in options.items() if name.startswith(_CLOUD)}
        self._client = {name: value for name, value in options.items() if not name.startswith(_CLOUD)}

    @property
    def _how(self) -> dict[str, Any]:
        return {"config": self._cloud, "client_options": self._client or None, "retry_config": self._retries}

    @cached_property
    def _store(self) -> Any:
        return from_url(self._root, **self._how)

    @cached_property
    def fsspec(self) -> Any:
        """It as DuckDB takes a file system."""
        scheme = self._root.partition("://")[0]
        store: Any = FsspecStore  # its types allow each scheme its own options only
        return store(scheme, **self._how)

    @cached_property
    def arrow(self) -> PyFileSystem:
        """It as a file system of Arrow's, whose paths are URLs without the scheme; it can be pickled."""
        return PyFileSystem(FSSpecHandler(self.fsspec))

    def find(self, file: str) -> File | None:
        """See storage."""
        with named(self._root):
            try:
                return self._seen(obstore.head(self._store, self._key(file)))
            except FileNotFoundError:
                return None

    def files(self, folder: str, *, deep: bool) -> Iterator[File]:
        """See storage."""
        if deep:
            found = self._asked(
                lambda: [one for batch in obstore.list(self._store, f"{self._key(folder)}/") for one in batch]
            )
        else:
            found = self._asked(lambda: list(obstore.list_with_delimiter(self._store, self._key(folder))["objects"]))
        # Some stores list an empty folder as a file of no bytes.
        return (self._seen(one) for one in found if one["size"] or "." in name_of(one["path"]))

    def folders(self, folder: str) -> list[str]:
        """See storage."""
        found = self._asked(
            lambda: list(obstore.list_with_delimiter(self._store, self._key(folder))["common_prefixes"])
        )
        return [prefix.rstrip("/").rsplit("/", 1)[-1] for prefix in found]

    def latest(self, folder: str, name: re.Pattern[str]) -> File | None:
        """See storage."""
        found = (file for file in self.files(folder, deep=False) if name.fullmatch(file.name))
        return max(found, key=lambda file: file.name, default=None)

    def unfinished(self, folder: str) -> list[File]:  # noqa: ARG002 - what is not whole is not listed
        """See storage."""
        return []

    def times(self, folder: str) -> Iterator[datetime]:
        """When the files below a folder were written."""
        return (file.written_at for file in self.files(folder, deep=True))

    def read(self, file: str) -> bytes:
        """See storage."""
        with named(self._root):
            return bytes(obstore.get(self._store, self._key(file)).bytes())

    def pieces(self, file: str, size: int) -> Iterator[bytes]:
        """See storage."""
        with named(self._root):
            found = obstore.get(self._store, self._key(file))
        return self._pieces(found, size)

    def _pieces(self, found: Any, size: int) -> Iterator[bytes]:
        with named(self._root):
            yield from map(bytes, found.stream(min_chunk_size=size))

    def opened(self, file: str) -> Any:
        """See storage."""
        with named(self._root):
            return self.arrow.open_input_file(file.partition("://")[2])

    @contextmanager
    def whole(self, file: str) -> Iterator[str]:
        """See storage: an upload that is broken off leaves no file, so it is written here first."""
        with tempfile.TemporaryDirectory(prefix=spill_prefix()) as here:
            unfinished = Path(here) / "whole"
            yield str(unfinished)
            with named(self._root):
                obstore.put(self._store, self._key(file), unfinished)

    def remove(self, files: list[str]) -> None:
        """See storage."""
        keys = [self._key(file) for file in files]
        with named(self._root):
            try:
                obstore.delete(self._store, keys)
            except FileNotFoundError:  # some stores answer so, and the others of these are still there
                for key in keys:
                    with suppress(FileNotFoundError):
                        obstore.delete(self._store, key)

    def remove_empty(self, folders: set[str]) -> None:
        """See storage."""

    def remove_folder(self, folder: str) -> None:
        """See storage."""
        self.remove([file.path for file in self.files(folder, deep=True)])

    def _asked(self, listing: Callable[[], list[Any]]) -> list[Any]:
        return asked_again(listing, self._root)

    def _key(self, file: str) -> str:
        return file.removeprefix(self._root).lstrip("/")

    def _seen(self, found: Any) -> File:
        path, size, at = found["path"], int(found["size"]), found["last_modified"]
        return File(f"{self._root}/{path}", size, at, f"{found['e_tag']} {at.isoformat()} {size}")


def asked_again(ask: Callable[[], Answer], place: str) -> Answer:
    """An answer of a store, for which it is asked again when it breaks off: object_store leaves that to its callers.

    Args:
        ask: what may be done twice: reading, or listing.
        place: the URL that messages name.

    Raises:
        UnusableStorage: when it refuses, or there is no such bucket.
        ConnectionError: when it is away, overloaded, or breaks off every time.
    """

    def once() -> Answer:
        with named(place):
            return ask()

    tries = Retrying(
        retry=retry_if_exception_type(ConnectionError), stop=stop_after_attempt(_TRIES), wait=wait_random(0, 1),
        reraise=True,
    )  # fmt: skip
    return tries(once)


@contextmanager
def named(place: str) -> Iterator[None]:
    """Turn what a store says in this block into what it means.

    Raises:
        UnusableStorage: when it refuses, or there is no such bucket.
        ConnectionError: when it is away, overloaded, or breaks off.
    """
    try:
        yield
    except (BaseError, DeltaError, OSError) as error:
        if isinstance(error, FileNotFoundError) or (told := meaning(error, place)) is None:
            raise
        raise told from error


def meaning(error: BaseException, place: str) -> Exception | None:
    """What an error of an object store means, whichever library met it; None for any other error.

    Args:
        error: of obstore, Delta, DuckDB or Arrow.
        place: the URL that the message names.
    """
    text = str(error)
    if type(error).__module__.startswith("include.") or not _OF_STORE.search(text):
        return None
    said = _KEY_ID.sub("…", " ".join(_COLOUR.sub("", text.partition("\n\nDebug source")[0]).split()))[:500]
    if _NO_BUCKET.search(text):
        return UnusableStorage(f"there is no bucket {place}: make it, or mend STOCKTAKE_LAKE; the store says: {said}")
    if _REFUSED.search(text):
        return UnusableStorage(
            f"{place} refuses: mend STOCKTAKE_LAKE_KEY_ID and STOCKTAKE_LAKE_SECRET, or what they may do there;"
            f" the store says: {said}"
        )
    if _AWAY.search(text):
        return ConnectionError(f"{place} is away: {said}")
    return None
