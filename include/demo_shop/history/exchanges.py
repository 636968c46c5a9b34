"""Exchanges: a line of a delivered order comes back, and another product goes out in its place, in the same order.

Two customers of a day exchange with each other, so to speak: on one later day each sends back a unit of what the other
then gets. So the shelves hold as much for sale as without them, and the rest of the past is what it was.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from include.demo_shop.history import columns as to
from include.demo_shop.history.article_numbers import ArticleNumbers
from include.demo_shop.history.calendar import HOUR, SECOND, Calendar, Ints
from include.demo_shop.history.catalogue import Assortment
from include.demo_shop.history.names import CARRIERS, WAREHOUSES
from include.demo_shop.history.orders import INCLUDES_TAX, NEVER, Fates, Prices, in_currency, on_price_tag
from include.demo_shop.history.payments import Payments, captured_at
from include.demo_shop.history.stock import Kind, Movements
from include.demo_shop.money import CURRENCIES

_PAIRS: Final = 0.006  # of exchanges, per order
_LATEST: Final = 10  # days after both orders arrived


@dataclass(frozen=True)
class Exchanges:
    """Lines of one unit that were exchanged: equally long columns; instants in µs since 1970 UTC.

    Attributes:
        line: the line that came back, as an index into the day's lines.
        order: index into the day's orders.
        back_at: when it came back, and its money was given back.
        cell: the shelf of the new line.
        day: the day index of the exchange.
        sold_at, shipped_at, delivered_at: of the new line; NEVER where that is not in the history.
        paid_at: when the difference is paid, or paid back; the same.
        unit_price, unit_cost: of the new line, without tax, in smallest units of the order's currency.
        currency: index into CURRENCIES.
        refunded: given back for the old line, before tax, in the same.
        taxed: what the order's tax is more by.
    """

    line: Ints
    order: Ints
    back_at: Ints
    cell: Ints
    day: Ints
    sold_at: Ints
    shipped_at: Ints
    delivered_at: Ints
    paid_at: Ints
    unit_price: Ints
    unit_cost: Ints
    currency: Ints
    refunded: Ints
    taxed: Ints

    def take(self, which: NDArray[np.bool_] | Ints) -> Exchanges:
        """Some of them."""
        return Exchanges(*(getattr(self, column.name)[which] for column in fields(self)))

    @property
    def updated_at(self) -> Ints:
        """When the order was last written for it."""
        arrived, left = (np.where(at < NEVER, at, self.sold_at) for at in (self.delivered_at, self.shipped_at))
        return np.maximum(arrived, left)

    def of_order(self, prices: Prices) -> Prices:
        """What the day's orders cost with the new lines."""
        subtotal, tax, total = prices.subtotal.copy(), prices.tax.copy(), prices.total.copy()
        subtotal[self.order] += self.unit_price
        tax[self.order] += self.taxed
        total[self.order] += self.unit_price + self.taxed
        return prices.with_amounts(subtotal, tax, total)

    def movements(self, cell: Ints, item: Ints, new_item: Ints) -> list[Movements]:
        """What they do to the shelves.

        Args:
            cell: the shelf of each of the day's lines: (lines,).
            item: the number of each of the day's lines: (lines,).
            new_item: the numbers of the new lines: (exchanges,).
        """
        one = np.ones(len(self.line), dtype=np.int64)
        return [
            Movements.of(Kind.RETURN, self.back_at, cell[self.line], one, item[self.line]),
            Movements.of(Kind.RESERVATION, self.sold_at, self.cell, one, new_item),
            Movements.of(Kind.SHIPMENT, self.shipped_at, self.cell, -one, new_item),
        ]

    def rows(self, first_order: int, item: Ints, new_item: Ints, labels: ArticleNumbers) -> dict[str, dict[str, Any]]:
        """Their rows by table, without a number of their own but the new lines'."""
        order, count = first_order + self.order, len(self.line)
        one, place = np.ones(count, dtype=np.int64), self.cell % len(WAREHOUSES)
        never = np.full(count, NEVER)
        items = {
            "order_item_id": to.whole(new_item),
            "order_id": to.whole(order),
            "product_id": to.whole(self.cell // len(WAREHOUSES) + 1),
            "warehouse_id": to.whole(place + 1),
            "quantity": to.whole(one),
            "unit_price": to.money(on_price_tag(self.unit_price, self.currency), self.currency),
            "unit_cost": to.money(self.unit_cost, self.currency),
            "updated_at": to.instants(self.sold_at),
            "discount": to.money(one, self.currency, one == 1),
            "sold_at": to.instants(self.sold_at),
            "discount_code": to.words(one, CARRIERS, one == 1),
            "sku": labels.on(self.day, self.cell // len(WAREHOUSES)),
            "price_includes_tax": to.flags(INCLUDES_TAX[self.currency]),
            "removed_at": to.instants(never, NEVER),
        }
        refunds = {
            "order_item_id": to.whole(item[self.line]),
            "quantity": to.whole(one),
            "amount": to.money(self.refunded, self.currency),
            "restocked": to.flags(one == 1),
            "refunded_at": to.instants(self.back_at),
            "updated_at": to.instants(self.back_at),
            "tax": to.money(self.refunded // 10, self.currency),
            "returned_at": to.instants(self.back_at),
        }
        more = self.unit_price + self.taxed - self.refunded - self.refunded // 10
        payments = {
            "order_id": to.whole(order),
            "kind": to.words((more < 0).astype(np.int64), ("capture", "refund")),
            "method": to.words(one * 0, ("card",)),
            "currency": to.words(self.currency, list(CURRENCIES)),
            "amount": to.money(np.abs(more), self.currency),
            "paid_at": to.instants(self.paid_at),
            "updated_at": to.instants(self.paid_at),
        }
        has_left = self.shipped_at < NEVER
        shipments = {
            "shipment_number": to.joined(to.text_of(order[has_left]), "-X"),
            "order_item_id": to.whole(new_item[has_left]),
            "warehouse_id": to.whole(place[has_left] + 1),
            "quantity": to.whole(one[has_left]),
            "carrier": to.words(one[has_left] * 0, CARRIERS),
            "shipped_at": to.instants(self.shipped_at[has_left]),
            "delivered_at": to.instants(self.delivered_at[has_left], NEVER),
            "updated_at": to.instants(
                np.where(self.delivered_at < NEVER, self.delivered_at, self.shipped_at)[has_left]
            ),
        }
        paid = {
            name: values.filter(to.flags((more != 0) & (self.paid_at < NEVER))) for name, values in payments.items()
        }
        return {"order_items": items, "refunds": refunds, "payments": paid, "shipment_items": shipments}


def exchanges(
    order: Ints,
    cell: Ints,
    quantity: Ints,
    prices: Prices,
    outcome: Fates,
    paid: Payments,
    is_quiet: NDArray[np.bool_],
    goods: Assortment,
    calendar: Calendar,
    rng: np.random.Generator,
) -> Exchanges:
    """Exchange lines of some orders that have arrived and that nothing was given back of.

    Args:
        order: index of each line's order, ascending: (lines,).
        cell: the shelf of each line: (lines,).
        quantity: units: (lines,).
        prices: of the day's orders; those with a discount on the whole order are left alone.
        outcome: what becomes of the orders.
        paid: what moved for them; who has not paid yet settles the difference after that.
        is_quiet: whether nothing was given back of an order: (orders,).
        goods: what the shop sells, and for how much on which day.
        calendar: the days of the history.
        rng: of this day's exchanges.
    """
    arrived = outcome.delivered_at
    own = np.bincount(order, weights=prices.line_discount, minlength=len(arrived)).astype(np.int64)
    may = is_quiet & (arrived < NEVER) & (prices.discount == own)
    line = np.flatnonzero(may[order] & (quantity == 1) & (prices.paid > 0))
    line = line[np.unique(order[line], return_index=True)[1]]  # one of each order
    line = rng.permutation(line)[: 2 * int(rng.binomial(len(arrived), _PAIRS))]
    line = line[: len(line) // 2 * 2]
    other = line.reshape(-1, 2)[:, ::-1].ravel()

    ready = np.maximum(arrived[order[line]], arrived[order[other]])
    day = calendar.day_of(np.minimum(ready, calendar.end - 1)) + 1
    pairs = (len(line) // 2, 1)
    day += np.broadcast_to(rng.integers(0, _LATEST, pairs), (len(line) // 2, 2)).ravel()
    is_in_time = day < calendar.days
    day = np.minimum(day, calendar.days - 1)
    begin = calendar.starts[day]
    back_at = begin + rng.integers(9 * HOUR, 11 * HOUR, len(line)) // SECOND * SECOND
    sold_at = begin + rng.integers(12 * HOUR, 16 * HOUR, len(line)) // SECOND * SECOND
    shipped_at = sold_at + rng.integers(14 * HOUR, 40 * HOUR, len(line)) // SECOND * SECOND
    delivered_at = shipped_at + rng.integers(20 * HOUR, 80 * HOUR, len(line)) // SECOND * SECOND
    captured = captured_at(paid, len(arrived))[order[line]]
    product = cell // len(WAREHOUSES)
    currency, new = prices.currency[order[line]], product[other]
    price, cost = (in_currency(of_day[day, new], currency) for of_day in (goods.prices, goods.costs))
    net = (prices.subtotal - prices.discount)[order[line]]
    is_known = np.isin(order[line] * len(goods.skus) + new, order * len(goods.skus) + product)
    chosen = is_in_time & (goods.farewell[new] > day) & ~is_known
    chosen = np.repeat(chosen.reshape(-1, 2).all(axis=1), 2)

    def when(at: Ints) -> Ints:
        return np.where(at < calendar.end, at, NEVER)

    return Exchanges(
        line=line,
        order=order[line],
        back_at=back_at,
        cell=cell[other],
        day=day,
        sold_at=sold_at,
        shipped_at=when(shipped_at),
        delivered_at=when(delivered_at),
        paid_at=when(np.maximum(sold_at, np.minimum(captured, calendar.end) + HOUR)),
        unit_price=price,
        unit_cost=cost,
        currency=currency,
        refunded=prices.paid[line],
        taxed=(net + price + 5) // 10 - (net + 5) // 10,
    ).take(chosen)
