"""Lines that are added to an order after it was placed, and lines that are taken out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.demo_shop.history.calendar import DAY, HOUR, MINUTE, Ints
from include.demo_shop.history.names import WAREHOUSES
from include.demo_shop.history.orders import NEVER

_EDITED = 0.02  # share of orders to which a line is added later
_REDUCED = 0.01  # share of orders out of which a line is taken
_PLENTY = 10  # units that lie on a shelf when one of them is reserved for a few hours: nobody misses it


def additions(order: Ints, ordered_at: Ints, latest: Ints, rng: np.random.Generator) -> Ints:
    """When lines are added to their orders, µs since 1970 UTC; NEVER for one that is in it from the start: (lines,).

    In one order of fifty, the last of several lines is an afterthought of up to a day.

    Args:
        order: the order of each line, from 0 without gaps, ascending: (lines,).
        ordered_at: µs since 1970 UTC: (orders,).
        latest: the instant by which an order is edited no more: (orders,).
        rng: of this day.
    """
    is_last = np.append(order[1:] != order[:-1], True) if len(order) else np.zeros(0, dtype=np.bool_)
    is_alone = np.bincount(order, minlength=len(ordered_at)) < 2
    added_at = ordered_at + MINUTE + (rng.random(len(ordered_at)) * DAY).astype(np.int64)
    is_edited = (rng.random(len(ordered_at)) < _EDITED) & ~is_alone & (added_at < latest)
    return np.where(is_last & is_edited[order], added_at[order], NEVER)


@dataclass(frozen=True)
class Removals:
    """Lines of one unit that are taken out of their orders on the day on which they were placed: (removals,).

    Attributes:
        like: the line whose product, prices and order they have; they are from another warehouse.
        cell: the shelf on which the unit was reserved.
        at: when, in µs since 1970 UTC.
    """

    like: Ints
    cell: Ints
    at: Ints


def removals(
    order: Ints, cell: Ints, ordered_at: Ints, latest: Ints, available: Ints, rng: np.random.Generator
) -> Removals:
    """Take a line out of one order in a hundred; the orders' amounts are without them.

    Args:
        order: the order of each line, from 0 without gaps, ascending: (lines,).
        cell: the shelf of each line: (lines,).
        ordered_at: µs since 1970 UTC: (orders,).
        latest: the instant by which an order is edited no more, on the day on which it was placed: (orders,).
        available: units on each shelf at the end of the day: (shelves,).
        rng: of this day.
    """
    count = len(ordered_at)
    at = ordered_at + MINUTE + (rng.random(count) * 6 * HOUR).astype(np.int64)
    like = np.searchsorted(order, np.arange(count))  # the first line of each order
    first = cell[like] if count else cell
    other = first // len(WAREHOUSES) * len(WAREHOUSES) + (first + 1) % len(WAREHOUSES)
    chosen = (rng.random(count) < _REDUCED) & (at < latest)
    chosen &= (available[other] >= _PLENTY) & ~np.isin(
        np.arange(count) * len(available) + other, order * len(available) + cell
    )
    return Removals(like[chosen], other[chosen], at[chosen])
