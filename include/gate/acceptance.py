"""Acceptance: unless the night is stopped, accepted rows go into lake/clean and the others into lake/quarantine.

Which versions of products, customers and warehouses begin and end with that goes into lake/clean too (``versions``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import duckdb

from include.contract import Source
from include.gate import versions
from include.gate.row_outcomes import counts_of, load_checked_rows
from include.gate.tolerance import stop_unless_allowed
from include.gate.versions import FoundOn
from include.lake import duckdb_session as duck
from include.lake import merge, orphans, writes
from include.lake import tables as lake
from include.lake.integrity import Damaged, must_be_readable
from include.lake.night_views import has_key, open_night
from include.lake.rows import with_decimals
from include.ledger.copies import LayerVersions

_log = logging.getLogger(__name__)


def accept(
    sources: Mapping[str, Source],
    outcomes: Mapping[str, list[dict[str, Any]]],
    run: str,
    full: Mapping[str, bool],
    prove: Callable[[duckdb.DuckDBPyConnection, Source], None],
    found_on: FoundOn,
    approved: str | None = None,
    found: LayerVersions | None = None,
    begin: Callable[[], None] = lambda: None,
    absent: Collection[str] = (),
    unusual: Sequence[str] = (),
) -> dict[str, dict[str, int]]:
    """Merge accepted rows into lake/clean and write rejected rows, with all their columns, to lake/quarantine.

    Nothing is written unless the night may go on for every source.

    Args:
        sources: the shop's sources.
        outcomes: per source, the outcome of each rule (``ledger.outcomes_of``).
        run: the run that tonight's rows belong to.
        full: per source, whether this run read the whole table.
        prove: compares what was written for a source with what the shop holds (``completeness.kept_proof``).
        found_on: from which days on holds what this night finds of products, customers and warehouses.
        approved: the figures that an operator approved (``tolerance.Excess``); None where nobody did.
        found: the versions of both layers that this run's first try found; by default the latest. A retry must not
            count from what the first try wrote: a row released by the first try is released by the retry too.
        begin: called before anything is written.
        absent: the sources that the shop has no statement for.
        unusual: the figures that wait for an approval too, as ``tolerance.find_excess`` was told.

    Returns:
        Per source: accepted, quarantined (both of the rows read tonight), released, recalled, clean_rows, held_rows,
        clean_version, held_version (see ``audit.source_counts``).

    Raises:
        Forgotten: when a file of the hand-off is gone.
        Incomplete: when what was written is not what the shop holds.
        NightStopped: when a rule that stops a night was broken, or when more rows than tolerated would be in
            quarantine and nobody approved exactly these.
    """
    with duck.session() as connection:
        open_night(connection, sources, run, full, found)
        load_checked_rows(connection, sources, run)
        counts = {name: counts_of(connection, source, full=full[name]) for name, source in sources.items()}
        stop_unless_allowed(connection, sources, outcomes, counts, approved, unusual)
        begin()
        versions.start(connection, sources.values())
        for name, source in sources.items():
            counts[name] |= _write(connection, source, full=full[name])
        open_night(connection, sources, run, full)
        for source in sources.values():
            prove(connection, source)
        versions.keep(connection, sources.values(), found_on, absent)
    return counts


def empty_damaged(sources: Mapping[str, Source]) -> None:
    """Empty the layers of sources that cannot be read, before all their rows are read and checked again.

    The caller holds the turn. If the run dies after this, the next run's proof finds that every row is missing.
    Versions that cannot be read are lost: the shop does not have them.
    """
    for name, source in sources.items():
        layers = [("clean", name), ("quarantine", name)]
        layers += [("clean", source.versions.name)] if source.history else []
        for layer, table in layers:
            try:
                must_be_readable(lake.files(layer, table))
            except Damaged as damaged:
                _log.warning("%s; it is emptied and read again", damaged)
                writes.empty(layer, table)


def _write(connection: duckdb.DuckDBPyConnection, source: Source, *, full: bool) -> dict[str, int]:
    """Write the outcome of one source's rows to lake/clean and lake/quarantine, and return the versions of both."""
    name = source.name
    columns = ", ".join(column.lake_name for column in source.lake_columns)
    decided = f"{has_key(source, 'row', f'checked_{name}')} or {has_key(source, 'row', f'gone_{name}')}"
    accepted = f"(select {columns} from checked_{name} where len(_broken) = 0)"
    version = merge.commit(
        connection, "clean", name, source.lake_columns, source.primary_key, accepted, "true" if full else decided
    ).version
    held = connection.execute(
        f"select {columns}, _unreadable, _broken, _amount_cents from checked_{name} where len(_broken) > 0"
    )
    orphans.clear_table("quarantine", name)
    held_version = writes.replace("quarantine", name, with_decimals(held.to_arrow_reader(100_000), source.lake_columns))
    return {"clean_version": version, "held_version": held_version}
