"""The interface of an engine, and of its resources."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Protocol, Self, TypeAlias
from uuid import uuid4

import narwhals as nw
from pydantic import ByteSize, SecretStr, TypeAdapter

Frame: TypeAlias = nw.LazyFrame[Any]
Step: TypeAlias = Callable[[Frame], Frame]

ROWS_PER_GROUP: Final = 122_880  # DuckDB's row group size, for the Parquet files of a published table


def spill_prefix() -> str:
    """The first part of the name of this process's spill folders; a later process removes those of a dead one by it."""
    return f"stocktake-{os.getpid()}-"


class Files(Protocol):
    """The files of a lake, wherever it lies; named by paths or URLs."""

    def arrow(self, files: Sequence[str]) -> tuple[Any, list[str]]:
        """Arrow's file system for files of one place, None for folders; and what they are called there.

        It can be pickled: a cluster's workers need no settings of ours.
        """

    def bytes(self, files: Sequence[str]) -> int:
        """The size of files."""

    def read_by(self, connection: Any) -> bool:
        """Let a DuckDB connection read them.

        Returns:
            Whether its relations may; False when only ``execute`` may, as they are read through Python.
        """


class InFolders:
    """Files in folders of this machine."""

    def arrow(self, files: Sequence[str]) -> tuple[Any, list[str]]:
        """See Files."""
        return None, list(files)

    def bytes(self, files: Sequence[str]) -> int:
        """See Files."""
        return sum(Path(file).stat().st_size for file in files)

    def read_by(self, connection: Any) -> bool:  # noqa: ARG002 - DuckDB reads folders by itself
        """See Files."""
        return True


class OutOfMemory(RuntimeError):
    """An engine ran out of memory; the message names table, engine, limit, and what to raise."""


class Resources(Protocol):
    """Limits and clusters for an engine; ``include.settings`` provides them."""

    @property
    def memory_limit(self) -> str:
        """Memory of one engine on this machine, such as ``512MB``; above it the engine spills to disk."""

    @property
    def engines(self) -> Mapping[str, str]:
        """The engine of a table, where the settings name one."""

    @property
    def files(self) -> Files:
        """The files that it reads, and writes for other machines."""

    @property
    def shared(self) -> str | None:
        """The folder that all machines of a cluster see; None: the one that the build writes into."""

    @property
    def dask_scheduler(self) -> str | None:
        """The scheduler of a Dask cluster, such as ``tcp://10.0.0.1:8786``; None: a cluster on this machine."""

    @property
    def spark_master(self) -> str | None:
        """The master of a Spark cluster, such as ``spark://10.0.0.1:7077``; None: ``local[*]``."""

    @property
    def spark_remote(self) -> SecretStr | None:
        """A Spark Connect server, ``sc://10.0.0.1:15002``; None: the one of this machine, on ``spark_master``."""

    @property
    def engine_fallback(self) -> str | None:
        """What builds a table whose engine ran out of memory; None: nothing does."""

    @property
    def server_idle_seconds(self) -> float:
        """For how long a server of this machine stays when no build uses it."""


@dataclass(frozen=True)
class Local:
    """This machine alone."""

    memory_limit: str = "512MB"
    engines: Mapping[str, str] = field(default_factory=dict)
    files: Files = field(default_factory=InFolders)
    shared: str | None = None
    dask_scheduler: str | None = None
    spark_master: str | None = None
    spark_remote: SecretStr | None = None
    engine_fallback: str | None = None
    server_idle_seconds: float = 0


def write_part(rows: Any, system: Any, path: str) -> None:
    """Write a ``pyarrow.Table`` as a Parquet file, on a cluster's worker; it is there whole or not at all."""
    from pyarrow import parquet

    if system is None:
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{uuid4().hex}")  # a worker that seemed lost may write beside another
        parquet.write_table(rows, unfinished)
        unfinished.replace(file)
        return
    content = io.BytesIO()
    parquet.write_table(rows, content)
    system.handler.fs.pipe_file(path, content.getvalue())


def worker_bytes(resources: Resources) -> int:
    """Memory of Spark, or of a worker of Dask, on this machine: twice the limit, for it holds code and buffers too."""
    return 2 * TypeAdapter(ByteSize).validate_python(resources.memory_limit)


class Engine(Protocol):
    """Opens files as frames and writes a frame's rows; a context, because an engine holds a connection or a cluster.

    Attributes:
        implementation: narwhals' name for the frames of this engine.
    """

    implementation: ClassVar[nw.Implementation]

    def __init__(self, resources: Resources) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def open(self, files: Sequence[str], schema: Any) -> Frame:
        """The rows of all the Parquet files.

        Args:
            files: paths; none means no rows.
            schema: the ``pyarrow.Schema`` of the frame. A file's other columns are not read, a column it lacks is null.
        """

    def frame(self, table: Any) -> Frame:
        """A small ``pyarrow.Table`` as a frame of this engine."""

    def typed(self, frame: Frame, schema: Any) -> Frame:
        """The rows with exactly the columns and types of a schema, as if they had been written to a file and opened.

        Raises:
            Exception: the engine's own, when a value does not fit its declared type.
        """

    def write(self, frame: Frame, schema: Any, order: Sequence[str], into: Path) -> list[str]:
        """Write the rows as Parquet of this schema: sorted within each file and from one file to the next.

        Names, order and types are the schema's; a column may be marked as never null, as Spark does where it knows.

        Args:
            frame: the rows, of types as ``typed`` gives them or narrower.
            schema: a ``pyarrow.Schema``.
            order: the columns to sort by.
            into: an existing folder; on a cluster, one that all its machines see at the same place.

        Returns:
            The files, in order; at least one, which holds the schema when there are no rows.

        Raises:
            Exception: the engine's own, when a value does not fit its declared type.
        """

    @staticmethod
    def by_key(frame: Frame, key: Sequence[str], step: Step) -> Frame:
        """Run ``step`` on frames that each hold all rows of a key."""
