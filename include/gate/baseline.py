"""What a measure of a day is expected to be, from earlier days alone. No I/O, no clock: numbers in, numbers out.

A day is expected to be like its weekday, at the level of the last days: the level is the median of the last ten days
after each was rid of its weekday, and a weekday's part is the median of what ten of them differed from the week around
them. The same is asked of every earlier day, and what it was off by says how far a day may be off: the median of that
(MAD, as a deviation), and never less than chance alone makes of so few rows. Medians, because an unusual day must not
make the next one usual.

Many measures are judged every night, so the limits are wide: five deviations, and wider than all but one of the earlier
days; a shop's sale once a month is nothing to be woken for. The first and the last day of a month may be off by what
they were off by in other months, and a day by what the same days were off by a year ago, where there is as much past.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from include.contract.types import day_of
from include.gate.scales import SCALES, STRAIGHT, Kind, Value, least_by_chance, most_by_chance

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

FEWEST_DAYS: Final = 28  # of past, before anything is judged
LONGEST_PAST: Final = 372  # days that can matter: the same days a year ago

_WEEKS: Final = 10  # that a weekday's part is taken from
_OF_A_WEEK: Final = 5  # days that are known of it, at least
_LEVEL: Final = 10  # days that the level is taken from
_RECENT: Final = 84  # days that say how far a day may be off
_DEVIATIONS: Final = 5.0
_BEYOND: Final = 1.15  # times what all but one of the recent days were off by
_FEWEST_ROWS: Final = 20  # behind a mean or a ratio; of fewer it says nothing
_YEAR: Final = (363, 364, 365, 366)  # days ago: the same weekday, the same date, and one to each side
_FEWEST_MONTHS: Final = 6
_MAD: Final = 1.4826  # of a normal distribution, its deviation by its MAD


@dataclass(frozen=True)
class Expected:
    """What a measure of a day is expected to be.

    Attributes:
        usual: what it would be on a day like others.
        low: the least that is no finding.
        high: the most that is no finding.
        days: how many earlier days say so.
        basis: which, in words.
    """

    usual: float
    low: float
    high: float
    days: int
    basis: str

    def excess(self, value: float) -> float:
        """How far a value is outside, as a multiple of what it may be off by; 1 or less: it is not."""
        allowed = self.high - self.usual if value > self.usual else self.usual - self.low
        off = abs(value - self.usual)
        return off / allowed if allowed else (math.inf if off else 0.0)

    def holds(self, value: float) -> bool:
        """Whether a value is within."""
        return self.low <= value <= self.high


class Baseline:
    """The past of one measure."""

    def __init__(self, kind: Kind, past: Mapping[int, Value]) -> None:
        """Take the past of a measure.

        Args:
            kind: its kind.
            past: by day number, what it was; days that are not to count are left out.
        """
        counted = kind in (Kind.MEAN, Kind.RATIO)
        known = {day: one for day, one in past.items() if not counted or one.rows >= _FEWEST_ROWS}
        signed = counted and any(one.value <= 0 for one in known.values())
        self._kind, self._scale = kind, STRAIGHT if signed else SCALES[kind]
        # By day, from the first that is known to as long after the last as anything is expected.
        self._first = min(known, default=0)
        places = max(known, default=0) - self._first + 1 + _LEVEL
        self._at, self._rows = np.full(places, np.nan), np.full(places, np.nan)
        for day, one in known.items():
            self._at[day - self._first], self._rows[day - self._first] = self._scale.to(one), one.rows
        self._predicted = _predictions(self._at)
        self._off = self._at - self._predicted

    def expect(self, day: int, rows: int) -> Expected | None:
        """What the measure is expected to be on a day, from the days before it.

        Args:
            day: the day.
            rows: how many rows its figure will be of.

        Returns:
            None where too few days, or rows, say anything.
        """
        place = day - self._first
        if not 0 < place < len(self._at) or np.isnan(self._predicted[place]):
            return None
        since = max(0, place - _RECENT)
        recent = np.flatnonzero(~np.isnan(self._at[since:place])) + since
        known = recent[~np.isnan(self._off[recent])]
        if len(recent) < FEWEST_DAYS or len(known) < FEWEST_DAYS // 2:
            return None
        if self._kind in (Kind.MEAN, Kind.RATIO) and rows < _FEWEST_ROWS:
            return None
        center = float(self._predicted[place])
        offs = self._off[known]
        months = self._months(day, _MAD * float(np.median(np.abs(offs))))
        if months:
            offs = offs - [months.get(_place_in_month(one + self._first), 0.0) for one in known.tolist()]
        spread = max(_MAD * float(np.median(np.abs(offs))), self._scale.least)
        spread *= self._for_fewer(rows, recent) * (1 + 6 / len(offs))
        basis = f"{len(recent)} days before"
        if shift := months.get(_place_in_month(day)):
            center, basis = center + shift, f"{basis}, and the same day of other months"
        up, down = (self._allowed(side, offs, spread) for side in (1, -1))
        year = [off for ago in _YEAR if (off := self._off_on(day - ago)) is not None]
        if year and max(year) > up / 2:
            up, basis = max(up, max(year) + up / 2), f"{basis}, and the same days a year ago"
        if year and -min(year) > down / 2:
            down, basis = max(down, down / 2 - min(year)), f"{basis}, and the same days a year ago"
        return self._in_values(center, up, down, rows, len(recent), basis)

    def _in_values(self, center: float, up: float, down: float, rows: int, days: int, basis: str) -> Expected:
        """The range as values, no narrower than what matters, or what chance makes of few rows."""
        usual, low, high = (self._scale.back(at) for at in (center, center - down, center + up))
        matters = self._scale.matters(usual)
        low, high = min(low, usual - matters), max(high, usual + matters)
        if self._kind is Kind.SHARE and rows:  # of none, the scale says a part of a row
            low, high = ((share * (rows + 0.75) - 0.375) / rows for share in (low, high))
        if self._kind is Kind.COUNT:
            low, high = min(low, least_by_chance(usual, math.inf)), max(high, most_by_chance(usual, math.inf))
        elif self._kind is Kind.SHARE and rows:
            low = min(low, least_by_chance(usual * rows, rows) / rows)
            high = max(high, most_by_chance(usual * rows, rows) / rows)
        if self._scale is not STRAIGHT:
            low = max(low, 0.0)
        return Expected(usual, low, min(high, 1.0) if self._kind is Kind.SHARE else high, days, basis)

    def _allowed(self, side: int, offs: Floats, spread: float) -> float:
        """How far a day may be off to one side: more than all recent days but one were."""
        return max(_DEVIATIONS * spread, _BEYOND * float(np.sort(side * offs)[-2]))

    def _for_fewer(self, rows: int, recent: Places) -> float:
        """By what the deviation grows on a day with fewer rows than others have."""
        if self._kind not in (Kind.MEAN, Kind.RATIO, Kind.SHARE):
            return 1.0
        return max(1.0, math.sqrt(float(np.median(self._rows[recent])) / max(rows, 1)))

    def _months(self, day: int, spread: float) -> Mapping[str | None, float]:
        """What the first and the last days of months were off by, where that is more than chance."""
        found: dict[str, list[float]] = {}
        for one, place in _month_days(day):
            if (off := self._off_on(one)) is not None:
                found.setdefault(place, []).append(off)
        middle = {place: float(np.median(offs)) for place, offs in found.items() if len(offs) >= _FEWEST_MONTHS}
        return {
            place: shift for place, shift in middle.items() if abs(shift) > 2 * spread / math.sqrt(len(found[place]))
        }

    def _off_on(self, day: int) -> float | None:
        """What a past day was off by; None where it, or what it would have been, is not known."""
        place = day - self._first
        off = self._off[place] if 0 <= place < len(self._off) else np.nan
        return None if np.isnan(off) else float(off)


def _predictions(at: Floats) -> Floats:
    """What each day would be if it were like others: from the days before it.

    Args:
        at: what each day was, on the scale; of a day that is not known, no number.
    """
    off_week = at - _medians(_shifted(at, range(-3, 4)), _OF_A_WEEK)
    weeks = _shifted(off_week, range(0, -7 * _WEEKS, -7))
    counted = np.sum(~np.isnan(weeks), axis=1)
    # Two weeks say little of a weekday, ten much.
    part = np.nan_to_num(_medians(weeks, 1)) * counted / (counted + 1)
    # The week around a day is over three days later: a weekday's part is known from its last day that is longer ago.
    ago = range(_LEVEL + 1)
    parts = np.nan_to_num(_shifted(part, [-4 - (days - 4) % 7 for days in ago]))
    level = _medians(_shifted(at, [-days for days in ago[1:]]) - parts[:, 1:], _LEVEL // 2)
    return np.asarray(level + parts[:, 0])


def _shifted(values: Floats, by: Iterable[int]) -> Floats:
    """For each place the values as many places away, side by side."""
    places = np.arange(len(values))[:, None] + np.array(list(by))
    inside = (places >= 0) & (places < len(values))
    return np.where(inside, values[np.clip(places, 0, len(values) - 1)], np.nan)


def _medians(rows: Floats, fewest: int) -> Floats:
    """The median of each row's numbers; none of a row with fewer than so many."""
    ordered, counted = np.sort(rows, axis=1), np.sum(~np.isnan(rows), axis=1)  # what is no number comes last
    each = np.arange(len(rows))
    middle = (ordered[each, np.maximum(counted - 1, 0) // 2] + ordered[each, np.maximum(counted, 1) // 2]) / 2
    return np.where(counted < fewest, np.nan, middle)


@cache
def _month_days(before: int) -> list[tuple[int, str]]:
    """The first and the last days of the months of a year."""
    return [(day, place) for day in range(before - LONGEST_PAST, before) if (place := _place_in_month(day))]


@cache
def _place_in_month(day: int) -> str | None:
    if day_of(day).day == 1:
        return "first"
    return "last" if day_of(day + 1).day == 1 else None
