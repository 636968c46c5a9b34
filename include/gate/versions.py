"""The versions of products, customers, warehouses and what kits are made of: what rows said, and from which night on.

A shop has its rows of now. What a past day knew can only be told by who wrote it down: after every night, each accepted
row that says something else than its last version begins a new one, and a row that is in neither layer any more ends.
A row in quarantine changes nothing: its last accepted version holds until another is accepted.

What a night finds held on the last day that was over at its snapshot, whatever day the night is of: one that runs
days late reads the shop as it is by then, and leaves its own day what earlier snapshots said of it. A later snapshot
of the same day takes the place of the earlier. And what a day said stays once a night has published it: whatever is
found later holds from the first unpublished day on. So a night may be retried, or run again, and ends in the same
versions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from include.contract import Source
from include.contract.source import BEGINNING
from include.contract.types import day_number
from include.lake import merge
from include.lake import tables as lake
from include.lake.night_views import has_key, lacks_key, same_key
from include.lake.rows import lacking, rows_of


@dataclass(frozen=True)
class FoundOn:
    """From which days on holds what a night finds, as day numbers.

    Attributes:
        new: from when on a row holds that had no version: the first day that no night has published. Not one that
            joins others, as a component joins its kit: that is a change of the kit.
        changed: from when on a changed row holds what it says now, and one that is gone does not: the last day that was
            over at the snapshot, or the night, or the first unpublished day, whichever is latest.
    """

    new: int
    changed: int

    @classmethod
    def night(cls, night: date, published: date | None, whole_day: int) -> FoundOn:
        """What the run of a night finds.

        Args:
            night: its business day.
            published: the last business day that a night has published; None before the first.
            whole_day: the last business day that was over at its snapshot, as a day number.
        """
        first = day_number(published + timedelta(days=1) if published else night)
        return cls(first, max(first, day_number(night), whole_day))


ALWAYS = FoundOn(BEGINNING, BEGINNING)
_DAYS = frozenset({"valid_from", "valid_to"})


def start(connection: duckdb.DuckDBPyConnection, sources: Iterable[Source]) -> None:
    """Begin the versions of sources that have none with the rows accepted before, before tonight's replace them.

    A lake of an earlier release has none. If its rows lack a column of the history, tonight's are the first.
    """
    for source in _with_history(sources):
        stored, accepted = lake.stored("clean", source.name), f"clean_{source.name}"
        is_whole = stored.files and not lacking(stored, source.versions.columns) - _DAYS
        if is_whole and _has_rows(connection, accepted) and not _has_versions(connection, source):
            _commit(connection, source, ALWAYS)


def keep(
    connection: duckdb.DuckDBPyConnection,
    sources: Iterable[Source],
    found_on: FoundOn,
    absent: Collection[str] = (),
) -> None:
    """Write the versions that the accepted rows begin and end to lake/clean, in one commit per source.

    Args:
        connection: the session of a night (``night_views``), opened after its rows were accepted.
        sources: the shop's sources.
        found_on: from when on holds what differs. What a source's first rows say held since ``BEGINNING``; but that
            none was read says that nothing is a kit, and what is one later is one from then on.
        absent: the sources that the shop has no statement for, of which an empty table says nothing.
    """
    for source in _with_history(sources):
        versions = source.versions
        _commit(connection, source, found_on if _has_begun(connection, source) else ALWAYS)
        if _is_of_parts(source) and source.name not in absent and not _has_begun(connection, source):
            columns, key, none = versions.lake_columns, versions.primary_key, versions.name
            merge.commit(connection, "clean", versions.name, columns, key, none, overwrite=True)


def _with_history(sources: Iterable[Source]) -> Iterator[Source]:
    return (source for source in sources if source.history)


def _is_of_parts(source: Source) -> bool:
    """Whether its rows with the same first key column are one thing together, as the components of a kit are."""
    return len(source.primary_key) > 1


def _has_begun(connection: duckdb.DuckDBPyConnection, source: Source) -> bool:
    """Whether versions are kept already: there are some, or a second commit says of parts that there were none."""
    return _has_versions(connection, source) or (
        _is_of_parts(source) and (lake.version("clean", source.versions.name) or 0) > 0
    )


def _has_versions(connection: duckdb.DuckDBPyConnection, source: Source) -> bool:
    versions = source.versions
    return _has_rows(connection, rows_of(lake.stored("clean", versions.name), versions.lake_columns))


def _has_rows(connection: duckdb.DuckDBPyConnection, relation: str) -> bool:
    return connection.execute(f"select 1 from {relation} limit 1").fetchone() is not None


def _commit(connection: duckdb.DuckDBPyConnection, source: Source, found_on: FoundOn) -> None:
    """Commit what is known of a source's versions before the day of what is found, and what the accepted rows add."""
    versions, name = source.versions, source.name
    stored = lake.stored("clean", versions.name)
    said = [source[one].lake_name for one in source.history]
    # A column that the versions lack said always what it says now: nobody knows better, and nothing has changed.
    unknown = lacking(stored, versions.lake_columns)
    key, now_key = (", ".join(f"{row}.{one}" for one in source.primary_key) for row in ("row", "now"))
    known = has_key(source, "now", "earlier")
    if _is_of_parts(source):
        whole = source.primary_key[0]
        known = f"{known} or now.{whole} in (select {whole} from earlier)"
    connection.execute(
        f"""
        create or replace temp table {versions.name} as
        with
            now as (
                select {", ".join((*source.primary_key, *said))} from clean_{name}
            ),
            earlier as (
                select
                    {key},
                    row.valid_from,
                    case when row.valid_to < {found_on.changed} then row.valid_to end as valid_to,
                    {", ".join(f"{'now' if one in unknown else 'row'}.{one}" for one in said)}
                from {rows_of(stored, versions.lake_columns)} as row
                left join now on {same_key(source, "now", "row")}
                -- A key of another type than before, which it cannot be: nobody can say whose version that was.
                where row.valid_from < {found_on.changed}
                    and {" and ".join(f"row.{one} is not null" for one in source.primary_key)}
            ),
            holding as (
                select * from earlier where valid_to is null
            ),
            ended as (
                select {key}
                from holding as row
                left join now on {same_key(source, "now", "row")}
                where {" or ".join(f"row.{one} is distinct from now.{one}" for one in said)}
                    or {lacks_key(source, "row", "now")}
            ),
            over as (
                select * from ended as row
                where {has_key(source, "row", "now")} or {lacks_key(source, "row", f"held_{name}")}
            )
        select
            row.* replace (
                case
                    when row.valid_to is null and {has_key(source, "row", "over")} then {found_on.changed}
                    else row.valid_to
                end as valid_to
            )
        from earlier as row
        union all by name
        select
            {now_key},
            case when {known} then {found_on.changed} else {found_on.new} end as valid_from,
            {", ".join(f"now.{one}" for one in said)}
        from now
        where {lacks_key(source, "now", "holding")} or {has_key(source, "now", "over")}
        """
    )
    merge.commit(connection, "clean", versions.name, versions.lake_columns, versions.primary_key, versions.name)
