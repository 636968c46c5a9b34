"""Tables of the lake as they were opened: a version that was read is not read again while its log is what it was.

A step of a night asks for the same versions again and again, and reading a log takes 4 ms and more. A version never
changes; whether its files are still there is asked of the file system every time (``tables``).

Belongs here: versions that are read. Does not: tables that are written; writing moves them on to another version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

RUN = "_run"  # the partition column of raw and gone: the run that read the rows
DECIMALS_KEY = "stocktake.decimals"  # in a column's metadata: of an amount with others than two
_COMMIT_NAME = len(f"{0:020}.json")


@dataclass(frozen=True)
class Opened:
    """A version of a table.

    Attributes:
        table: the table, which is read and not written.
        version: the version.
        types: the type of each column, by name, without the column of the run.
        decimals: of each amount that has others than two, by name.
        sizes: the size of each of its files in the log, in bytes, by file name.
    """

    table: DeltaTable
    version: int
    types: Mapping[str, str]
    decimals: Mapping[str, int]
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, table: DeltaTable) -> Opened:
        """What the log says of the version that a table is open at."""
        schema, written = table.schema(), pa.table(table.get_add_actions())
        names = (Path(unquote(path)).name for path in written["path"].to_pylist())
        sizes = dict(zip(names, written["size_bytes"].to_pylist(), strict=True))
        return cls(table, int(table.version()), column_types(schema), column_decimals(schema), sizes)

    def files(self, where: list[tuple[str, str, Any]] | None = None) -> list[str]:
        """The absolute paths of its files, sorted. Delta names them as URIs: in a folder ``a b`` as ``a%20b``."""
        return sorted(unquote(uri) for uri in self.table.file_uris(file_pruning_predicate=where))


def column_types(schema: Schema) -> dict[str, str]:
    """The type of each column of a Delta schema, by name, without the column of the run."""
    return {field.name: str(field.type) for field in schema.fields if field.name != RUN}


def column_decimals(schema: Schema) -> dict[str, int]:
    """The decimals of each amount of a Delta schema that has others than ``DECIMALS``, by name."""
    return {field.name: int(field.metadata[DECIMALS_KEY]) for field in schema.fields if DECIMALS_KEY in field.metadata}


def opened(folder: Path, version: int | None) -> Opened | None:
    """A version of a table (None: the latest), to be read; None where it was never written.

    Raises:
        deltalake.exceptions.DeltaError: when it no longer has this version, which is not the same as having no rows.
    """
    log = folder / "_delta_log"
    wanted = _latest(log) if version is None else version
    try:
        commit = (log / f"{wanted:020}.json").stat() if wanted is not None else None
    except FileNotFoundError:  # only a checkpoint knows this version, or nothing does
        commit = None
    if wanted is None or commit is None:
        found = open_table(folder, version)
        return Opened.of(found) if found is not None else None
    return _opened(folder, wanted, (commit.st_ino, commit.st_mtime_ns, commit.st_size))


@lru_cache(maxsize=256)
def _opened(folder: Path, version: int, _: tuple[int, int, int]) -> Opened | None:
    """A version of a table; its commit is told from one of the same number in a table that was made anew."""
    found = open_table(folder, version)
    return Opened.of(found) if found is not None else None


def open_table(folder: Path, version: int | None) -> DeltaTable | None:
    """A table as of a version (None: the latest), read from its log; None where it was never written.

    Raises:
        deltalake.exceptions.DeltaError: when it no longer has this version, which is not the same as having no rows.
    """
    try:
        return DeltaTable(folder, version=version)
    except TableNotFoundError as error:
        if version is None or not DeltaTable.is_deltatable(str(folder)):
            return None
        raise DeltaError(f"the lake no longer has version {version} of {folder.parent.name}.{folder.name}") from error


def _latest(log: Path) -> int | None:
    """The number of the latest commit in a log; None where there is none."""
    try:
        names = [file.name for file in log.iterdir() if len(file.name) == _COMMIT_NAME and file.name.endswith(".json")]
    except FileNotFoundError:
        return None
    return max((int(name.removesuffix(".json")) for name in names if name[:20].isdigit()), default=None)
