"""How a day's orders are paid: at once, in part by gift card or credit, by invoice; and what is paid back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from include.demo_shop.history.calendar import DAY, HOUR, MINUTE, SECOND, Ints
from include.demo_shop.history.order_refunds import OrderRefunds
from include.demo_shop.history.orders import NEVER, NO_ORDER, Fates, Refunds

KINDS: Final = ("capture", "refund", "issue")
METHODS: Final = ("card", "gift_card", "store_credit", "on_account")

_CAPTURE, _REFUND, _ISSUE = range(len(KINDS))
_CARD, _GIFT_CARD, _STORE_CREDIT, _ON_ACCOUNT = range(len(METHODS))
_SHARES = np.array([0.89, 0.04, 0.02, 0.05])  # of orders: by card alone, in part by gift card or credit, by invoice
_BACK_AS_CREDIT = 0.10  # share of refunds that become credit
_GIFT_CARDS = 0.04  # gift cards that are sold, per order
_WORTH = np.array([1500, 2500, 5000])  # of a gift card or a credit, in smallest units


@dataclass(frozen=True)
class Payments:
    """Movements of money: equally long columns.

    Attributes:
        at: µs since 1970 UTC.
        order: index into the day's orders, or NO_ORDER.
        kind, method: index into KINDS and METHODS.
        amount: smallest units of the order's currency, with tax; 1 or more.
    """

    at: Ints
    order: Ints
    kind: Ints
    method: Ints
    amount: Ints

    @staticmethod
    def of(at: Ints, order: Ints | int, kind: int, method: Ints | int, amount: Ints) -> Payments:
        """Movements of one kind."""
        order, method = (np.broadcast_to(np.asarray(one, dtype=np.int64), at.shape) for one in (order, method))
        return Payments(at, order, np.full(len(at), kind, dtype=np.int64), method, amount)

    def kept(self, rows: NDArray[np.bool_]) -> Payments:
        """Some of them."""
        return Payments(self.at[rows], self.order[rows], self.kind[rows], self.method[rows], self.amount[rows])


def payments(
    ordered_at: Ints,
    total: Ints,
    outcome: Fates,
    has_failed: NDArray[np.bool_],
    given: Refunds,
    other: OrderRefunds,
    order_of_line: Ints,
    end: int,
    rng: np.random.Generator,
) -> Payments:
    """All that is paid for a day's orders, and paid back, until the history ends; and the gift cards sold that day.

    Args:
        ordered_at: when each order is placed: (orders,).
        total: what each comes to: (orders,).
        outcome: what becomes of the orders.
        has_failed: whether an order is cancelled because its payment failed: (orders,).
        given: refunds of the day's lines, without tax.
        other: what else is given back of the day's orders.
        order_of_line: index of each line's order: (lines,).
        end: nothing happens at this instant or later.
        rng: of this day's payments.
    """
    count = len(ordered_at)
    order = np.arange(count)
    way = rng.choice(len(METHODS), count, p=_SHARES)
    main = np.where(way == _ON_ACCOUNT, _ON_ACCOUNT, _CARD)
    seconds = rng.integers(1, 50, count) * SECOND
    invoice = ordered_at + 5 * DAY + (rng.random(count) * 35 * DAY).astype(np.int64) // SECOND * SECOND
    paid_at = np.where(way == _ON_ACCOUNT, invoice, ordered_at + seconds)
    paid_at = np.where(has_failed | (paid_at >= outcome.cancelled_at), NEVER, paid_at)
    part = np.where((way == _GIFT_CARD) | (way == _STORE_CREDIT), np.minimum(rng.choice(_WORTH, count), total), 0)
    captured = [
        Payments.of(paid_at, order, _CAPTURE, way, part),
        Payments.of(paid_at, order, _CAPTURE, main, total - part),
    ]
    back_at = np.where((outcome.cancelled_at < NEVER) & (paid_at < NEVER), outcome.cancelled_at + SECOND, NEVER)
    captured += [Payments.of(back_at, one.order, _REFUND, one.method, one.amount) for one in captured]

    of = order_of_line[given.line]
    as_credit = rng.random(len(of)) < _BACK_AS_CREDIT
    later = np.where(paid_at[of] < NEVER, np.maximum(given.at, paid_at[of] + HOUR), NEVER)
    method = np.where(as_credit, _STORE_CREDIT, main[of])
    returned = Payments.of(later, of, _REFUND, method, given.amount + given.amount // 10)

    about = np.where(other.is_known, other.order, NO_ORDER)
    after = np.where(paid_at[other.order] < NEVER, np.maximum(other.at, paid_at[other.order] + HOUR), NEVER)
    apart = Payments.of(
        np.where(other.is_known, after, other.at), about, _REFUND, _CARD, other.amount + other.shipping + other.tax
    )

    sold = ordered_at[rng.random(count) < _GIFT_CARDS] + MINUTE
    worth = rng.choice(_WORTH, len(sold))
    cards = [
        Payments.of(sold, NO_ORDER, _CAPTURE, _CARD, worth),
        Payments.of(sold, NO_ORDER, _ISSUE, _GIFT_CARD, worth),
    ]
    everything = _together([*captured, returned, apart, *cards])
    return everything.kept((everything.at < end) & (everything.amount > 0))


def captured_at(paid: Payments, orders: int) -> Ints:
    """When the last of each order's captures was, in µs since 1970 UTC; NEVER without one: (orders,)."""
    of = paid.kept((paid.order != NO_ORDER) & (paid.kind == _CAPTURE))
    last = np.zeros(orders, dtype=np.int64)
    np.maximum.at(last, of.order, of.at)
    return np.where(last > 0, last, NEVER)


def _together(parts: list[Payments]) -> Payments:
    return Payments(
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.order for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.method for part in parts]),
        np.concatenate([part.amount for part in parts]),
    )
