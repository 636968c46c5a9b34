"""The parts that are measured, and what came of each.

What decides how wide the limits are was chosen on the parts that are not ``reported``; the figures that the project
gives are of the others, which were looked at when nothing was changed any more; but for the quiet nights of the real
purchases, of which the whole year was looked at on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from include.local.embedded_postgres import Cluster
from tests.anomalies.incidents import IN_DEMO_SHOP, IN_REAL_PURCHASES, Incident
from tests.anomalies.measuring import FORTNIGHT, Night, year
from tests.anomalies.shops import Shop

_DAYS: Final = 400
_FIRST_WEEKS: Final = 28  # of nights that can be judged: nothing is planted in them
_REAL: Final = Shop("complete_journey", 0, date(2017, 12, 31), "America/New_York")


@dataclass(frozen=True)
class Part:
    """Days of a shop, and what is planted on some of them.

    Attributes:
        shop: the shop.
        first: the first day that is judged, where enough is known by then.
        last: the last.
        incidents: what is planted, each on a day of its own.
        reported: whether its figures are given; else it is what the limits were chosen on.
        seed: which days are drawn for the incidents.
    """

    shop: Shop
    first: date
    last: date
    incidents: tuple[Incident, ...]
    reported: bool
    seed: int = 11

    @property
    def begins(self) -> date:
        """The first day of the shop's past."""
        return self.shop.last_day - timedelta(days=(_DAYS if self.shop.seed else 365) - 1)


def _simulated(seed: int, last_day: date, *, reported: bool, planted: bool = True) -> Part:
    shop = Shop("demo_shop", seed, last_day, "Europe/Berlin")
    first = last_day - timedelta(days=_DAYS - 1)
    return Part(shop, first, last_day, IN_DEMO_SHOP if planted else (), reported)


PARTS: Final = (
    _simulated(1, date(2026, 10, 31), reported=False),
    Part(_REAL, date(2017, 1, 1), date(2017, 6, 30), IN_REAL_PURCHASES, reported=False),
    _simulated(2, date(2026, 3, 31), reported=True),
    _simulated(3, date(2025, 12, 31), reported=True, planted=False),
    Part(_REAL, date(2017, 7, 1), date(2017, 12, 31), IN_REAL_PURCHASES, reported=True),
)


@dataclass(frozen=True)
class Outcome:
    """What came of a part.

    Attributes:
        part: which.
        quiet: its nights on which nothing was planted.
        planted: those after an incident.
    """

    part: Part
    quiet: Sequence[Night]
    planted: Sequence[Night]

    @property
    def alarms(self) -> list[Night]:
        """Quiet nights that would have told somebody of something."""
        return [night for night in self.quiet if night.found]

    @property
    def per_fortnight(self) -> float:
        """How many of them there are in a fortnight."""
        return FORTNIGHT * len(self.alarms) / max(len(self.quiet), 1)

    @property
    def found(self) -> int:
        """How many incidents their first night finds."""
        return sum(bool(night.found) for night in self.planted)

    def page(self) -> str:
        """All of it."""
        nights, reported = len(self.quiet), self.part.reported
        judged = sum(night.judged for night in self.quiet) / max(nights, 1)
        unusual = f"{len(self.alarms)} of {nights} quiet nights found something: {self.per_fortnight:.2f} a fortnight"
        lines = [
            f"{self.part.shop.title}, {self.part.first} to {self.part.last}{'' if reported else ' (to choose by)'}",
            f"  {unusual}; {judged:.0f} figures a night were compared",
            *(f"    {night.line()}" for night in self.alarms),
            f"  {self.found} of {len(self.planted)} incidents were found the first night",
            *(f"    {'found ' if night.found else 'missed'} {night.line()}" for night in self.planted),
        ]
        return "\n".join(lines) + "\n\n"

    @staticmethod
    def summary(outcomes: Sequence[Outcome]) -> str:
        """The figures of several parts together."""
        found = sum(one.found for one in outcomes)
        planted = sum(len(one.planted) for one in outcomes)
        worst = max(one.per_fortnight for one in outcomes)
        return f"{found} of {planted} incidents were found; at most {worst:.2f} false alarms a fortnight\n"


def measured(part: Part, folder: Path, cluster: Callable[[], Cluster]) -> Outcome:
    """Measure a part.

    Args:
        part: which.
        folder: where the shops' lakes are kept.
        cluster: starts a Postgres, or gives one that runs; called only where a lake is to be filled.
    """
    with part.shop.open(folder, cluster), year(part.begins, part.shop.last_day) as days:
        quiet = days.quiet(part.first, part.last)
        # Incidents are for nights that can be judged: the first weeks of a shop have too little past.
        start = quiet[_FIRST_WEEKS].day if len(quiet) > _FIRST_WEEKS and part.first == part.begins else part.first
        planted = days.planted(part.incidents, start, part.last, part.seed) if part.incidents else []
    return Outcome(part, quiet, planted)
