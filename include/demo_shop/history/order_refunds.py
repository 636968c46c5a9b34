"""What a day's orders get back beside their lines: shipping of returned orders, goodwill; and when units came back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.demo_shop.history.calendar import DAY, SECOND, Ints
from include.demo_shop.history.orders import NEVER, In, Prices, Refunds

REASONS = ("return", "goodwill")
_WITH_SHIPPING = 0.4  # share of orders with a return whose shipping goes back too
_BROKEN = 0.6  # share of refunded units that came back and were not restocked
_GOODWILL, _UNKNOWN = 0.02, 0.25  # share of delivered orders; of these, of whom nobody notes the order
_LEAST, _MOST = 100, 1_500  # goodwill, in smallest units of the currency


@dataclass(frozen=True)
class OrderRefunds:
    """Money that no line explains, of some orders: equally long columns, ascending by instant.

    Attributes:
        at: µs since 1970 UTC.
        order: index into the orders that were asked about.
        is_known: whether it is noted which order it is about.
        amount, shipping, tax: in smallest units of the order's currency.
        reason: index into REASONS.
    """

    at: Ints
    order: Ints
    is_known: NDArray[np.bool_]
    amount: Ints
    shipping: Ints
    tax: Ints
    reason: Ints


def order_refunds(
    delivered_at: Ints, prices: Prices, given: Refunds, order: Ints, end: int, rng: np.random.Generator
) -> OrderRefunds:
    """Give shipping back of some orders with a return, and a few others a little money.

    Args:
        delivered_at: of each order, or NEVER: (orders,).
        prices: of the orders.
        given: the refunds of their lines.
        order: the order of each line: (lines,).
        end: nothing happens at this instant or later.
        rng: of this day.
    """
    returned, first = np.unique(order[given.line], return_index=True)  # the first refund is the earliest
    paid = (prices.shipping - prices.shipping_discount)[returned]
    chosen = (rng.random(len(returned)) < _WITH_SHIPPING) & (paid > 0)
    kind = np.flatnonzero((delivered_at < NEVER) & (rng.random(len(delivered_at)) < _GOODWILL))
    later = delivered_at[kind] + (np.minimum(rng.exponential(5.0, len(kind)), 30.0) * DAY).astype(np.int64)
    is_noted = (prices.currency[kind] != In.EUR) | (rng.random(len(kind)) >= _UNKNOWN)  # what is of no order is in EUR
    amount = np.concatenate([np.zeros(int(chosen.sum()), np.int64), rng.integers(_LEAST, _MOST, len(kind))])
    shipping = np.concatenate([paid[chosen], np.zeros(len(kind), np.int64)])
    everything = OrderRefunds(
        at=np.concatenate([given.at[first][chosen], later // SECOND * SECOND]),
        order=np.concatenate([returned[chosen], kind]),
        is_known=np.concatenate([np.ones(int(chosen.sum()), np.bool_), is_noted]),
        amount=amount,
        shipping=shipping,
        tax=(amount + 5) // 10 + (shipping + 5) // 10,
        reason=np.repeat([0, 1], [int(chosen.sum()), len(kind)]),
    )
    by_instant = np.lexsort((everything.order, everything.at))
    kept = by_instant[everything.at[by_instant] < end]
    return OrderRefunds(
        everything.at[kept],
        everything.order[kept],
        everything.is_known[kept],
        everything.amount[kept],
        everything.shipping[kept],
        everything.tax[kept],
        everything.reason[kept],
    )


def returned_at(given: Refunds, rng: np.random.Generator) -> Ints:
    """When the units of each refund came back, in µs since 1970 UTC; NEVER where the customer kept them.

    What was restocked came back as the money went; some of the rest up to a day before, broken.
    """
    before = given.at - (rng.random(len(given.at)) * DAY).astype(np.int64) // SECOND * SECOND
    is_broken = rng.random(len(given.at)) < _BROKEN
    return np.where(given.restocked, given.at, np.where(is_broken, before, NEVER))
