"""Purchase orders: what the shop ordered of its suppliers, for the receipts of ``stock`` and beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from include.demo_shop.history import columns as to
from include.demo_shop.history.calendar import DAY, HOUR, MINUTE, Calendar, Ints
from include.demo_shop.history.names import WAREHOUSES
from include.demo_shop.history.orders import NEVER
from include.demo_shop.history.stock import Reorders

SUPPLIERS: Final = ("Nordhandel", "Maison Verte", "Atlantic Goods", "Kontor Elf")
_PROMISED_DAYS: Final = 7
_CASE: Final = 6
_SHORT, _REFUSED, _UNDATED = 0.04, 0.03, 0.05  # shares of lines: too few come, none come, nobody says when
_PATIENCE_DAYS: Final = 5  # at most, until what is missing is cancelled


@dataclass(frozen=True)
class Purchases:
    """Lines of purchase orders, as they stand at the end of the history: equally long columns.

    Attributes:
        cell: a product in a warehouse (``stock``).
        order, supplier: the number of the purchase order, an index into SUPPLIERS.
        quantity, received: units ordered, units that have come.
        ordered_at, expected_at, received_at, cancelled_at: µs since 1970 UTC; NEVER where that is not.
    """

    cell: Ints
    order: Ints
    supplier: Ints
    quantity: Ints
    received: Ints
    ordered_at: Ints
    expected_at: Ints
    received_at: Ints
    cancelled_at: Ints

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of purchase_order_lines, but for the keys and the cost."""
        events = [self.ordered_at, *(np.where(at < NEVER, at, 0) for at in (self.received_at, self.cancelled_at))]
        return {
            "purchase_order": to.joined("PO-", to.text_of(self.order)),
            "supplier": to.words(self.supplier, SUPPLIERS),
            "quantity": to.whole(self.quantity),
            "received": to.whole(self.received),
            "currency": to.words(np.zeros(len(self.cell), np.int64), ("EUR",)),
            "ordered_at": to.instants(self.ordered_at),
            "expected_at": to.instants(self.expected_at, NEVER),
            "received_at": to.instants(self.received_at, NEVER),
            "cancelled_at": to.instants(self.cancelled_at, NEVER),
            "updated_at": to.instants(np.max(events, axis=0)),
        }


def purchases(day: int, reordered: Reorders, calendar: Calendar, rng: np.random.Generator) -> Purchases:
    """The lines of an evening: one for each receipt to come, and a few that never come.

    Args:
        day: the index of the day.
        reordered: what will come.
        calendar: the days of the history.
        rng: of this day's purchases alone.
    """
    lines = len(reordered.cell)
    refused = np.flatnonzero(rng.random(lines) < _REFUSED)  # ordered a second time, in vain
    cell = np.concatenate([reordered.cell, reordered.cell[refused]])
    arrives = np.concatenate([reordered.arrives_at, np.full(len(refused), NEVER)])
    coming = np.concatenate([reordered.quantity, np.zeros(len(refused), np.int64)])
    is_refused = np.arange(len(cell)) >= lines
    is_short = (rng.random(len(cell)) < _SHORT) | is_refused
    evening = int(calendar.starts[day]) + 20 * HOUR
    supplier = cell // len(WAREHOUSES) % len(SUPPLIERS)
    promised = evening // DAY * DAY + _PROMISED_DAYS * DAY + 12 * HOUR
    waited = rng.integers(1, _PATIENCE_DAYS + 1, len(cell)) * DAY + rng.integers(0, 60, len(cell)) * MINUTE
    given_up_at = np.where(is_refused, evening, arrives) + waited
    is_given_up = is_short & (is_refused | (arrives < NEVER)) & (given_up_at < calendar.end)
    is_here = arrives < NEVER
    return Purchases(
        cell=cell,
        order=(day * len(WAREHOUSES) + cell % len(WAREHOUSES)) * len(SUPPLIERS) + supplier + 1,
        supplier=supplier,
        quantity=coming + is_short * _CASE,
        received=np.where(is_here, coming, 0),
        ordered_at=np.full(len(cell), evening),
        expected_at=np.where(rng.random(len(cell)) < _UNDATED, NEVER, promised),
        received_at=arrives,
        cancelled_at=np.where(is_given_up, given_up_at, NEVER),
    )
