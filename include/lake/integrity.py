"""Damage in the lake: a file that is missing, is not as long as the log says, or cannot be read; and whose fault it is.

Belongs here: telling a damaged file from everything else that fails, whatever library read it. Does not: what is done
about it. A published table is built anew by its next build, and the copy of the shop is read anew by a full refresh.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from include.settings import settings

_REMEDIES = {
    "raw": "run nightly again",
    "gone": "run nightly again",
    "reporting": "the next night builds it anew",
    "features": "run features again for the days of its slices",
}
_COPY = "run nightly with full_refresh, which reads it anew from the shop"

# The files that were asked for in the innermost block that looks for one to blame.
_asked_for: ContextVar[set[str] | None] = ContextVar("asked_for", default=None)


class Damaged(RuntimeError):
    """A file of the lake is not what was written there; nothing was made of what is left of it.

    Attributes:
        layer: the layer of its table.
        table: the table.
    """

    def __init__(self, file: str, reason: str) -> None:
        """Say of which table it is, and what helps."""
        self.layer, self.table, *_ = Path(file).resolve().relative_to(settings().lake.resolve()).parts
        said = " ".join(reason.split())
        super().__init__(
            f"{self.layer}.{self.table} is damaged: {file} {said}. To heal it, {_REMEDIES.get(self.layer, _COPY)}"
        )


def check(files: Iterable[str], bytes_by_name: Mapping[str, int]) -> None:
    """Refuse files that are not there as they were written.

    Args:
        files: their paths.
        bytes_by_name: how long each is, by its name.

    Raises:
        Damaged: naming the first.
    """
    files = list(files)
    if (asked_for := _asked_for.get()) is not None:
        asked_for.update(files)
    for file in files:
        try:
            size = Path(file).stat().st_size
        except FileNotFoundError:
            raise Damaged(file, "is missing") from None
        if size != bytes_by_name[Path(file).name]:
            raise Damaged(file, f"has {size:,} bytes, not {bytes_by_name[Path(file).name]:,}")


def must_be_readable(files: Iterable[str]) -> None:
    """Read files from beginning to end.

    Raises:
        Damaged: naming the first of which that cannot be done.
    """
    import pyarrow as pa
    from pyarrow import parquet

    for file in sorted(files):
        try:
            with parquet.ParquetFile(file) as opened:
                for _ in opened.iter_batches():
                    pass
        except (OSError, pa.ArrowException) as error:
            raise Damaged(file, f"cannot be read: {error}") from error


@contextmanager
def blamed() -> Iterator[None]:
    """What fails in this block because a file of the lake is damaged says so.

    What fails otherwise stays as it is. To tell, every file that was asked for in the block is read once more, unless
    it was our own code that refused, or a server that went away.

    Raises:
        Damaged: naming table and file.
    """
    asked_for = set[str]()
    token = _asked_for.set(asked_for)
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("include.") and not isinstance(error, ConnectionError):
            must_be_readable(asked_for)
        raise
    finally:
        _asked_for.reset(token)
