"""Materializing a table of the lake: incremental where the change feed is complete, full otherwise.

Belongs here: the order of the steps (find what changed, write its inputs, build, commit, update the digest). Does not:
the steps themselves, which builds can be continued (the ledger), and how a table is built (the caller).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from include.build import incremental
from include.build.digest import digest_after, digest_of
from include.build.incremental import Inputs
from include.contract import Source, Table
from include.lake import duckdb_session as duck
from include.lake import merge
from include.lake import tables as lake
from include.lake.integrity import blamed
from include.lake.scratch import Scratch, scratch
from include.ledger.builds import Build

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Materialized:
    """A table that is up to date with its inputs.

    Attributes:
        engine: the engine that built it.
        version: its version in the lake.
        rows: its number of rows.
        digest: the digest of all its rows.
        is_incremental: whether only what changed since its base was computed.
    """

    engine: str
    version: int
    rows: int
    digest: str
    is_incremental: bool


def materialize(
    table: Table,
    inputs: Inputs,
    base: Build | None,
    horizon: date,
    sources: Mapping[str, Source],
    make: Callable[[Mapping[str, Sequence[str]], Scratch], Any],
) -> Materialized:
    """Build the rows of a table that may have changed since its last build, and commit those that did.

    Args:
        table: the table, rebuilt in full or by a column.
        inputs: what the build reads.
        base: the build that made the table's latest version, if this one can continue from it.
        horizon: the last whole business day that the table must cover.
        sources: the shop's sources.
        make: turns files of the inputs, by parameter, into files of the table in a folder; returns what
            ``transforms.build.build`` returns.

    Raises:
        lake.Damaged: when an input cannot be read. If the table itself cannot be read, it is overwritten instead.
    """
    try:
        return _build_and_commit(table, inputs, base, horizon, sources, make)
    except lake.Damaged as damaged:
        if (damaged.layer, damaged.table) != (table.schema, table.name):
            raise
        _log.warning("%s; it is built in full", damaged)
    return _build_and_commit(table, inputs, None, horizon, sources, make, overwrite=True)


def _build_and_commit(
    table: Table,
    inputs: Inputs,
    base: Build | None,
    horizon: date,
    sources: Mapping[str, Source],
    make: Callable[[Mapping[str, Sequence[str]], Scratch], Any],
    *,
    overwrite: bool = False,
) -> Materialized:
    """Materialize once; with ``overwrite``, without reading what the table holds."""
    with blamed(), scratch(table.schema, table.name) as room, duck.session() as connection:
        within = "true"
        if base and incremental.find_touched(connection, table, inputs, base, horizon, sources):
            within = incremental.within(table, base, horizon)
            files = incremental.write_needed_rows(connection, table, base, horizon, room.shared)
        else:
            base, files = None, inputs.all_files
        made = make(files, room)
        key = [table[name].lake_name for name in table.primary_key]
        columns = made.table.lake_columns
        rows = duck.relation([str(file) for file in made.files], columns)
        done = merge.commit(connection, table.schema, table.name, columns, key, rows, within, overwrite=overwrite)
        digest = digest_after(base.digest, done.changes, made.table) if base else digest_of(made.files, made.table)
    return Materialized(made.engine, done.version, done.rows, digest, base is not None)
