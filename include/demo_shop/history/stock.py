"""The warehouses' shelves, day by day: what can be sold, what arrives, what is lost.

A *cell* is a product in a warehouse: product index × warehouses + warehouse index. A day's sales draw only on what
was available when it began; what comes in during the day can be sold on the next. So at every instant reserved ≤
on hand, whatever the order of a day's events.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from include.demo_shop.history.calendar import HOUR, MINUTE, Calendar, Floats, Ints
from include.demo_shop.history.orders import NEVER


class Kind(IntEnum):
    """The kinds of movements, in the order in which those of one instant happen."""

    RECEIPT = 0
    RESERVATION = 1
    RELEASE = 2
    SHIPMENT = 3
    RETURN = 4
    ADJUSTMENT = 5


_MOVES_ON_HAND = np.array([1, 0, 0, 1, 1, 1])
_MOVES_RESERVED = np.array([0, 1, 1, 1, 0, 0])
NO_ITEM: Final = 0


@dataclass(frozen=True)
class Movements:
    """Some movements: equally long columns.

    Attributes:
        at: µs since 1970 UTC.
        cell, kind, quantity: where, a Kind, the signed effect in units.
        item: the order item's number, 0 if it belongs to none.
    """

    at: Ints
    cell: Ints
    kind: Ints
    quantity: Ints
    item: Ints

    @staticmethod
    def of(kind: Kind, at: Ints, cell: Ints, quantity: Ints, item: Ints | None = None) -> Movements:
        """Movements of one kind."""
        items = np.full(len(at), NO_ITEM, dtype=np.int64) if item is None else item
        return Movements(at, cell, np.full(len(at), int(kind), dtype=np.int64), quantity, items)

    @staticmethod
    def joined(parts: list[Movements]) -> Movements:
        """All of them, in the order in which they happen."""
        at = np.concatenate([part.at for part in parts])
        kind = np.concatenate([part.kind for part in parts])
        item = np.concatenate([part.item for part in parts])
        order = np.lexsort((item, kind, at))
        cell = np.concatenate([part.cell for part in parts])[order]
        quantity = np.concatenate([part.quantity for part in parts])[order]
        return Movements(at[order], cell, kind[order], quantity, item[order])

    def take(self, which: NDArray[np.bool_] | Ints) -> Movements:
        """Some of them."""
        return Movements(self.at[which], self.cell[which], self.kind[which], self.quantity[which], self.item[which])


@dataclass(frozen=True)
class Reorders:
    """What was ordered on an evening: equally long columns.

    Attributes:
        cell, quantity: where to, how many units.
        arrives_at: when they come, in µs since 1970 UTC; NEVER where that is not in the history.
    """

    cell: Ints
    quantity: Ints
    arrives_at: Ints

    @property
    def receipts(self) -> Movements:
        """Their receipts."""
        here = self.arrives_at < NEVER
        return Movements.of(Kind.RECEIPT, self.arrives_at[here], self.cell[here], self.quantity[here])


class Shelves:
    """All cells: what is on hand, what is reserved, what is on its way."""

    def __init__(self, expected: Floats, calendar: Calendar, rng: np.random.Generator) -> None:
        """Make empty shelves.

        Args:
            expected: units that customers want from each cell on a mean day: (cells,).
            calendar: the days of the history.
            rng: decides how well each cell is planned.
        """
        cells = len(expected)
        self._calendar = calendar
        self._planned = expected * rng.lognormal(0.0, 0.25, cells)  # the planner's forecast is off by so much
        self._on_order = np.zeros(cells, dtype=np.int64)
        self.on_hand = np.zeros(cells, dtype=np.int64)
        self.reserved = np.zeros(cells, dtype=np.int64)
        self.available = np.zeros(cells, dtype=np.int64)
        self.updated_at = np.zeros(cells, dtype=np.int64)
        self.reorder_point = np.zeros(cells, dtype=np.int64)
        self._level = 1.0

    def plan(self, day: int) -> None:
        """Set the reorder points for what was sold in the last four weeks."""
        recent = self._calendar.demand[max(0, day - 28) : day]
        self._level = float(recent.mean()) if len(recent) else float(self._calendar.demand[:28].mean())
        lead_time_demand = self._planned * self._level * 8.0
        self.reorder_point = np.ceil(lead_time_demand + 1.3 * np.sqrt(lead_time_demand)).astype(np.int64)

    def opening(self, cells: Ints, day: int, rng: np.random.Generator) -> Movements:
        """The first receipt of some cells, in the working hours of the day before `day`."""
        target = self.reorder_point[cells] + np.ceil(self._planned[cells] * self._level * 14.0).astype(np.int64)
        at = self._calendar.starts[day] - rng.integers(6 * HOUR, 16 * HOUR, len(cells))
        return Movements.of(Kind.RECEIPT, at, cells, target + 6)

    def sell(self, cells: Ints, quantities: Ints) -> NDArray[np.bool_]:
        """Which of these lines, in the order of their sale, can be had; they are taken."""
        order = np.argsort(cells, kind="stable")
        grouped = cells[order]
        running = np.cumsum(quantities[order])
        is_first = (
            np.concatenate([[True], grouped[1:] != grouped[:-1]]) if len(grouped) else np.zeros(0, dtype=np.bool_)
        )
        before = (running - quantities[order])[is_first]
        within = running - np.repeat(before, np.diff(np.append(np.flatnonzero(is_first), len(grouped))))
        sold = np.zeros(len(cells), dtype=np.bool_)
        sold[order] = within <= self.available[grouped]
        np.subtract.at(self.available, cells[sold], quantities[sold])
        return sold

    def count(self, day: int, rng: np.random.Generator) -> Movements:
        """The day's stock-takings: some cells are counted, a few units are missing or found."""
        counted = np.flatnonzero(rng.random(len(self.available)) < 1.5 / 365.25)
        drift = rng.choice(np.array([-3, -2, -1, -1, 1, 2]), len(counted))
        drift = np.maximum(drift, -self.available[counted])
        at = self._calendar.starts[day] + rng.integers(18 * HOUR, 22 * HOUR, len(counted))
        return Movements.of(Kind.ADJUSTMENT, at, counted, drift).take(drift != 0)

    def reorder(self, day: int, cells_in_use: NDArray[np.bool_], rng: np.random.Generator) -> Reorders:
        """What is ordered for the cells that ran low by the evening of `day`; some suppliers are very late."""
        low = np.flatnonzero(cells_in_use & (self.available + self._on_order < self.reorder_point))
        fortnight = np.ceil(self._planned[low] * self._level * 14.0).astype(np.int64)
        wanted = self.reorder_point[low] + fortnight - self.available[low] - self._on_order[low]
        quantity = -(-wanted // 6) * 6  # cases of six
        lead = np.clip(np.round(rng.normal(7.0, 2.0, len(low))), 2, 14) * np.where(rng.random(len(low)) < 0.06, 3, 1)
        arrival = day + lead.astype(np.int64)
        at_dock = rng.integers(6 * HOUR, 11 * HOUR, len(low)) // MINUTE * MINUTE
        self._on_order[low] += quantity
        at = self._calendar.starts[np.minimum(arrival, self._calendar.days)] + at_dock
        return Reorders(low, quantity, np.where(arrival < self._calendar.days, at, NEVER))

    def close(self, moved: Movements) -> None:
        """Enter the movements of a day, in the order in which they happened."""
        np.add.at(self.on_hand, moved.cell, moved.quantity * _MOVES_ON_HAND[moved.kind])
        np.add.at(self.reserved, moved.cell, moved.quantity * _MOVES_RESERVED[moved.kind])
        np.maximum.at(self.updated_at, moved.cell, moved.at)
        is_reordered = (moved.kind == Kind.RECEIPT) & (self._on_order[moved.cell] > 0)
        np.subtract.at(self._on_order, moved.cell[is_reordered], moved.quantity[is_reordered])
        self.available = self.on_hand - self.reserved


class Agenda:
    """Movements that will happen, by day."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._days: dict[int, list[Movements]] = {}

    def add(self, movements: Movements) -> None:
        """Enter movements into their days; what would happen after the history's end never does."""
        kept = movements.take(movements.at < self._calendar.end)
        days = self._calendar.day_of(kept.at)
        order = np.argsort(days, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(days[order])) + 1):
            if len(part):
                self._days.setdefault(int(days[part[0]]), []).append(kept.take(part))

    def take(self, day: int) -> Movements:
        """Everything of one day, in the order in which it happens; it is then off the agenda."""
        nothing = Movements.of(Kind.RECEIPT, *(np.zeros(0, dtype=np.int64) for _ in range(3)))
        return Movements.joined([nothing, *self._days.pop(day, [])])
