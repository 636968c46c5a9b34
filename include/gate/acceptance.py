"""Acceptance: unless the night is refused, accepted rows go into lake/clean and the others into lake/quarantine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import duckdb

from include.contract import Source
from include.gate.row_outcomes import counts_of, give_verdicts
from include.gate.tolerance import refuse
from include.lake import duckdb_session as duck
from include.lake import merge, orphans, writes
from include.lake import tables as lake
from include.lake.integrity import Damaged, must_be_readable
from include.lake.night_views import has_key, open_night
from include.ledger.copies import LayerVersions

_log = logging.getLogger(__name__)


def accept(
    sources: Mapping[str, Source],
    outcomes: Mapping[str, list[dict[str, Any]]],
    run: str,
    full: Mapping[str, bool],
    prove: Callable[[duckdb.DuckDBPyConnection, Source], None],
    approved: str | None = None,
    found: LayerVersions | None = None,
    begin: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, int]]:
    """Merge accepted rows into lake/clean and put rejected ones, whole, into lake/quarantine.

    Nothing is written unless the night may go on for every source.

    Args:
        sources: the shop's sources.
        outcomes: per source, how it did by its rules (``ledger.outcomes_of``).
        run: the run whose rows are tonight's.
        full: per source, whether this run read all of it.
        prove: compares what was written of a source with what the shop holds (``completeness.kept_proof``).
        approved: the figures beyond the tolerance that an operator approved (``tolerance.Excess``).
        found: the versions of both layers that this run's first try found; the latest where nothing is said. What that
            try has written since is no past to judge by: a row that it released is released by this one too.
        begin: called before anything is written.

    Returns:
        Per source: accepted, quarantined (both of the rows read tonight), released, recalled, clean_rows, held_rows,
        clean_version, held_version (see ``audit.source_counts``).

    Raises:
        Forgotten: when what waited at the gate is gone.
        Incomplete: when what was written is not what the shop holds.
        NightStopped: when a rule that stops was broken, or more than the tolerance would be in quarantine
            and nobody approved just that.
    """
    with duck.session() as connection:
        open_night(connection, sources, run, full, found)
        give_verdicts(connection, sources, run)
        counts = {name: counts_of(connection, source, full=full[name]) for name, source in sources.items()}
        refuse(connection, sources, outcomes, counts, approved)
        begin()
        for name, source in sources.items():
            counts[name] |= _write(connection, source, full=full[name])
        open_night(connection, sources, run, full)
        for source in sources.values():
            prove(connection, source)
    return counts


def empty_damaged(sources: Iterable[str]) -> None:
    """Empty the layers of sources that cannot be read: all rows are about to be read anew, and judged.

    Whoever calls it has the turn. Were the run to die then, the next one's proof would find that every row lacks.
    """
    for name in sources:
        for layer in ("clean", "quarantine"):
            try:
                must_be_readable(lake.files(layer, name))
            except Damaged as damaged:
                _log.warning("%s; it is emptied and read anew", damaged)
                writes.empty(layer, name)


def _write(connection: duckdb.DuckDBPyConnection, source: Source, *, full: bool) -> dict[str, int]:
    """Bring lake/clean and lake/quarantine of one source up to the verdict; gives the versions of both."""
    name = source.name
    columns = ", ".join(column.lake_name for column in source.lake_columns)
    judged = f"{has_key(source, 'row', f'verdict_{name}')} or {has_key(source, 'row', f'gone_{name}')}"
    accepted = f"(select {columns} from verdict_{name} where len(_broken) = 0)"
    version = merge.commit(
        connection, "clean", name, source.lake_columns, source.primary_key, accepted, "true" if full else judged
    ).version
    held = connection.execute(
        f"select {columns}, _unreadable, _broken, _amount_cents from verdict_{name} where len(_broken) > 0"
    )
    orphans.clear_table("quarantine", name)
    held_version = writes.replace("quarantine", name, held.to_arrow_reader(100_000))
    return {"clean_version": version, "held_version": held_version}
