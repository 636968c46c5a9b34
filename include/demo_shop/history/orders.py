"""A day's orders: what is in them, what they cost, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from include.demo_shop.history.calendar import DAY, HOUR, MINUTE, SECOND, Floats, Ints
from include.demo_shop.history.names import CANCELLATIONS, CHANNELS, CODES, GUESTS, PROMOTIONS
from include.demo_shop.money import CURRENCIES, FREE_SHIPPING_FROM, SHIPPING

NEVER = np.iinfo(np.int64).max
NO_ORDER = -1  # of money that moves for none
_LINES = np.array([0.13, 0.14, 0.16, 0.15, 0.13, 0.11, 0.08, 0.10])  # of orders with 1, 2, … 8 lines
_QUANTITIES = np.array([0.62, 0.23, 0.09, 0.04, 0.02])
MEAN_LINES = float((_LINES * np.arange(1, 9)).sum())
MEAN_QUANTITY = float((_QUANTITIES * np.arange(1, 6)).sum())
_DISCOUNTS = np.array([0, 5, 10, 15, 20])  # per cent
_DISCOUNT_SHARES = (np.array([0.74, 0.10, 0.10, 0.04, 0.02]), np.array([0.20, 0.10, 0.30, 0.20, 0.20]))
_USD = 0.05
_JPY, _KWD = 0.02, 0.01  # of the orders that are not in dollars
# In smallest units of each currency: a euro, and what amounts without tax are whole multiples of.
_RATES = np.array([int(one.rate / one.smallest) for one in CURRENCIES.values()])
_STEPS = np.array([int(one.step / one.smallest) for one in CURRENCIES.values()])
INCLUDES_TAX = np.array([one.includes_tax for one in CURRENCIES.values()])
_OFFERS, _OFFER = 0.04, 15  # share of lines with an offer of their own, per cent off
_SHIPPING, _FREE_FROM = (int(amount * 100) for amount in (SHIPPING, FREE_SHIPPING_FROM))
_FREE_CODES = 0.06  # share of orders with a code for free delivery
_CODE_SHARES, _PROMOTION_SHARES = (0.25, 0.35, 0.3, 0.1), (0.2, 0.6, 0.2)  # of discounts under each name
_ELSEWHERE = 0.08  # share of lines from another warehouse than the customer's own


class In(IntEnum):
    """The currencies, in the order of CURRENCIES."""

    EUR = 0
    USD = 1
    JPY = 2
    KWD = 3


class Status(IntEnum):
    """The statuses of an order."""

    PENDING = 0
    PROCESSING = 1
    SHIPPED = 2
    DELIVERED = 3
    CANCELLED = 4


@dataclass(frozen=True)
class Wishes:
    """The lines that customers want on a day, by order: equally long columns; a product once per order."""

    order: Ints
    product: Ints
    warehouse: Ints
    quantity: Ints


def wishes(homes: Ints, demand: Floats, warehouses: int, rng: np.random.Generator) -> Wishes:
    """What each order of a day would like to hold.

    Args:
        homes: index of the warehouse that serves each order's customer: (orders,).
        demand: the probability of each product: (products,), sums to 1.
        warehouses: how many there are.
        rng: of this day.
    """
    sizes = rng.choice(len(_LINES), len(homes), p=_LINES) + 1
    order = np.repeat(np.arange(len(homes)), sizes)
    product = np.minimum(np.searchsorted(np.cumsum(demand), rng.random(len(order)), side="right"), len(demand) - 1)
    quantity = rng.choice(len(_QUANTITIES), len(order), p=_QUANTITIES) + 1
    detour = np.where(rng.random(len(order)) < _ELSEWHERE, rng.integers(1, max(2, warehouses), len(order)), 0)
    warehouse = (homes[order] + detour) % warehouses
    _, first = np.unique(order * len(demand) + product, return_index=True)
    kept = np.sort(first)
    return Wishes(order[kept], product[kept], warehouse[kept], quantity[kept])


@dataclass(frozen=True)
class Prices:
    """What a day's orders cost, in smallest units of their currency, without tax but for the total.

    Attributes:
        currency: index into CURRENCIES: (orders,).
        subtotal, discount, shipping, shipping_discount, tax, shipping_tax, total: (orders,).
        unit_price, unit_cost, line_discount: (lines,); a line's own discount is 0 where it has none.
        paid: what each line comes to after its own discount and its share of the rest, rounded down: (lines,).
    """

    currency: Ints
    subtotal: Ints
    discount: Ints
    shipping: Ints
    shipping_discount: Ints
    tax: Ints
    shipping_tax: Ints
    total: Ints
    unit_price: Ints
    unit_cost: Ints
    line_discount: Ints
    paid: Ints

    def with_amounts(self, subtotal: Ints, tax: Ints, total: Ints) -> Prices:
        """The same lines in orders that come to something else."""
        return replace(self, subtotal=subtotal, tax=tax, total=total)


def priced(
    order: Ints,
    price: Ints,
    cost: Ints,
    quantity: Ints,
    is_promotion: bool,
    rng: np.random.Generator,
    offers: np.random.Generator,
    further: np.random.Generator,
) -> Prices:
    """Price a day's orders.

    Args:
        order: the order of each line, from 0 without gaps, ascending: (lines,).
        price: of one unit, in cents of EUR: (lines,).
        cost: of one unit to the shop, in cents of EUR: (lines,).
        quantity: units: (lines,).
        is_promotion: whether many orders have a discount today.
        rng: of this day.
        offers: of this day's offers on single lines and codes for free delivery.
        further: of this day's orders from beyond Europe and America.
    """
    orders = int(order[-1]) + 1 if len(order) else 0
    is_usd = rng.random(orders) < _USD
    draw = further.random(orders)
    currency = np.select([is_usd, draw < _JPY, draw < _JPY + _KWD], [In.USD, In.JPY, In.KWD], In.EUR).astype(np.int64)
    unit_price, unit_cost = (in_currency(amount, currency[order]) for amount in (price, cost))
    starts = np.searchsorted(order, np.arange(orders))

    def by_order(lines: Ints) -> Ints:
        return np.add.reduceat(lines, starts) if orders else np.zeros(0, dtype=np.int64)

    gross = quantity * unit_price
    off = _percent(gross, _OFFER, currency[order])
    line_discount = np.where(offers.random(len(order)) < _OFFERS, off, 0)
    subtotal, own = by_order(gross), by_order(line_discount)
    left = subtotal - own
    percent = rng.choice(_DISCOUNTS, orders, p=_DISCOUNT_SHARES[int(is_promotion)])
    rest = _percent(left, percent, currency)
    net = left - rest
    costs, free_from = (in_currency(np.full(orders, amount), currency) for amount in (_SHIPPING, _FREE_FROM))
    shipping = np.where(net >= free_from, 0, costs)
    shipping_discount = np.where(offers.random(orders) < _FREE_CODES, shipping, 0)
    shipping_tax = (shipping - shipping_discount + 5) // 10
    tax = (net + 5) // 10 + shipping_tax
    total = net + shipping - shipping_discount + tax
    paid = (gross - line_discount) * net[order] // np.maximum(left[order], 1)
    return Prices(
        currency,
        subtotal,
        own + rest,
        shipping,
        shipping_discount,
        tax,
        shipping_tax,
        total,
        unit_price,
        unit_cost,
        line_discount,
        paid,
    )


def on_price_tag(net: Ints, currency: Ints) -> Ints:
    """Amounts of lines as they are written down: with tax in some currencies."""
    return np.where(INCLUDES_TAX[currency], net + net // 10, net)


def in_currency(cents: Ints, currency: Ints) -> Ints:
    """Cents of EUR in smallest units of a currency, in whole steps."""
    return _percent(cents, _RATES[currency], currency)


def _percent(amount: Ints, percent: Ints | int, currency: Ints) -> Ints:
    """So many per cent of an amount, rounded half up to whole steps of its currency."""
    step: Ints = _STEPS[currency]
    rounded: Ints = (amount * percent + 50 * step) // (100 * step) * step
    return rounded


def channels(orders: int, rng: np.random.Generator) -> Ints:
    """Where each of a day's orders is placed: index into CHANNELS: (orders,)."""
    return rng.choice(len(CHANNELS), orders, p=list(CHANNELS.values()))


@dataclass(frozen=True)
class Codes:
    """Under which names a day's discounts were given.

    Attributes:
        of_order: index into CODES, 0 where nothing is off the whole order: (orders,).
        of_line: index into PROMOTIONS, 0 where nothing is off the line alone: (lines,).
    """

    of_order: Ints
    of_line: Ints


def codes(prices: Prices, order: Ints, rng: np.random.Generator) -> Codes:
    """The codes and promotions of a day's discounts.

    Args:
        prices: of the day.
        order: the order of each line: (lines,).
        rng: of this day's codes.
    """
    own = np.bincount(order, weights=prices.line_discount, minlength=len(prices.discount)).astype(np.int64)
    of_order = rng.choice(len(CODES), len(own), p=_CODE_SHARES)
    of_line = rng.choice(len(PROMOTIONS), len(order), p=_PROMOTION_SHARES)
    return Codes(np.where(prices.discount > own, of_order, 0), np.where(prices.line_discount > 0, of_line, 0))


def guests(orders: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which of a day's orders are placed without an account: (orders,)."""
    return rng.random(orders) < GUESTS


@dataclass(frozen=True)
class Fates:
    """What becomes of a day's orders until the history ends: (orders,); µs since 1970 UTC, NEVER if it does not happen.

    Attributes:
        status: a Status: as it stands when the history ends.
        shipped_at, delivered_at, cancelled_at, updated_at: when.
        cancellation: index into CANCELLATIONS, where cancelled.
    """

    status: Ints
    shipped_at: Ints
    delivered_at: Ints
    cancelled_at: Ints
    updated_at: Ints
    cancellation: Ints


def fates(ordered_at: Ints, end: int, rng: np.random.Generator) -> Fates:
    """Decide what becomes of orders; what would happen at `end` or later has not happened."""
    count = len(ordered_at)

    def hours(values: Floats) -> Ints:
        return (values * HOUR).astype(np.int64)

    processing_at = ordered_at + 5 * MINUTE + hours(rng.exponential(5.0, count))
    slow = np.where(rng.random(count) < 0.03, 3.0, 1.0)
    shipped_at = processing_at + HOUR + hours(rng.gamma(2.0, 13.0, count) * slow)
    delivered_at = shipped_at + 18 * HOUR + hours(rng.gamma(2.0, 28.0, count) * slow)
    will_cancel = rng.random(count) < 0.042
    cancelled_at = ordered_at + MINUTE + np.minimum(hours(rng.exponential(10.0, count)), 3 * DAY)
    shares = np.array([share for _, _, share in CANCELLATIONS])
    cancellation = rng.choice(len(shares), count, p=shares / shares.sum())

    cancelled_at = np.where(will_cancel & (cancelled_at < end), cancelled_at, NEVER)
    shipped_at = np.where(~will_cancel & (shipped_at < end), shipped_at, NEVER)
    delivered_at = np.where(~will_cancel & (delivered_at < end), delivered_at, NEVER)
    started = (processing_at < end) & (processing_at < cancelled_at)
    status = np.select(
        [cancelled_at < NEVER, delivered_at < NEVER, shipped_at < NEVER, started],
        [Status.CANCELLED, Status.DELIVERED, Status.SHIPPED, Status.PROCESSING],
        Status.PENDING,
    ).astype(np.int64)
    happened = [np.where(at < NEVER, at, ordered_at) for at in (cancelled_at, delivered_at, shipped_at)]
    updated_at = np.maximum.reduce([np.where(started, processing_at, ordered_at), *happened])
    return Fates(status, shipped_at, delivered_at, cancelled_at, updated_at, cancellation)


@dataclass(frozen=True)
class Refunds:
    """Refunds of some lines, ascending by instant: equally long columns.

    Attributes:
        at: µs since 1970 UTC.
        line: index into the lines that were asked about.
        quantity, amount: units, and cents in the order's currency.
        restocked: whether the units went back on the shelf.
    """

    at: Ints
    line: Ints
    quantity: Ints
    amount: Ints
    restocked: NDArray[np.bool_]


def refunds(delivered_at: Ints, quantity: Ints, paid: Ints, end: int, rng: np.random.Generator) -> Refunds:
    """Refund about one delivered line in twenty, some partly, some of those a second time.

    Args:
        delivered_at: of each line's order, or NEVER: (lines,).
        quantity: units: (lines,).
        paid: the line's price after its share of the discount, rounded down to cents: (lines,).
        end: nothing happens at this instant or later.
        rng: of this day.
    """
    line = np.flatnonzero((delivered_at < NEVER) & (rng.random(len(quantity)) < 0.05))
    count = len(line)
    ordered, worth = quantity[line], paid[line]
    at = delivered_at[line] + DAY + (np.minimum(rng.exponential(7.0, count), 45.0) * DAY).astype(np.int64)
    is_partial = (ordered > 1) & (rng.random(count) < 0.45)
    units = np.where(is_partial, 1 + (rng.random(count) * (ordered - 1)).astype(np.int64), ordered)
    amount = worth * units // ordered
    is_goodwill = rng.random(count) < 0.08  # half the money back, and the customer keeps the goods
    restocked = (rng.random(count) < 0.75) & ~is_goodwill
    amount = np.where(is_goodwill, amount // 2, amount)

    again = is_partial & (rng.random(count) < 0.35)
    later = at[again] + HOUR + (rng.exponential(4.0, int(again.sum())) * DAY).astype(np.int64)
    rest = worth[again] - worth[again] * units[again] // ordered[again]
    everything = Refunds(
        at=np.concatenate([at, later]) // SECOND * SECOND,
        line=np.concatenate([line, line[again]]),
        quantity=np.concatenate([units, (ordered - units)[again]]),
        amount=np.concatenate([amount, rest]),
        restocked=np.concatenate([restocked, restocked[again]]),
    )
    order = np.lexsort((everything.line, everything.at))
    kept = order[everything.at[order] < end]
    return Refunds(
        everything.at[kept],
        everything.line[kept],
        everything.quantity[kept],
        everything.amount[kept],
        everything.restocked[kept],
    )
