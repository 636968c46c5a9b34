"""Committing a table's new rows: only what differs from the old ones is written, and a change file records it.

A commit names its change file: the rows that it replaced (``_old``) and the rows that it wrote. With these rows alone,
readers of the version before (builds of other tables, the warehouse) can catch up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from include.contract import Column
from include.lake import duckdb_session as duck
from include.lake import orphans, storage, writes
from include.lake import tables as lake
from include.lake.rows import has_columns, rows_of, with_decimals
from include.lake.rows import rows as stored_rows

_GONE = "_gone"
# A share of the table's rows. If more differ, rewriting the table is as quick as merging, and holds no rows in memory
# (16,000 changes spread over 6 M rows: 22 s to rewrite all, 26 s to merge).
_MAX_MERGED_SHARE = 0.1


@dataclass(frozen=True)
class Committed:
    """The result of a commit.

    Attributes:
        version: the version that holds the rows.
        rows: how many rows it holds.
        changes: the change file; None where nothing differed, or where all rows were written without a comparison.
    """

    version: int
    rows: int
    changes: str | None


def commit(
    connection: duckdb.DuckDBPyConnection,
    layer: str,
    name: str,
    columns: Sequence[Column],
    key: Sequence[str],
    rows: str,
    within: str = "true",
    *,
    overwrite: bool = False,
) -> Committed:
    """Make a table of the lake hold the given rows, in one commit that changes only what differs; no one else writes.

    A table that was written with other columns is rewritten: a new column is null in the rows that stay.

    Args:
        connection: a session of ``include.lake.duckdb_session``.
        layer: the layer.
        name: the table.
        columns: its columns.
        key: the lake columns that identify a row.
        rows: a relation with these columns: all rows that the table must hold where ``within`` is true.
        within: a predicate on these columns of ``row``; other rows stay as they are.
        overwrite: whether to replace the table without reading it, because it cannot be read; ``within`` must be true
            then.

    Raises:
        lake.Damaged: when the table cannot be read.
    """
    names = ", ".join(column.lake_name for column in columns)
    orphans.clear_table(layer, name)
    version = lake.version(layer, name)
    if version is None or overwrite:
        version = writes.replace(layer, name, _reader(connection, f"select {names} from {rows}", columns))
        return Committed(version, _count(connection, stored_rows(layer, name, columns, version)), None)
    stored = lake.stored(layer, name, version)
    before = rows_of(stored, columns)
    everything = f"""
        select {names} from {rows} as row where {within}
        union all
        select {names} from {before} as row where not coalesce({within}, false)
    """
    if stored.files and not has_columns(stored, columns):
        # This commit has no change file: whoever follows the change feed reads the whole table once.
        version = writes.replace(layer, name, _reader(connection, everything, columns))
        return Committed(version, _count(connection, stored_rows(layer, name, columns, version)), None)
    file = lake.changes_file(layer, name)
    duck.copy(
        connection,
        f"""
            with
                old as (select {names} from {before} as row where {within}),
                new as (select {names} from {rows} as row where {within})
            select *, true as _old from ((from old) except (from new))
            union all by name
            select *, false as _old from ((from new) except (from old))
        """,
        file,
    )
    changed = f"read_parquet({duck.quoted(file)})"
    differing, total = _count(connection, changed), _count(connection, before)
    if not differing:
        storage.remove([file])
        return Committed(version, total, None)
    if differing > _MAX_MERGED_SHARE * total:
        version = writes.replace(layer, name, _reader(connection, everything, columns), file)
    else:
        same = " and ".join(f"other.{one} = row.{one}" for one in key)
        merged = f"""
            select {names}, _old as {_GONE}
            from {changed} as row
            where not _old or not exists (select 1 from {changed} as other where not other._old and {same})
        """
        version = writes.merge(layer, name, key, _reader(connection, merged, columns), _GONE, file)
    return Committed(version, _count(connection, stored_rows(layer, name, columns, version)), file)


def commit_slice(
    connection: duckdb.DuckDBPyConnection,
    layer: str,
    name: str,
    columns: Sequence[Column],
    key: Sequence[str],
    rows: str,
    within: tuple[str, int],
) -> int:
    """Make one slice of a table hold the given rows, in one commit; other slices stay, and no one else writes.

    If the table was written with other columns, the other slices are rewritten with the current ones; a new column is
    null in them. If their rows do not fit the table any more, because its key changed, they stay in earlier versions
    only.

    Args:
        connection: a session of ``lake.duckdb_session``.
        layer: the layer.
        name: the table.
        columns: its columns.
        key: the lake columns that identify a row.
        rows: a relation with these columns: the rows of the slice.
        within: the integer column that makes the slices, and its value in this slice.

    Returns:
        The version that holds the slice.
    """
    slice_column, value = within
    orphans.clear_table(layer, name)
    names = ", ".join(column.lake_name for column in columns)
    new = f"select {names} from {rows}"
    stored = lake.stored(layer, name)
    if not stored.files:  # also of a table that exists: it may have other columns
        return writes.replace(layer, name, _reader(connection, new, columns))
    if has_columns(stored, columns):
        return writes.replace_slice(layer, name, slice_column, value, _reader(connection, new, columns))
    others = f"(select {names} from {rows_of(stored, columns)} where {slice_column} <> {value})"
    found = connection.execute(
        f"select count(*) = count(distinct ({', '.join(key)})) and bool_and({key_is_there(key)}) from {others}"
    ).fetchone()
    kept = f" union all from {others}" if found and found[0] else ""
    return writes.replace(layer, name, _reader(connection, f"{new}{kept}", columns))


def key_is_there(key: Sequence[str]) -> str:
    """A predicate: every column of a row's key has a value."""
    return " and ".join(f"{name} is not null" for name in key)


def _reader(connection: duckdb.DuckDBPyConnection, statement: str, columns: Sequence[Column]) -> pa.RecordBatchReader:
    return with_decimals(connection.execute(statement).to_arrow_reader(100_000), columns)


def _count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    found = connection.execute(f"select count(*) from {rows}").fetchone()
    return int(found[0]) if found else 0
