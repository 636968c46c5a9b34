"""The publication history of a feature set: the slices of every day, in every version that readers have seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from deltalake.exceptions import DeltaError

from include.contract.types import day_number
from include.lake import tables as lake
from include.lake.rows import scales
from include.ledger import publications
from include.settings import settings
from include.training.errors import MissingVersion, UnknownPublication
from include.training.wanted import Wanted


@dataclass(frozen=True)
class Slice:
    """One day's rows of a set, as published once.

    Attributes:
        as_of: the business day.
        known_at: when the rows were published.
        replaced_at: when a later publication changed them; None while they are current.
        lake_version: the version of the lake table that holds them.
    """

    as_of: date
    known_at: datetime
    replaced_at: datetime | None
    lake_version: int

    @property
    def as_of_at(self) -> datetime:
        """The instant at which the day ended."""
        return end_of(self.as_of)


def end_of(day: date) -> datetime:
    """The instant at which a business day ends, in UTC: midnight in the shop's time zone."""
    midnight = datetime.combine(day + timedelta(days=1), time(), tzinfo=ZoneInfo(settings().timezone))
    return midnight.astimezone(UTC)


def newest_publication() -> int:
    """The newest publication of features.

    Raises:
        UnknownPublication: when there is none.
    """
    found = publications.published_slices(None, None)
    if not found:
        raise UnknownPublication("no features are published yet: run the DAG features first")
    return max(publication for publication, *_ in found)


def published(one: Wanted, publication: int) -> list[Slice]:
    """Every version of every slice of a set up to a publication, ordered by day and then by ``known_at``.

    A publication that changed no row makes no new version.

    Raises:
        UnknownPublication: when the set had not been published by then.
    """
    entered = publications.published_slices(one.table.name, publication)
    if not entered:
        raise UnknownPublication(f"publication {publication} is before the first of {one.table.qualified_name}")
    versions: dict[date, list[tuple[datetime, int]]] = {}
    for _, night, published_at, version, changed in entered:
        of_day = versions.setdefault(one.table.rebuild.slice_of(night), [])
        if changed or not of_day:
            of_day.append((published_at, version))
    return [
        Slice(day, known_at, of_day[place + 1][0] if place + 1 < len(of_day) else None, version)
        for day, of_day in sorted(versions.items())
        for place, (known_at, version) in enumerate(of_day)
    ]


def files(one: Wanted, of: Slice) -> Sequence[str]:
    """The Parquet files that hold a slice; they may hold other days too.

    Raises:
        MissingVersion: when the lake no longer has that version.
    """
    table = one.table
    try:
        return lake.slice_files(table.schema, table.name, of.lake_version, one.slice_column, day_number(of.as_of))
    except DeltaError as error:
        raise MissingVersion(
            f"the lake no longer has version {of.lake_version} of {table.qualified_name}, published {of.known_at}"
        ) from error


def scale(one: Wanted, of: Slice) -> int:
    """What to multiply the amounts of a slice by: the shop had fewer decimals when it was made, or it is 1."""
    table = one.table
    held = lake.stored(table.schema, table.name, of.lake_version)
    return max(scales(held, one.columns).values(), default=1)
