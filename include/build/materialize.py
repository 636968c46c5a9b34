"""Keeping a table of the lake up with its inputs: on from its last build where it can be told what changed, else whole.

Belongs here: the order of finding, cutting, building, committing and following the digest. Does not: any of these
steps, which builds may be gone on from (the ledger), and what a build is (whoever calls).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from include.build import incremental
from include.build.digest import digest_after, digest_of
from include.build.incremental import Inputs
from include.contract import Source, Table
from include.lake import duckdb_session as duck
from include.lake import merge
from include.lake import tables as lake
from include.lake.integrity import blamed
from include.ledger.builds import Build

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """A table that holds what follows from its inputs.

    Attributes:
        engine: what built it.
        version: the version of the lake that holds it.
        rows: how many it holds.
        digest: of all its rows.
        went_on: whether only what changed since its base was computed.
    """

    engine: str
    version: int
    rows: int
    digest: str
    went_on: bool


def keep_up(
    table: Table,
    inputs: Inputs,
    base: Build | None,
    horizon: date,
    sources: Mapping[str, Source],
    make: Callable[[Mapping[str, Sequence[str]], Path], Any],
) -> Kept:
    """Build what of a table may have changed since its last build, and commit what did.

    Args:
        table: the table, whole or rebuilt by a column.
        inputs: what the build reads.
        base: the build that made the table's latest version, if it may be gone on from.
        horizon: the last whole business day that the table is to cover.
        sources: the shop's sources.
        make: turns files of the inputs, by parameter, into files of the table in a folder, as
            ``transforms.build.build`` gives them.

    Raises:
        lake.Damaged: when an input cannot be read. What there is of the table itself is written over then.
    """
    try:
        return _bring_up(table, inputs, base, horizon, sources, make)
    except lake.Damaged as damaged:
        if (damaged.layer, damaged.table) != (table.schema, table.name):
            raise
        _log.warning("%s; it is built anew", damaged)
    return _bring_up(table, inputs, None, horizon, sources, make, unseen=True)


def _bring_up(
    table: Table,
    inputs: Inputs,
    base: Build | None,
    horizon: date,
    sources: Mapping[str, Source],
    make: Callable[[Mapping[str, Sequence[str]], Path], Any],
    *,
    unseen: bool = False,
) -> Kept:
    """Do so once; ``unseen``: without a look at what is there."""
    with blamed(), lake.scratch(table.schema, table.name) as folder, duck.session() as connection:
        within = "true"
        if base and incremental.find_touched(connection, table, inputs, base, horizon, sources):
            within = incremental.within(table, base, horizon)
            files = incremental.cut(connection, table, base, horizon, folder / "inputs")
        else:
            base, files = None, inputs.all_files
        made = make(files, folder)
        key = [table[name].lake_name for name in table.primary_key]
        columns = made.table.lake_columns
        rows = duck.relation([str(file) for file in made.files], columns)
        done = merge.commit(connection, table.schema, table.name, columns, key, rows, within, unseen=unseen)
        digest = digest_after(base.digest, done.changes, made.table) if base else digest_of(made.files, made.table)
    return Kept(made.engine, done.version, done.rows, digest, base is not None)
