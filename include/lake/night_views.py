"""The views of a night: what the gate and the proofs see of every source, in one DuckDB session.

For every source ``s`` of the shop:
    raw_s      the rows of this run;
    clean_s    the rows accepted before;
    held_s     the rows in quarantine before;
    known_s    both of these;
    gone_s     the keys that the completeness proof found deleted;
    deleted_s  the known rows that the shop no longer has;
    s          the shop's table as of tonight's snapshot: tonight's rows, and the known ones that they neither replace
               nor delete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from include.contract import Column, Source, Table, Type
from include.lake import duckdb_session as duck
from include.lake.rows import rows as stored_rows
from include.ledger.copies import LayerVersions

UNREADABLE = Column("_unreadable", Type.TEXT, "Source values that the lake cannot hold, as text.", nullable=True)


def open_night(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    run: str,
    full: Mapping[str, bool],
    found: LayerVersions | None = None,
) -> None:
    """Create the views of the night (see the module's docstring).

    Args:
        connection: a session of ``include.lake.duckdb_session``.
        sources: the shop's sources.
        run: the run that tonight's rows belong to.
        full: per source, whether this run read the whole table.
        found: the versions of clean and quarantine that the run found; by default the latest.
    """
    for name, source in sources.items():
        read = read_columns(source)
        names = ", ".join(column.lake_name for column in read)
        layers = {
            "raw": stored_rows("raw", name, read, run=run),
            "clean": _known_rows("clean", name, source.lake_columns, found),
            "held": _known_rows("quarantine", name, (*source.lake_columns, UNREADABLE), found),
            "gone": stored_rows("gone", name, [source[key] for key in source.primary_key], run=run),
        }
        for layer, rows in layers.items():
            connection.execute(f"create or replace view {layer}_{name} as select * from {rows}")
        connection.execute(
            f"""
            create or replace view known_{name} as
            select *, null::varchar as _unreadable from clean_{name}
            union all by name
            select * from held_{name}
            """
        )
        not_read = lacks_key(source, "old", f"raw_{name}")
        connection.execute(
            f"""
            create or replace view deleted_{name} as
            select * from known_{name} as old
            where {not_read} {"" if full[name] else f"and {has_key(source, 'old', f'gone_{name}')}"}
            """
        )
        unchanged = f"""
            union all by name
            select {names} from known_{name} as old
            where {not_read} and {lacks_key(source, "old", f"gone_{name}")}
        """
        connection.execute(
            f"""
            create or replace view {name} as
            select {names} from raw_{name}
            {"" if full[name] else unchanged}
            """
        )


def _known_rows(layer: str, name: str, columns: Sequence[Column], found: LayerVersions | None) -> str:
    """The rows of a layer in the version that the run found (none if there was none); by default in the latest."""
    if not found or name not in found:
        return stored_rows(layer, name, columns)
    version = found[name][layer]
    return duck.relation([], columns) if version is None else stored_rows(layer, name, columns, version)


def same_key(table: Table, left: str, right: str) -> str:
    """A predicate: two rows have the same key (two missing keys are the same)."""
    return " and ".join(f"{left}.{k} is not distinct from {right}.{k}" for k in table.primary_key)


def has_key(source: Source, row: str, relation: str) -> str:
    """A predicate: some row of a relation has the same key as this one."""
    return f"exists (select 1 from {relation} as other where {same_key(source, row, 'other')})"


def read_columns(source: Source) -> tuple[Column, ...]:
    """What is read of a source: its columns, and the values that the lake cannot hold."""
    return (*source.columns, UNREADABLE)


def lacks_key(source: Source, row: str, relation: str) -> str:
    """A predicate: no row of a relation has the same key as this one."""
    return f"not {has_key(source, row, relation)}"


def row_key(table: Table) -> str:
    """A DuckDB expression: a row's key as text, its parts joined by ``/``; a ``/`` in a part of several is doubled."""
    parts = [f"coalesce({name}::varchar, '∅')" for name in table.primary_key]
    if len(parts) == 1:
        return parts[0]
    escaped = ", ".join(f"replace({part}, '/', '//')" for part in parts)
    return f"concat_ws('/', {escaped})"
