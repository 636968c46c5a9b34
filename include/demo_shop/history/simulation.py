"""The simulation: the days one after the other, each as a handful of columns."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from include.demo_shop.history.article_numbers import ArticleNumbers, article_numbers
from include.demo_shop.history.calendar import DAY, Calendar, Floats, Ints, calendar
from include.demo_shop.history.catalogue import Assortment, assortment
from include.demo_shop.history.customers import AddressBook, address_book, visitors
from include.demo_shop.history.edits import additions, removals
from include.demo_shop.history.exchanges import exchanges
from include.demo_shop.history.journal import Journal
from include.demo_shop.history.kits import kits, write_kits
from include.demo_shop.history.loading import Loader
from include.demo_shop.history.names import CANCELLATIONS, WAREHOUSES
from include.demo_shop.history.order_refunds import OrderRefunds, order_refunds, returned_at
from include.demo_shop.history.orders import (
    MEAN_LINES,
    MEAN_QUANTITY,
    NEVER,
    NO_ORDER,
    In,
    Refunds,
    channels,
    codes,
    fates,
    guests,
    priced,
    refunds,
    wishes,
)
from include.demo_shop.history.payments import Payments, payments
from include.demo_shop.history.purchases import purchases
from include.demo_shop.history.shipments import shipments
from include.demo_shop.history.stock import Agenda, Kind, Movements, Shelves

_PAYMENT_FAILED = [reason for _, reason, _ in CANCELLATIONS].index("payment_failed")


@dataclass(frozen=True)
class HistorySize:
    """How much history.

    Attributes:
        orders: about how many orders; a few per cent fewer when shelves are empty.
        days: how many business days they spread over.
        products: how many products, each kept in every warehouse.
    """

    orders: int = 50_000
    days: int = 400
    products: int = 200

    def __post_init__(self) -> None:
        if self.orders < 1 or self.days < 2 or self.products < 1:
            raise ValueError("a history has at least 1 order, 2 days and 1 product")


class Simulation:
    """A shop's past, the same for the same seed, last day, time zone and size."""

    def __init__(self, loader: Loader, seed: int, last_day: date, timezone: ZoneInfo, size: HistorySize) -> None:
        """Prepare a past that is written through `loader` and ends with `last_day`."""
        rng = np.random.default_rng([seed, 0])
        self._seed, self._loader = seed, loader
        self._calendar: Calendar = calendar(last_day, size.days, timezone, rng)
        self._assortment: Assortment = assortment(self._calendar, size.products, rng)
        # A generator of its own: the rest of the past is what it was before article numbers changed.
        labels = np.random.default_rng([seed, 15])
        self._labels: ArticleNumbers = article_numbers(self._assortment, size.days, labels)
        self._addresses: AddressBook = address_book(rng)
        self._journal = Journal(loader, seed, self._addresses, size.orders)
        share = np.bincount(self._addresses.warehouses, minlength=len(WAREHOUSES)) / len(self._addresses.countries)
        units = size.orders / size.days * MEAN_LINES * MEAN_QUANTITY
        expected: Floats = np.outer(self._assortment.popularity, share).ravel() * units
        self._shelves = Shelves(expected, self._calendar, rng)
        self._agenda = Agenda(self._calendar)
        self._refunds: dict[int, list[dict[str, Ints]]] = defaultdict(list)
        self._order_refunds: dict[int, list[dict[str, Ints]]] = defaultdict(list)
        self._payments: dict[int, list[dict[str, Ints]]] = defaultdict(list)
        plan = np.cumsum(self._calendar.demand) / self._calendar.demand.sum() * size.orders
        self._orders_per_day = np.diff(np.round(plan).astype(np.int64), prepend=0)

    def run(self) -> None:
        """Write everything."""
        self._journal.warehouses(int(self._calendar.starts[0]) - 400 * DAY)
        self._journal.products(self._assortment, self._labels, self._calendar)
        # A generator of its own: the rest of the past is what it was before there were kits.
        made = kits(self._assortment, self._calendar.days - 1, np.random.default_rng([self._seed, 19]))
        write_kits(self._loader, made, self._calendar)
        self._shelves.plan(0)
        for day in range(-1, self._calendar.days):
            self._open_new_cells(day)
            if day >= 0:
                rng = np.random.default_rng([self._seed, 1, day])
                self._shelves.plan(day)
                self._trade(day, rng)
                self._agenda.add(self._shelves.count(day, rng))
            moved = self._agenda.take(day)
            self._shelves.close(moved)
            self._journal.movements(moved)
            self._journal.refunds(self._refunds.pop(day, []))
            self._journal.order_refunds(self._order_refunds.pop(day, []))
            self._journal.payments(self._payments.pop(day, []))
            if day >= 0:
                in_use = np.repeat(self._assortment.is_offered(day), len(WAREHOUSES))
                reordered = self._shelves.reorder(day, in_use, rng)
                self._agenda.add(reordered.receipts)
                # A generator of its own: the rest of the past is what it was before there were purchase orders.
                bought = purchases(day, reordered, self._calendar, np.random.default_rng([self._seed, 12, day]))
                self._journal.purchases(bought, self._assortment.costs[day][bought.cell // len(WAREHOUSES)])
            self._journal.flush_if_full()
        self._journal.enter_exchanges()
        self._journal.flush()
        self._journal.inventory(self._shelves)

    def _open_new_cells(self, day: int) -> None:
        """Stock the products that are sold from the next day on."""
        products = np.flatnonzero(self._assortment.launch == day + 1)
        cells = (products[:, None] * len(WAREHOUSES) + np.arange(len(WAREHOUSES))).ravel()
        self._agenda.add(self._shelves.opening(cells, day + 1, np.random.default_rng([self._seed, 2, day + 1])))

    def _trade(self, day: int, rng: np.random.Generator) -> None:
        """All that customers do on a day, and all that follows from it later."""
        ordered_at = self._calendar.instants(day, rng, int(self._orders_per_day[day]))
        shoppers = visitors(day, self._journal.numbers["customers"], ordered_at, self._calendar.end, rng)
        self._journal.customers(shoppers)

        offered = self._assortment.is_offered(day)
        demand = self._assortment.popularity * offered
        homes = self._addresses.warehouses[self._addresses.of(shoppers.customers)]
        wanted = wishes(homes, demand / demand.sum(), len(WAREHOUSES), rng)
        cells = wanted.product * len(WAREHOUSES) + wanted.warehouse
        sold = self._shelves.sell(cells, wanted.quantity)
        missed = np.flatnonzero(~sold)  # another warehouse may have it
        detour = wanted.product[missed] * len(WAREHOUSES) + (wanted.warehouse[missed] + 1) % len(WAREHOUSES)
        cells[missed] = detour
        sold[missed] = self._shelves.sell(detour, wanted.quantity[missed])

        placed, order = np.unique(wanted.order[sold], return_inverse=True)  # an order without lines is not placed
        cell, product, quantity = cells[sold], wanted.product[sold], wanted.quantity[sold]
        ordered_at, customers = ordered_at[placed], shoppers.customers[placed]
        prices = priced(
            order,
            self._assortment.prices[day][product],
            self._assortment.costs[day][product],
            quantity,
            bool(self._calendar.is_promotion[day]),
            rng,
            np.random.default_rng([self._seed, 4, day]),
            # A generator of its own: orders of other currencies are what they were.
            np.random.default_rng([self._seed, 11, day]),
        )
        outcome = fates(ordered_at, self._calendar.end, rng)
        first_order, first_item = self._journal.numbers["orders"] + 1, self._journal.numbers["order_items"] + 1
        # A generator of its own: the rest of the past is what it was before orders had a channel.
        channel = channels(len(customers), np.random.default_rng([self._seed, 3, day]))
        # The same, of before there were guests.
        is_guest = guests(len(customers), np.random.default_rng([self._seed, 5, day]))
        # And of before orders were edited; what was packed or cancelled is not.
        latest = np.minimum(np.minimum(outcome.shipped_at, outcome.cancelled_at), self._calendar.end)
        added_at = additions(order, ordered_at, latest, np.random.default_rng([self._seed, 10, day]))
        np.maximum.at(outcome.updated_at, order, np.where(added_at == NEVER, 0, added_at))
        gone = removals(
            order,
            cell,
            ordered_at,
            np.minimum(latest, self._calendar.starts[day + 1]),
            self._shelves.available,
            np.random.default_rng([self._seed, 16, day]),
        )
        np.maximum.at(outcome.updated_at, order[gone.like], gone.at)
        # And of before discounts had a code.
        named = codes(prices, order, np.random.default_rng([self._seed, 7, day]))
        skus = self._labels.on(day, product)
        self._journal.items(first_order + order, cell, quantity, prices, ordered_at[order], added_at, named, skus)

        item = first_item + np.arange(len(order))
        add, of = self._agenda.add, Movements.of
        add(of(Kind.RESERVATION, ordered_at[order], cell, quantity, item))
        add(of(Kind.SHIPMENT, outcome.shipped_at[order], cell, -quantity, item))
        add(of(Kind.RELEASE, outcome.cancelled_at[order], cell, -quantity, item))
        self._journal.removed_items(first_order + order, gone, prices, skus)
        removed, one = item[-1:].sum() + 1 + np.arange(len(gone.at)), np.ones(len(gone.at), dtype=np.int64)
        add(of(Kind.RESERVATION, ordered_at[order[gone.like]], gone.cell, one, removed))
        add(of(Kind.RELEASE, gone.at, gone.cell, -one, removed))
        given = refunds(outcome.delivered_at[order], quantity, prices.paid, self._calendar.end, rng)
        back = given.restocked
        add(of(Kind.RETURN, given.at[back], cell[given.line[back]], given.quantity[back], item[given.line[back]]))
        # The same, of before money was given back that no line explains.
        extra = np.random.default_rng([self._seed, 6, day])
        self._plan_refunds(given, item, prices.currency[order], returned_at(given, extra))
        other = order_refunds(outcome.delivered_at, prices, given, order, self._calendar.end, extra)
        self._plan_order_refunds(other, first_order, prices.currency)
        paid = payments(
            ordered_at,
            prices.total,
            outcome,
            (outcome.cancelled_at < NEVER) & (outcome.cancellation == _PAYMENT_FAILED),
            given,
            other,
            order,
            self._calendar.end,
            # A generator of its own, as above.
            np.random.default_rng([self._seed, 8, day]),
        )
        self._plan_payments(paid, first_order, prices.currency)
        # The same, of before orders left in parcels.
        sent = shipments(
            order,
            cell % len(WAREHOUSES),
            quantity,
            outcome,
            self._calendar.end,
            np.random.default_rng([self._seed, 14, day]),
        )
        self._journal.shipments(sent, first_order + order, item)
        # The same, of before lines were exchanged.
        given_back = np.concatenate([order[given.line], other.order])
        swaps = exchanges(
            order,
            cell,
            quantity,
            prices,
            outcome,
            paid,
            ~np.isin(np.arange(len(ordered_at)), given_back),
            self._assortment,
            self._calendar,
            np.random.default_rng([self._seed, 18, day]),
        )
        np.maximum.at(outcome.updated_at, swaps.order, swaps.updated_at)
        new = self._journal.exchange_numbers(len(swaps.line))
        self._journal.exchanges(swaps.rows(first_order, item, new, self._labels))
        for moved in swaps.movements(cell, item, new):
            add(moved)
        self._journal.orders(customers, is_guest, ordered_at, swaps.of_order(prices), outcome, channel, named)

    def _plan_payments(self, paid: Payments, first_order: int, currency: Ints) -> None:
        days, is_of_order = self._calendar.day_of(paid.at), paid.order != NO_ORDER
        for day in np.unique(days):
            on_day = days == day
            self._payments[int(day)].append(
                {
                    "at": paid.at[on_day],
                    "order": np.where(is_of_order, first_order + paid.order, NO_ORDER)[on_day],
                    "kind": paid.kind[on_day],
                    "method": paid.method[on_day],
                    "currency": np.where(is_of_order, currency[paid.order], In.EUR)[on_day],
                    "amount": paid.amount[on_day],
                }
            )

    def _plan_refunds(self, given: Refunds, item: Ints, currency: Ints, returned: Ints) -> None:
        days = self._calendar.day_of(given.at)
        for day in np.unique(days):
            on_day = days == day
            self._refunds[int(day)].append(
                {
                    "at": given.at[on_day],
                    "item": item[given.line[on_day]],
                    "quantity": given.quantity[on_day],
                    "amount": given.amount[on_day],
                    "currency": currency[given.line][on_day],
                    "restocked": given.restocked[on_day].astype(np.int64),
                    "returned": returned[on_day],
                }
            )

    def _plan_order_refunds(self, given: OrderRefunds, first_order: int, currency: Ints) -> None:
        days = self._calendar.day_of(given.at)
        for day in np.unique(days):
            on_day = days == day
            self._order_refunds[int(day)].append(
                {
                    "at": given.at[on_day],
                    "order": np.where(given.is_known[on_day], first_order + given.order[on_day], NO_ORDER),
                    "currency": currency[given.order[on_day]],
                    "amount": given.amount[on_day],
                    "shipping": given.shipping[on_day],
                    "tax": given.tax[on_day],
                    "reason": given.reason[on_day],
                }
            )
