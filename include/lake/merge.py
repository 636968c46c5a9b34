"""Committing a table's new rows as what differs from its old ones, and saying what that was.

A commit names a file of the rows that it replaced (``_old``) and of those that it put there. So whoever read the
version before, the builds of other tables and the warehouse, can follow with just these rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from include.contract import Column
from include.lake import duckdb_session as duck
from include.lake import orphans
from include.lake import tables as lake

_GONE = "_gone"
# Of a table's rows; beyond that, writing it anew is as quick as merging, and holds no rows in memory (16,000 changes
# all over 6 M rows: 22 s to write them all, 26 s to merge).
_MOST_MERGED = 0.1


@dataclass(frozen=True)
class Committed:
    """What a commit came to.

    Attributes:
        version: the version that holds the rows.
        rows: how many it holds.
        changes: the file of old and new rows; None where nothing differed, or nothing was there before.
    """

    version: int
    rows: int
    changes: Path | None


def commit(
    connection: duckdb.DuckDBPyConnection,
    layer: str,
    name: str,
    columns: Sequence[Column],
    key: Sequence[str],
    rows: str,
    within: str = "true",
    *,
    unseen: bool = False,
) -> Committed:
    """Make a table of the lake hold some rows, in one commit that changes only what differs; nobody else writes it.

    Args:
        connection: a session of ``include.lake.duckdb_session``.
        layer: the layer.
        name: the table.
        columns: its columns.
        key: the lake columns that identify a row.
        rows: a relation with these columns: all rows that the table is to hold where ``within`` is true.
        within: a predicate on these columns of ``row``: other rows stay as they are.
        unseen: whether all that is there is written over, because it cannot be read; ``within`` is true then.

    Raises:
        lake.Damaged: when what is there cannot be read.
    """
    names = ", ".join(column.lake_name for column in columns)
    orphans.clear_table(layer, name)
    version = lake.version(layer, name)
    if version is None or unseen:
        version = lake.replace(layer, name, connection.execute(f"select {names} from {rows}").to_arrow_reader(100_000))
        return Committed(version, _count(connection, _stored(layer, name, version, columns)), None)
    before = _stored(layer, name, version, columns)
    old, new = (f"select {names} from {side} as row where {within}" for side in (before, rows))
    file = lake.changes_file(layer, name)
    connection.execute(
        f"copy (select *, true as _old from (({old}) except ({new}))"
        f" union all by name select *, false as _old from (({new}) except ({old})))"
        f" to {duck.quoted(str(file))} (format parquet)"
    )
    changed = f"read_parquet({duck.quoted(str(file))})"
    differing, total = _count(connection, changed), _count(connection, before)
    if not differing:
        file.unlink()
        return Committed(version, total, None)
    if differing > _MOST_MERGED * total:
        kept = f" union all select {names} from {before} as row where not coalesce({within}, false)"
        everything = connection.execute(new + kept).to_arrow_reader(100_000)
        version = lake.replace(layer, name, everything, file)
    else:
        same = " and ".join(f"other.{one} = row.{one}" for one in key)
        merged = connection.execute(
            f"select {names}, _old as {_GONE} from {changed} as row where not _old or not exists"
            f" (select 1 from {changed} as other where not other._old and {same})"
        )
        version = lake.merge(layer, name, key, merged.to_arrow_reader(100_000), _GONE, file)
    return Committed(version, _count(connection, _stored(layer, name, version, columns)), file)


def _stored(layer: str, name: str, version: int, columns: Sequence[Column]) -> str:
    return duck.relation(lake.files(layer, name, version), columns)


def _count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    found = connection.execute(f"select count(*) from {rows}").fetchone()
    return int(found[0]) if found else 0
