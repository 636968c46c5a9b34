"""Integrity of the lake: a file is damaged when it is missing, has another size than in the log, or cannot be read.

Belongs here: telling a damaged file from every other failure, whichever library read it. Does not: the repair. The next
build rebuilds a published table, and a full refresh reads the copy of the shop again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from include.contract.source import VERSIONS
from include.lake import storage

_REMEDIES = {
    "raw": "Run nightly again",
    "gone": "Run nightly again",
    "reporting": "The next night rebuilds it",
    "kept": "Put its folder back from a backup, for the shop does not have it; without it, counting begins anew",
    "features": "Run features again for the days of its slices",
}
_COPY = "Run nightly with full_refresh, which reads it again from the shop"
_VERSIONS = (
    "Put its folder back from a backup, for the shop does not have it; nightly with full_refresh begins it anew, with"
    " what the shop says now"
)

# The files that were opened in the innermost ``blamed`` block.
_opened: ContextVar[set[str] | None] = ContextVar("opened_files", default=None)


class Damaged(RuntimeError):
    """A file of the lake is damaged; nothing was read from it or made of it.

    Attributes:
        layer: the layer of its table.
        table: the table.
    """

    def __init__(self, file: str, reason: str) -> None:
        """Name the table and the remedy."""
        self.layer, self.table, *_ = storage.parts_in_lake(file)
        reason = " ".join(reason.split())
        super().__init__(f"{self.layer}.{self.table} is damaged: {file} {reason}. {self._remedy}")

    @property
    def _remedy(self) -> str:
        return _VERSIONS if self.table.endswith(VERSIONS) else _REMEDIES.get(self.layer, _COPY)


def check(files: Iterable[str], bytes_by_name: Mapping[str, int]) -> None:
    """Check that files exist and have the size they were written with.

    Args:
        files: their paths.
        bytes_by_name: the size of each file, by file name.

    Raises:
        Damaged: naming the first damaged file.
    """
    files = list(files)
    if (opened_files := _opened.get()) is not None:
        opened_files.update(files)
    for file, found in zip(files, storage.find_all(files), strict=True):
        if found is None:
            raise Damaged(file, "is missing")
        if found.bytes != (written := bytes_by_name[found.name]):
            raise Damaged(file, f"has {found.bytes:,} bytes, not {written:,}")


def must_be_readable(files: Iterable[str]) -> None:
    """Read files from beginning to end.

    Raises:
        Damaged: naming the first that cannot be read.
    """
    import pyarrow as pa
    from pyarrow import parquet

    for file in sorted(files):
        try:
            with storage.opened(file) as source, parquet.ParquetFile(source) as opened:
                for _ in opened.iter_batches():
                    pass
        except (OSError, pa.ArrowException) as error:
            if isinstance(error, ConnectionError):
                raise
            if told := storage.meaning(error):
                raise told from error
            raise Damaged(file, f"cannot be read: {error}") from error


@contextmanager
def blamed() -> Iterator[None]:
    """Turn a failure in this block into ``Damaged`` where a damaged file of the lake caused it.

    After a failure, every file that was opened in the block is read once more. Our own errors and lost connections are
    raised as they are, without that check.

    Raises:
        Damaged: naming table and file.
        ConnectionError: when the lake's object store is away, whichever library met it.
        UnusableStorage: when it refuses.
    """
    opened_files = set[str]()
    token = _opened.set(opened_files)
    try:
        yield
    except Exception as error:
        if told := storage.meaning(error):
            raise told from error
        if not type(error).__module__.startswith("include.") and not isinstance(error, ConnectionError):
            must_be_readable(opened_files)
        raise
    finally:
        _opened.reset(token)
