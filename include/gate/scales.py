"""How figures of a kind are compared: on which scale two days differ alike, and what chance alone makes of few rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_CHANCE: Final = 4.5  # deviations of chance: about one in 150,000
_TOGETHER: Final = 0.01  # of a count, how much all rows come and go together: a tenth, squared


class Kind(StrEnum):
    """What kind of figure a measure is, which says how far two days may be apart."""

    COUNT = "count"  # of rows, or of what they name
    AMOUNT = "amount"  # money, in minor units of one currency
    MEAN = "mean"  # of a row
    RATIO = "ratio"  # of two sums of money in one currency
    SHARE = "share"  # of the rows
    MINUTES = "minutes"  # of a day


@dataclass(frozen=True)
class Value:
    """What a measure is on a day.

    Attributes:
        value: the figure.
        rows: how many rows it is of.
    """

    value: float
    rows: int


@dataclass(frozen=True)
class Scale:
    """How values of a kind are compared: on which scale two days differ alike, whatever their size.

    Attributes:
        to: from a value to the scale.
        back: from the scale to a value.
        least: the least deviation, on the scale.
        matters: the least difference of a value from the usual one that anybody wants to know of.
    """

    to: Callable[[Value], float]
    back: Callable[[float], float]
    least: float
    matters: Callable[[float], float]


def _log(plus: float, least: float, matters: Callable[[float], float]) -> Scale:
    return Scale(
        lambda one: math.log(max(one.value, 0) + plus),
        lambda at: max(0.0, math.exp(min(at, 700.0)) - plus),
        least,
        matters,
    )


def _of_count(one: Value) -> float:
    """As a logarithm for many rows, as a root for few: chance makes of 4 rows 8, and never of 4,000."""
    return math.asinh(math.sqrt(_TOGETHER * (max(one.value, 0) + 0.375)))


def _to_count(at: float) -> float:
    return max(0.0, math.sinh(min(max(at, 0.0), 300.0)) ** 2 / _TOGETHER - 0.375)


def _of_share(one: Value) -> float:
    """The angle whose squared sine it is: chance moves it as far for any share of as many rows."""
    return math.asin(math.sqrt(min(1.0, (one.value * one.rows + 0.375) / (one.rows + 0.75))))


def _to_share(at: float) -> float:
    return math.sin(min(max(at, 0.0), math.pi / 2)) ** 2


SCALES: Final[Mapping[Kind, Scale]] = {
    Kind.COUNT: Scale(_of_count, _to_count, 0.015, lambda usual: 0.2 * usual),
    Kind.AMOUNT: _log(1, 0.03, lambda usual: 0.2 * usual),
    Kind.MEAN: _log(1e-9, 0.01, lambda usual: 0.1 * usual),
    Kind.RATIO: _log(1e-9, 0.005, lambda usual: max(0.03 * usual, 0.002)),
    Kind.SHARE: Scale(_of_share, _to_share, 0.005, lambda _: 0.025),
    Kind.MINUTES: _log(30, 0.1, lambda _: 60.0),
}
# Of figures that may be negative: a mean of units that come and go.
STRAIGHT: Final = Scale(lambda one: one.value, lambda at: at, 0.0, lambda usual: 0.1 * abs(usual))


def least_by_chance(expected: float, of: float) -> float:
    """The least number of rows that chance makes of an expected one, of so many."""
    low, high = 0, math.floor(expected)
    if high <= 0 or _chance(0.5, expected, of) < _CHANCE:
        return 0.0
    while low < high:  # the least number that is not too far off
        middle = (low + high) // 2
        low, high = (low, middle) if _chance(middle + 0.5, expected, of) < _CHANCE else (middle + 1, high)
    return float(low)


def most_by_chance(expected: float, of: float) -> float:
    """The most rows that chance makes of an expected number, of so many."""
    expected = max(expected, 0.5)
    most = of if math.isfinite(of) else 10 * expected + 100
    low, high = math.ceil(expected), math.floor(most)
    while low < high:  # the greatest number that is not too far off
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _chance(middle - 0.5, expected, of) < _CHANCE else (low, middle - 1)
    return float(low)


def _chance(rows: float, expected: float, of: float) -> float:
    """How many deviations of chance lie between a number of rows and the expected one: the root of the deviance."""
    others = 0.0
    if math.isfinite(of):
        rows, expected = min(rows, of), min(expected, of - 0.5)
        others = _deviance(of - rows, of - expected)
    return math.sqrt(max(0.0, 2 * (_deviance(rows, expected) + others)))


def _deviance(rows: float, expected: float) -> float:
    return (rows * math.log(rows / expected) if rows > 0 else 0.0) - rows + expected
