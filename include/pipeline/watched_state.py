"""What the ledger says at one instant, as watching needs it: the latest runs and publications, and the last look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

from include.ledger import incidents, publications
from include.ledger.incidents import IncidentKind
from include.ledger.publications import Published
from include.ledger.runs import PUBLISH_NIGHT, Kind
from include.pipeline.run_request import day_before
from include.serve import DAG_ID, figures
from include.settings import settings

_LATEST: Final = 200  # publications that are looked at: three months of nights and features


@dataclass(frozen=True)
class State:
    """What the ledger says at one instant.

    Attributes:
        at: now.
        runs: the latest runs, rows of ``figures.runs``, the newest first.
        published: the latest publications, the newest first.
        looks: when incidents were first looked for, and last; None if never.
    """

    at: datetime
    runs: Sequence[Mapping[str, Any]]
    published: Sequence[Published]
    looks: tuple[datetime, datetime] | None

    @classmethod
    def read(cls, at: datetime) -> State:
        """Read it."""
        return cls(at, figures.runs(), publications.latest(_LATEST), incidents.looks())

    @cached_property
    def standing(self) -> date | None:
        """The last whole business day that readers have."""
        return next((one.horizon for one in self.published if one.kind not in (Kind.TABLES, Kind.REMOVAL)), None)

    def run(self, run_id: str | None) -> Mapping[str, Any] | None:
        """A run, if it is among the latest."""
        return next((one for one in self.runs if one["run_id"] == run_id), None)

    def run_of(self, night: date) -> Mapping[str, Any] | None:
        """The latest run of a night that was to publish it."""
        return next(
            (one for one in self.runs if (one["kind"], one["night"]) == (Kind.NIGHT, night) and not one["dry_run"]),
            None,
        )

    def first_published(self, night: date) -> Published | None:
        """The publication that showed readers a night, or a later one, first."""
        nights = [one for one in self.published if one.kind in PUBLISH_NIGHT and one.horizon >= night]
        return nights[-1] if nights else None

    def ended(self, kind: str, dag: str, night: date, since: datetime) -> Published | None:
        """The publication that ended an incident of a night since an instant; None while there is none."""
        for one in reversed(self.published):
            if one.published_at <= since:
                continue
            if kind == IncidentKind.FEATURES:
                ends = one.has_features and one.night == night
            elif dag == DAG_ID:
                ends = one.kind in PUBLISH_NIGHT and one.horizon >= night
            else:
                ends = one.dag == dag and one.night >= night
            if ends:
                return one
        return None

    def expected_before(self, instant: datetime) -> bool:
        """Whether anybody expected a night by then: it had been looked before, or a night had been run."""
        first = [run["started_at"] for run in self.runs] + [one.published_at for one in self.published]
        return min([*first, *(self.looks or ())[:1]], default=self.at) < instant


def last_night(at: datetime, moment: time) -> tuple[date, datetime]:
    """The last night whose moment, on the day after it, is over at an instant; and that moment."""
    night = day_before(at)
    if _on_the_day_after(night, moment) > at:
        night -= timedelta(days=1)
    return night, _on_the_day_after(night, moment)


def _on_the_day_after(night: date, moment: time) -> datetime:
    return datetime.combine(night + timedelta(days=1), moment, ZoneInfo(settings().timezone))
