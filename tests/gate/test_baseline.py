"""What a day is expected to be, from the days before it: weekdays, growth, sales, month-ends, a year ago, few rows."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import date

import pytest

from include.contract.types import day_number, day_of
from include.gate.baseline import FEWEST_DAYS, Baseline, Expected
from include.gate.scales import Kind, Value

DAY = day_number(date(2026, 3, 31))
_WEEK = (1.0, 0.9, 0.9, 1.0, 1.1, 1.3, 0.5)


def past(
    usual: Callable[[int], float], days: int = 120, noise: float = 0.05, rows: int = 1000, before: int = DAY
) -> dict[int, Value]:
    """Days before one, each about what is usual of it."""
    draw = random.Random(1)  # noqa: S311 - noise, no secrets
    return {day: Value(usual(day) * math.exp(draw.gauss(0, noise)), rows) for day in range(before - days, before)}


def by_weekday(day: int) -> float:
    return 1000 * _WEEK[day_of(day).weekday()]


def expected(kind: Kind, known: dict[int, Value], day: int = DAY, rows: int = 1000) -> Expected:
    found = Baseline(kind, known).expect(day, rows)
    assert found is not None
    return found


def test_a_day_is_expected_to_be_like_its_weekday() -> None:
    known = past(by_weekday, before=DAY + 7)
    for day in range(DAY, DAY + 7):
        found = Baseline(Kind.COUNT, {one: known[one] for one in known if one < day}).expect(day, 1000)
        assert found is not None
        assert found.usual == pytest.approx(by_weekday(day), rel=0.08)
        assert found.holds(by_weekday(day))
        assert not found.holds(by_weekday(day) / 2)
        assert not found.holds(by_weekday(day) * 2)
    sunday = next(day for day in range(DAY, DAY + 7) if day_of(day).weekday() == 6)
    assert not expected(Kind.COUNT, known, sunday).holds(by_weekday(sunday - 1))


def test_the_day_itself_and_later_ones_do_not_matter() -> None:
    known = past(by_weekday)
    before = expected(Kind.COUNT, known)
    assert expected(Kind.COUNT, known | {DAY: Value(0, 0), DAY + 1: Value(9e9, 1)}) == before


def test_one_bad_day_widens_nothing_and_a_second_one_does() -> None:
    known = past(by_weekday)
    quiet = expected(Kind.COUNT, known)
    once = expected(Kind.COUNT, known | {DAY - 20: Value(0, 0)})
    assert once.low == pytest.approx(quiet.low, rel=0.1)
    assert once.usual == pytest.approx(quiet.usual, rel=0.05)
    assert expected(Kind.COUNT, known | {DAY - 20: Value(0, 0), DAY - 40: Value(0, 0)}).low < quiet.low / 4


def test_growth_is_followed() -> None:
    growing = past(lambda day: by_weekday(day) * math.exp((day - DAY) / 60))
    assert expected(Kind.COUNT, growing).usual == pytest.approx(by_weekday(DAY), rel=0.15)


@pytest.mark.parametrize(("days", "judged"), [(FEWEST_DAYS - 1, False), (FEWEST_DAYS + 7, True)])
def test_with_too_little_past_nothing_is_said(days: int, judged: bool) -> None:
    assert (Baseline(Kind.COUNT, past(by_weekday, days)).expect(DAY, 1000) is not None) is judged


def test_after_days_without_any_night_nothing_is_said() -> None:
    assert Baseline(Kind.COUNT, past(by_weekday, before=DAY - 9)).expect(DAY, 1000) is None


def test_few_rows_are_chance() -> None:
    """Of four a day none may come, and ten; of four thousand not."""
    few = expected(Kind.COUNT, past(lambda _: 4, noise=0))
    assert (few.low, few.holds(10)) == (0, True)
    assert not few.holds(40)
    many = expected(Kind.COUNT, past(lambda _: 4000, noise=0))
    assert not many.holds(0)
    assert not many.holds(10_000)


def test_a_share_of_few_rows_is_chance_too() -> None:
    known = past(lambda _: 0.05, noise=0)
    assert expected(Kind.SHARE, known, rows=20).holds(0.25)
    assert not expected(Kind.SHARE, known, rows=2000).holds(0.25)
    assert expected(Kind.SHARE, known, rows=20).holds(0)
    assert not expected(Kind.SHARE, known, rows=2000).holds(0)


def test_what_never_was_is_found() -> None:
    """A third of a column that was always filled has no value."""
    found = expected(Kind.SHARE, past(lambda _: 0, noise=0), rows=120)
    assert not found.holds(1 / 3)
    assert found.holds(0.02)


def test_a_rate_that_never_moves_may_move_a_little() -> None:
    found = expected(Kind.RATIO, past(lambda _: 0.1, noise=0))
    assert found.holds(0.1005)
    assert not found.holds(0.12)


def test_a_mean_of_a_few_rows_says_nothing() -> None:
    known = past(lambda _: 50)
    assert Baseline(Kind.MEAN, known).expect(DAY, 5) is None
    assert not expected(Kind.MEAN, known).holds(5000)
    fewer, as_many = expected(Kind.MEAN, known, rows=100), expected(Kind.MEAN, known)
    assert fewer.high - fewer.low > 2 * (as_many.high - as_many.low)


def test_a_mean_may_be_negative() -> None:
    draw = random.Random(1)  # noqa: S311 - noise, no secrets
    found = expected(Kind.MEAN, {day: Value(draw.gauss(0, 1), 1000) for day in range(DAY - 120, DAY)})
    assert found.low < 0 < found.high
    assert not found.holds(-30)


def test_the_last_days_of_months_are_compared_with_each_other() -> None:
    """On the last day of every month three times as much is booked; on any other day that is unusual."""

    def booked(day: int) -> float:
        return 3000 if day_of(day + 1).day == 1 else 1000

    known = past(booked, days=400)
    at_the_end = expected(Kind.COUNT, known)
    assert at_the_end.holds(3000)
    assert not at_the_end.holds(1000)
    assert "other months" in at_the_end.basis
    assert not expected(Kind.COUNT, known, DAY - 10).holds(3000)
    assert expected(Kind.COUNT, past(booked, days=100)).usual < 1200  # three months say nothing yet


def test_the_same_days_a_year_ago_say_what_may_come() -> None:
    """A sale of last year widens what is expected on those days, upwards alone."""
    known = past(by_weekday, days=450)
    sale = known | {DAY - 364: Value(by_weekday(DAY) * 4, 1000)}
    assert not expected(Kind.COUNT, known).holds(by_weekday(DAY) * 4)
    found = expected(Kind.COUNT, sale)
    assert found.holds(by_weekday(DAY) * 4)
    assert "a year ago" in found.basis
    assert found.low == pytest.approx(expected(Kind.COUNT, known).low, rel=0.1)
    assert not expected(Kind.COUNT, sale, DAY - 10).holds(by_weekday(DAY - 10) * 4)


def test_how_far_it_is_outside() -> None:
    found = expected(Kind.COUNT, past(by_weekday))
    assert found.excess(found.usual) == 0
    assert found.excess(found.high) == pytest.approx(1)
    assert found.excess(found.low) == pytest.approx(1)
    assert found.excess(found.high + 2 * (found.high - found.usual)) == pytest.approx(3)
