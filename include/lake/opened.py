"""Tables of the lake as they were opened: a version that was read is not read again while its log is what it was.

A step of a night asks for the same versions again and again, and reading a log takes 4 ms and more. A version never
changes; whether its files are still there is asked of the file system every time (``tables``).

Belongs here: versions that are read. Does not: tables that are written; writing moves them on to another version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from include.lake import storage

RUN = "_run"  # the partition column of raw and gone: the run that read the rows
DECIMALS_KEY = "stocktake.decimals"  # in a column's metadata: of an amount with others than two
_COMMIT = re.compile(r"\d{20}\.json")


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
        names = (storage.name_of(unquote(path)) for path in written["path"].to_pylist())
        sizes = dict(zip(names, written["size_bytes"].to_pylist(), strict=True))
        return cls(table, int(table.version()), column_types(schema), column_decimals(schema), sizes)

    def files(self, where: list[tuple[str, str, Any]] | None = None) -> list[str]:
        """The paths or URLs of its files, sorted. Delta names them as URIs: in a folder ``a b`` as ``a%20b``."""
        return sorted(unquote(uri) for uri in self.table.file_uris(file_pruning_predicate=where))


def column_types(schema: Schema) -> dict[str, str]:
    """The type of each column of a Delta schema, by name, without the column of the run."""
    return {field.name: str(field.type) for field in schema.fields if field.name != RUN}


def column_decimals(schema: Schema) -> dict[str, int]:
    """The decimals of each amount of a Delta schema that has others than ``DECIMALS``, by name."""
    return {field.name: int(field.metadata[DECIMALS_KEY]) for field in schema.fields if DECIMALS_KEY in field.metadata}


def opened(folder: str, version: int | None) -> Opened | None:
    """A version of a table (None: the latest), to be read; None where it was never written.

    Raises:
        deltalake.exceptions.DeltaError: when it no longer has this version, which is not the same as having no rows.
    """
    log = storage.join(folder, "_delta_log")
    commit = storage.latest(log, _COMMIT) if version is None else storage.find(storage.join(log, f"{version:020}.json"))
    if commit is None:  # only a checkpoint knows this version, or nothing does
        found = open_table(folder, version)
        return Opened.of(found) if found is not None else None
    return _opened(folder, int(commit.name.removesuffix(".json")), commit.mark)


@lru_cache(maxsize=256)
def _opened(folder: str, version: int, _: str) -> Opened | None:
    """A version of a table; its commit is told from one of the same number in a table that was made anew."""
    found = open_table(folder, version)
    return Opened.of(found) if found is not None else None


def open_table(folder: str, version: int | None) -> DeltaTable | None:
    """A table as of a version (None: the latest), read from its log; None where it was never written.

    Raises:
        deltalake.exceptions.DeltaError: when it no longer has this version, which is not the same as having no rows.
    """
    try:
        return storage.asked_again(lambda: DeltaTable(folder, version=version, storage_options=storage.delta_options()))
    except TableNotFoundError as error:
        if version is None or not DeltaTable.is_deltatable(folder, storage.delta_options()):
            return None
        layer, table = folder.split("/")[-2:]
        raise DeltaError(f"the lake no longer has version {version} of {layer}.{table}") from error
