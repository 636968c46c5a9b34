"""DuckDB: for tables of any size on one machine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from uuid import uuid4

import narwhals as nw

from transforms.engines.pandas_engine import write_batches
from transforms.engines.protocol import ROWS_PER_GROUP, Frame, Resources, Step, spill_prefix

# DuckDB opens a file again for every relation derived from it: with small inputs, that was a third of a build's time.
_READ_AT_ONCE_BYTES = 4 * 1024**2


# A lake in an object store would have it look for an extension in the network. The one that it loads was installed with
# DuckDB; to check its signature, it would hash 20 MB each time.
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_unsigned_extensions": "true",
}


class DuckdbEngine:
    """DuckDB in this process, reading the files as it goes."""

    implementation: ClassVar = nw.Implementation.DUCKDB

    def __init__(self, resources: Resources) -> None:
        """Keep to ``memory_limit``; beyond it, sorts, joins and sums spill to a folder of their own."""
        self._memory_limit = resources.memory_limit
        self._files = resources.files

    def __enter__(self) -> Self:
        import duckdb

        self._held = ExitStack()
        self._numbers = count()
        self._scratch = Path(self._held.enter_context(TemporaryDirectory(prefix=spill_prefix())))
        self._connection = self._held.enter_context(duckdb.connect(config=_CONFIG))
        self._in_relations = self._files.read_by(self._connection)
        self._connection.execute("set timezone = 'UTC'")
        self._connection.execute("set memory_limit = $limit", {"limit": self._memory_limit})
        self._connection.execute("set temp_directory = $spill", {"spill": str(self._scratch)})
        self._connection.execute("set preserve_insertion_order = false")
        self._connection.execute("set enable_progress_bar = false")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection; frames opened on it end with it."""
        self._held.close()

    def open(self, files: Sequence[str], schema: Any) -> Frame:
        """See Engine."""
        if not files:
            return self.frame(schema.empty_table())
        return self._opened(files if self._in_relations else [self._fetched(files, schema.names)], schema)

    def _opened(self, files: Sequence[str], schema: Any) -> Frame:
        rows = self._connection.read_parquet(list(files), union_by_name=True)
        columns = (_quoted(name) if name in rows.columns else f"null as {_quoted(name)}" for name in schema.names)
        rows = rows.project(", ".join(columns))
        if self._files.bytes(files) <= _READ_AT_ONCE_BYTES:
            name = f"read_{next(self._numbers)}"
            rows.create(name)
            rows = self._connection.table(name)
        return nw.from_native(rows)

    def _fetched(self, files: Sequence[str], names: Sequence[str]) -> str:
        """A file of this machine with these columns of files that relations may not read, of those that they have."""
        file = self._file()
        wanted = ", ".join(f"'{name}'" for name in names)
        self._connection.execute(
            f"""
            copy (select columns(name -> name in ({wanted})) from read_parquet($files, union_by_name = true))
            to $file (format parquet)
            """,
            {"files": list(files), "file": file},
        )
        return file

    def _file(self) -> str:
        return str(self._scratch / f"{next(self._numbers)}.parquet")

    def frame(self, table: Any) -> Frame:
        """See Engine."""
        return nw.from_native(self._connection.from_arrow(table))

    def typed(self, frame: Frame, schema: Any) -> Frame:
        """See Engine.

        The rows are written to a file: DuckDB binds a relation again for everything derived from it, so a deep tree of
        relations takes seconds before it reads the first row.
        """
        file = self._file()
        self._bigint(frame, schema).write_parquet(file)
        return self._opened([file], schema)

    def write(self, frame: Frame, schema: Any, order: Sequence[str], into: Path) -> list[str]:
        """See Engine."""
        ordered = self._bigint(frame, schema).order(", ".join(_quoted(column) for column in order))
        return write_batches(ordered.to_arrow_reader(ROWS_PER_GROUP), schema, into)

    def _bigint(self, frame: Frame, schema: Any) -> Any:
        """The rows with 64-bit integers: a sum of BIGINTs is a HUGEINT, which Arrow lacks; an overflow is an error."""
        rows = frame.to_native()
        kinds = dict(zip(rows.columns, rows.types, strict=True))
        return rows.project(
            ", ".join(
                f"{_quoted(name)}::bigint as {_quoted(name)}" if str(kinds[name]) == "HUGEINT" else _quoted(name)
                for name in schema.names
            )
        )

    @staticmethod
    def by_key(frame: Frame, key: Sequence[str], step: Step) -> Frame:  # noqa: ARG004 - DuckDB partitions windows itself
        """See Engine. What comes of it is a table: DuckDB would compute it again for everything derived from it."""
        rows, name = step(frame).to_native(), f"step_{uuid4().hex}"
        rows.create(name)
        computed: Frame = nw.from_native(rows.query(f"of_{name}", f"from {name}"))
        return computed


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
