"""Medusa's amounts added up, by order and by day, and compared with ours within the stated rounding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from include.contract.currency import decimals_of
from tests.pipeline.medusa_says import Line, Medusa, Worth


@dataclass
class Sum:
    """Amounts of Medusa's added up, and how many of ours are rounded: one for each but 0, or as many as is said."""

    amount: Decimal = Decimal(0)
    roundings: int = 0

    def add(self, amount: Decimal, roundings: int = 1) -> None:
        """One more amount."""
        self.amount += amount
        self.roundings += roundings if amount else 0

    def is_told(self, ours: Decimal, currency: str) -> bool:
        """Whether ours is it, within half of the currency's smallest unit for each rounding."""
        within = self.roundings * Decimal("0.5").scaleb(-decimals_of(currency))
        return abs(ours - self.amount) <= within + Decimal("1e-9")  # Medusa's own are floating


@dataclass
class Sums:
    """What is expected, by key and figure; what is compared with nothing is expected to be 0."""

    sums: dict[tuple[Any, str], Sum] = field(default_factory=lambda: defaultdict(Sum))

    def add(self, key: Any, figure: str, amount: Decimal, roundings: int = 1) -> None:
        """One more amount of a figure."""
        self.sums[key, figure].add(amount, roundings)

    def missed(self, ours: dict[tuple[Any, str], Decimal], currency: Callable[[Any], str]) -> dict[Any, Any]:
        """Every figure of ours that is another one: ours, and Medusa's."""
        assert len(ours) > 0
        keys = ours.keys() | self.sums.keys()
        pairs = {key: (ours.get(key, Decimal(0)), self.sums.get(key, Sum())) for key in keys}
        return {key: (one, other) for key, (one, other) in pairs.items() if not other.is_told(one, currency(key[0]))}


def of_days(says: Medusa, not_paid_back: Collection[int]) -> Sums:
    """What Medusa's figures of orders come to by day and currency: those of ``daily_sales``, and ``refunds``.

    A line is of the day of its order or of its addition; what came back or was taken out, of the day of that; shipping,
    and the tax that is its order's, of the order's day; money, of the day it was paid back. A void order is of none.

    Args:
        says: what Medusa says.
        not_paid_back: numbers of the orders of which something came back that nobody paid back.
    """
    expected = Sums()
    for key, order in says.orders.items():
        if order.is_cancelled:
            continue
        placed, back = (order.ordered_on, order.currency), says.came_back(key)
        _add(expected, placed, "shipping", order.shipping, 2)
        _add(expected, placed, "tax", order.tax + back.tax)
        for name in says.of_order[key]:
            line = says.lines[name]
            _add_line(expected, placed, line, says.sold(key, name))
            for day, units in line.received if order.number in not_paid_back else ():
                expected.add((day, order.currency), "refunds", line.worth(units).net + line.worth(units).tax, 2)
        for moved in says.moved:
            if (moved.order_id, moved.kind) == (key, "refund"):
                at = (moved.day, moved.currency)
                expected.add(at, "refunds", moved.amount, 2)
                if not back.gross:  # goodwill: what is paid back for a return is in what came back
                    expected.add(at, "total_sales", -moved.amount)
    return expected


def _add_line(expected: Sums, placed: tuple[date, str], line: Line, sold: Worth) -> None:
    """What a line sold for, and what of it came back or was taken out."""
    day, currency = placed
    on = (line.added_on or day, currency)
    _add(expected, on, "gross_sales", sold.gross)
    _add(expected, on, "discounts", sold.discount, sign=-1)
    if line.removed_on:
        _add(expected, (line.removed_on, currency), "net_sales", sold.net, 2, sign=-1)
    for came_on, units in line.received:
        worth = line.worth(units)
        _add(expected, (came_on, currency), "net_sales", worth.net, sign=-1)
        expected.add((came_on, currency), "total_sales", -worth.tax)


def _add(
    expected: Sums, key: tuple[date, str], figure: str, amount: Decimal, roundings: int = 1, *, sign: int = 1
) -> None:
    """One more amount of a figure, and of those that it is in."""
    goods = ("gross_sales", "discounts", "net_sales")
    if figure != "net_sales":
        expected.add(key, figure, amount, roundings)
    if figure in goods:
        expected.add(key, "net_sales", amount * sign, roundings)
    expected.add(key, "total_sales", amount * sign, roundings)
