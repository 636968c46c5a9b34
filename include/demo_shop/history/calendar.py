"""The days of the history: where each begins and ends, and how many orders it has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MICROSECOND: Final = 1
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_WEEK = np.array([1.02, 0.96, 0.94, 0.98, 1.10, 1.16, 0.84])  # Monday first
_HOURS = np.array([1, 1, 1, 1, 1, 2, 4, 7, 10, 12, 13, 13, 14, 12, 11, 11, 12, 14, 16, 18, 18, 15, 9, 4], dtype=float)
_PROMOTIONS = 0.04  # share of days on which more is bought, at a discount
_GROWTH_PER_YEAR = 1.25


@dataclass(frozen=True)
class Calendar:
    """The shop's business days, in its time zone.

    Attributes:
        starts: when each day begins and, last, when the final day ends: (days + 1,) µs since 1970 UTC.
        demand: how busy each day is, relative to the mean: (days,).
        is_promotion: whether a day is a sale: (days,).
    """

    starts: Ints
    demand: Floats
    is_promotion: NDArray[np.bool_]

    @property
    def days(self) -> int:
        """How many days there are."""
        return len(self.starts) - 1

    @property
    def end(self) -> int:
        """When the last day ends; nothing has happened after it. µs since 1970 UTC."""
        return int(self.starts[-1])

    def day_of(self, instants: Ints) -> Ints:
        """The index of the day on which each instant falls."""
        return np.searchsorted(self.starts, instants, side="right").astype(np.int64) - 1

    def instants(self, day: int, rng: np.random.Generator, count: int) -> Ints:
        """``count`` instants of a day, ascending, more of them in waking hours: µs since 1970 UTC."""
        begin, end = int(self.starts[day]), int(self.starts[day + 1])
        share = np.concatenate([[0.0], np.cumsum(_HOURS)]) / _HOURS.sum()
        hours = np.interp(np.sort(rng.random(count)), share, np.linspace(0.0, 1.0, len(share)))
        return np.minimum(begin + (hours * (end - begin)).astype(np.int64), end - SECOND)


def calendar(last_day: date, days: int, timezone: ZoneInfo, rng: np.random.Generator) -> Calendar:
    """The calendar of ``days`` days that ends with the last closed one."""
    first = last_day - timedelta(days=days - 1)
    dates = [first + timedelta(days=offset) for offset in range(days + 1)]
    midnights = [datetime(day.year, day.month, day.day, tzinfo=timezone) for day in dates]
    starts = np.array([int(midnight.timestamp()) * SECOND for midnight in midnights], dtype=np.int64)

    weekday = np.array([day.weekday() for day in dates[:-1]])
    year_day = np.array([day.timetuple().tm_yday for day in dates[:-1]], dtype=float)
    before_christmas = np.exp(-(((year_day - 340) / 14) ** 2))
    season = 1 + 0.12 * np.cos(2 * np.pi * (year_day - 350) / 365.25) + 0.7 * before_christmas
    growth = _GROWTH_PER_YEAR ** (np.arange(days) / 365.25)
    is_promotion = rng.random(days) < _PROMOTIONS
    noise = rng.lognormal(0.0, 0.08, days)
    demand = _WEEK[weekday] * season * growth * noise * np.where(is_promotion, 1.5, 1.0)
    return Calendar(starts, demand / demand.mean(), is_promotion)
