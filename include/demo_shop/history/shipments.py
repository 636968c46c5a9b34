"""In which parcels a day's orders leave: one from every warehouse, some of them later, and some lines in two parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from include.demo_shop.history.calendar import HOUR, SECOND, Ints
from include.demo_shop.history.names import CARRIERS, WAREHOUSES
from include.demo_shop.history.orders import NEVER, Fates

_LATER: Final = 0.6  # share of second parcels that leave after the first
_IN_PARTS: Final = 0.03  # share of lines of two units or more of which one unit comes from the next warehouse
_SHARES: Final = np.array([0.7, 0.2, 0.1])  # of CARRIERS


@dataclass(frozen=True)
class Shipments:
    """Lines in parcels that left before the history ends: equally long columns; instants in µs since 1970 UTC.

    Attributes:
        line: index into the day's lines.
        warehouse: index into WAREHOUSES; an order has one parcel from each.
        quantity: units; 1 or more.
        carrier: index into CARRIERS.
        shipped_at, delivered_at: when; NEVER if it has not arrived.
    """

    line: Ints
    warehouse: Ints
    quantity: Ints
    carrier: Ints
    shipped_at: Ints
    delivered_at: Ints


def shipments(
    order: Ints, warehouse: Ints, quantity: Ints, outcome: Fates, end: int, rng: np.random.Generator
) -> Shipments:
    """Pack what leaves of a day's orders.

    The first parcel leaves when its order does, and the last arrives when its order does.

    Args:
        order: index of each line's order, ascending: (lines,).
        warehouse: index of each line's warehouse: (lines,).
        quantity: units: (lines,).
        outcome: what becomes of the orders.
        end: nothing happens at this instant or later.
        rng: of this day's parcels.
    """
    count, places = len(outcome.shipped_at), len(WAREHOUSES)
    line = np.arange(len(order))
    in_parts = line[(quantity > 1) & (rng.random(len(line)) < _IN_PARTS)]
    rest = quantity.copy()
    rest[in_parts] -= 1
    lines = np.concatenate([line, in_parts])
    units = np.concatenate([rest, np.ones(len(in_parts), dtype=np.int64)])
    place = np.concatenate([warehouse, (warehouse[in_parts] + 1) % places])

    first_line = np.searchsorted(order, np.arange(count))  # no order is without lines
    main = warehouse[first_line]
    shape = (count, places)
    is_main = np.arange(places) == main[:, None]
    is_used = np.zeros(shape, dtype=np.bool_)
    is_used[order[lines], place] = True
    left, arrived = outcome.shipped_at[:, None], outcome.delivered_at[:, None]
    # An order takes 18 hours or more to arrive, so a parcel that leaves within 16 hours is in time.
    wait = np.where(
        is_main | (rng.random(shape) >= _LATER), 0, rng.integers(HOUR // SECOND, 16 * HOUR // SECOND, shape)
    )
    shipped_at = np.where(left < NEVER, np.minimum(left, end) + wait * SECOND, NEVER)
    early = _before(arrived, shipped_at, rng.random(shape))
    is_last = shipped_at == np.where(is_used, shipped_at, -1).max(axis=1, keepdims=True)
    delivered_at = np.where(is_last | (arrived == NEVER), arrived, early)
    carrier = rng.choice(len(CARRIERS), shape, p=_SHARES)

    at = (order[lines], place)
    has_left = (shipped_at[at] < end) & (shipped_at[at] < NEVER)
    return Shipments(
        lines[has_left],
        place[has_left],
        units[has_left],
        carrier[at][has_left],
        shipped_at[at][has_left],
        delivered_at[at][has_left],
    )


def _before(arrived: Ints, left: Ints, share: NDArray[np.float64]) -> Ints:
    """An instant between the last third of a parcel's way and its order's arrival, in whole seconds."""
    way = np.where(arrived < NEVER, arrived - left, 0)
    return arrived - (way * share / 3).astype(np.int64) // SECOND * SECOND
