"""The first business day of the shop: no run is for a day before it."""

from __future__ import annotations

from datetime import date

from include.contract.types import day_of
from include.lake import duckdb_session as duck
from include.lake.rows import rows as stored_rows
from include.ledger import copies
from include.pipeline.run_request import WrongRequest
from include.settings import settings
from include.sources import lake_sources


def first_day(run_id: str) -> date | None:
    """The day of the shop's first accepted order, movement or refund of no line, in a run's copy; None without any."""
    return copies.first_day(run_id) or find_first_day(run_id)


def find_first_day(run_id: str) -> date | None:
    """Find that day in the lake, and enter it in the ledger."""
    clean = copies.clean_versions(run_id)
    days: list[int] = []
    with duck.session() as connection:
        for name, source in lake_sources(settings().sources).items():
            if source.begins and source.opens_calendar and name in clean:
                rows = stored_rows("clean", name, source.lake_columns, clean[name])
                found = connection.execute(f"select min({source.begins}) from {rows}").fetchone()
                days += [int(found[0])] if found and found[0] is not None else []
    first = day_of(min(days)) if days else None
    copies.record_first_day(run_id, first)
    return first


def refuse_before(night: date, first: date | None) -> None:
    """Refuse a run for a day on which the shop had neither orders nor stock: its slices would be of nothing.

    Raises:
        WrongRequest: naming both days.
    """
    if first and night < first:
        raise WrongRequest(f"{night} is before the shop's first day, {first}")
