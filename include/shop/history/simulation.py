"""The simulation: the days one after the other, each as a handful of columns."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from include.shop.history import columns as to
from include.shop.history.calendar import DAY, Calendar, Floats, Ints, calendar
from include.shop.history.catalogue import Assortment, assortment
from include.shop.history.customers import AddressBook, Visitors, address_book, visitors
from include.shop.history.loading import Loader
from include.shop.history.names import CANCELLATIONS, FIRST_NAMES, LAST_NAMES, WAREHOUSES
from include.shop.history.orders import (
    MEAN_LINES,
    MEAN_QUANTITY,
    NEVER,
    Fates,
    Prices,
    Refunds,
    Status,
    fates,
    priced,
    refunds,
    wishes,
)
from include.shop.history.stock import NO_ITEM, Agenda, Kind, Movements, Shelves

_CHUNK_ROWS: Final = 400_000
_STATUSES: Final = tuple(status.name.lower() for status in Status)
_KINDS: Final = tuple(kind.name.lower() for kind in Kind)


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
        self._loader = loader
        self._seed = seed
        self._calendar: Calendar = calendar(last_day, size.days, timezone, rng)
        self._assortment: Assortment = assortment(self._calendar, size.products, rng)
        self._addresses: AddressBook = address_book(rng)
        share = np.bincount(self._addresses.warehouses, minlength=len(WAREHOUSES)) / len(self._addresses.countries)
        units = size.orders / size.days * MEAN_LINES * MEAN_QUANTITY
        expected: Floats = np.outer(self._assortment.popularity, share).ravel() * units
        self._shelves = Shelves(expected, self._calendar, rng)
        self._agenda = Agenda(self._calendar)
        self._refunds: dict[int, list[dict[str, Ints]]] = defaultdict(list)
        plan = np.cumsum(self._calendar.demand) / self._calendar.demand.sum() * size.orders
        self._orders_per_day = np.diff(np.round(plan).astype(np.int64), prepend=0)
        self._buffers: dict[str, list[Any]] = defaultdict(list)
        self._buffered_rows = 0
        self._numbers = dict.fromkeys(("customers", "orders", "order_items", "refunds", "inventory_movements"), 0)

    def run(self) -> None:
        """Write everything."""
        self._write_warehouses()
        self._write_products()
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
            self._keep_movements(moved)
            self._keep_refunds(day)
            if day >= 0:
                in_use = np.repeat(self._assortment.is_offered(day), len(WAREHOUSES))
                self._agenda.add(self._shelves.reorder(day, in_use, rng))
            if self._buffered_rows > _CHUNK_ROWS:
                self._flush()
        self._flush()
        self._write_inventory()

    def _open_new_cells(self, day: int) -> None:
        """Stock the products that are sold from the next day on."""
        products = np.flatnonzero(self._assortment.launch == day + 1)
        cells = (products[:, None] * len(WAREHOUSES) + np.arange(len(WAREHOUSES))).ravel()
        self._agenda.add(self._shelves.opening(cells, day + 1, np.random.default_rng([self._seed, 2, day + 1])))

    def _trade(self, day: int, rng: np.random.Generator) -> None:
        """All that customers do on a day, and all that follows from it later."""
        ordered_at = self._calendar.instants(day, rng, int(self._orders_per_day[day]))
        guests = visitors(day, self._numbers["customers"], ordered_at, self._calendar.end, rng)
        self._keep_customers(guests)

        offered = self._assortment.is_offered(day)
        demand = self._assortment.popularity * offered
        homes = self._addresses.warehouses[self._addresses.of(guests.customers)]
        wanted = wishes(homes, demand / demand.sum(), len(WAREHOUSES), rng)
        cells = wanted.product * len(WAREHOUSES) + wanted.warehouse
        sold = self._shelves.sell(cells, wanted.quantity)
        missed = np.flatnonzero(~sold)  # another warehouse may have it
        detour = wanted.product[missed] * len(WAREHOUSES) + (wanted.warehouse[missed] + 1) % len(WAREHOUSES)
        cells[missed] = detour
        sold[missed] = self._shelves.sell(detour, wanted.quantity[missed])

        placed, order = np.unique(wanted.order[sold], return_inverse=True)  # an order without lines is not placed
        cell, product, quantity = cells[sold], wanted.product[sold], wanted.quantity[sold]
        ordered_at, customers = ordered_at[placed], guests.customers[placed]
        prices = priced(
            order,
            self._assortment.prices[day][product],
            self._assortment.costs[day][product],
            quantity,
            bool(self._calendar.is_promotion[day]),
            rng,
        )
        outcome = fates(ordered_at, self._calendar.end, rng)
        first_order, first_item = self._numbers["orders"] + 1, self._numbers["order_items"] + 1
        self._keep_orders(customers, ordered_at, prices, outcome)
        self._keep_items(first_order + order, cell, quantity, prices, ordered_at[order])

        item = first_item + np.arange(len(order))
        add, of = self._agenda.add, Movements.of
        add(of(Kind.RESERVATION, ordered_at[order], cell, quantity, item))
        add(of(Kind.SHIPMENT, outcome.shipped_at[order], cell, -quantity, item))
        add(of(Kind.RELEASE, outcome.cancelled_at[order], cell, -quantity, item))
        subtotal = prices.subtotal[order]
        paid = quantity * prices.unit_price * (subtotal - prices.discount[order]) // subtotal
        given = refunds(outcome.delivered_at[order], quantity, paid, self._calendar.end, rng)
        back = given.restocked
        add(of(Kind.RETURN, given.at[back], cell[given.line[back]], given.quantity[back], item[given.line[back]]))
        self._plan_refunds(given, item)

    def _plan_refunds(self, given: Refunds, item: Ints) -> None:
        days = self._calendar.day_of(given.at)
        for day in np.unique(days):
            on_day = days == day
            self._refunds[int(day)].append(
                {
                    "at": given.at[on_day],
                    "item": item[given.line[on_day]],
                    "quantity": given.quantity[on_day],
                    "amount": given.amount[on_day],
                    "restocked": given.restocked[on_day].astype(np.int64),
                }
            )

    def _next_numbers(self, table: str, count: int) -> Ints:
        first = self._numbers[table] + 1
        self._numbers[table] += count
        return np.arange(first, first + count, dtype=np.int64)

    def _keep(self, table: str, columns: dict[str, Any]) -> None:
        rows = pa.table(columns)
        self._buffers[table].append(rows)
        self._buffered_rows += rows.num_rows

    def _flush(self) -> None:
        for table, parts in self._buffers.items():
            together = pa.concat_tables(parts).combine_chunks()
            self._loader.write(table, dict(zip(together.column_names, together.columns, strict=True)))
        self._buffers.clear()
        self._buffered_rows = 0

    def _keep_customers(self, guests: Visitors) -> None:
        numbers = self._next_numbers("customers", len(guests.newcomers))
        address = self._addresses.of(numbers)
        first = to.words(numbers * 7 % len(FIRST_NAMES), FIRST_NAMES)
        last = to.words(numbers * 11 // 3 % len(LAST_NAMES), LAST_NAMES)
        self._keep(
            "customers",
            {
                "customer_id": to.whole(numbers),
                "email": to.joined("customer", to.text_of(numbers), "@example.com"),
                "name": to.joined(first, " ", last),
                "country": to.words(address, self._addresses.countries),
                "created_at": to.instants(guests.created_at),
                "updated_at": to.instants(guests.updated_at),
            },
        )

    def _keep_orders(self, customers: Ints, ordered_at: Ints, prices: Prices, outcome: Fates) -> None:
        numbers = self._next_numbers("orders", len(customers))
        is_kept = outcome.cancelled_at == NEVER
        payment = (numbers * 7_778_742_049 + self._seed) % 1_000_000_000_000
        self._keep(
            "orders",
            {
                "order_id": to.whole(numbers),
                "customer_id": to.whole(customers),
                "status": to.words(outcome.status, _STATUSES),
                "currency": to.words(prices.is_usd.astype(np.int64), ("EUR", "USD")),
                "subtotal": to.money(prices.subtotal),
                "discount": to.money(prices.discount),
                "tax": to.money(prices.tax),
                "total": to.money(prices.total),
                "shipping_address": to.words(self._addresses.of(customers), self._addresses.addresses),
                "payment_id": to.joined("pay-", to.text_of(payment)),
                "ordered_at": to.instants(ordered_at),
                "updated_at": to.instants(outcome.updated_at),
                "shipped_at": to.instants(outcome.shipped_at, NEVER),
                "delivered_at": to.instants(outcome.delivered_at, NEVER),
                "cancelled_at": to.instants(outcome.cancelled_at, NEVER),
                "cancelled_by": to.words(outcome.cancellation, [by for by, _, _ in CANCELLATIONS], is_kept),
                "cancellation_reason": to.words(outcome.cancellation, [why for _, why, _ in CANCELLATIONS], is_kept),
            },
        )

    def _keep_items(self, order: Ints, cell: Ints, quantity: Ints, prices: Prices, ordered_at: Ints) -> None:
        self._keep(
            "order_items",
            {
                "order_item_id": to.whole(self._next_numbers("order_items", len(order))),
                "order_id": to.whole(order),
                **_cell_keys(cell),
                "quantity": to.whole(quantity),
                "unit_price": to.money(prices.unit_price),
                "unit_cost": to.money(prices.unit_cost),
                "updated_at": to.instants(ordered_at),
            },
        )

    def _keep_movements(self, moved: Movements) -> None:
        self._keep(
            "inventory_movements",
            {
                "movement_id": to.whole(self._next_numbers("inventory_movements", len(moved.at))),
                **_cell_keys(moved.cell),
                "kind": to.words(moved.kind, _KINDS),
                "quantity": to.whole(moved.quantity),
                "order_item_id": pa.array(moved.item, mask=moved.item == NO_ITEM),
                "moved_at": to.instants(moved.at),
                "updated_at": to.instants(moved.at),
            },
        )

    def _keep_refunds(self, day: int) -> None:
        parts = self._refunds.pop(day, [])
        if not parts:
            return
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.lexsort((joined["item"], joined["at"]))
        self._keep(
            "refunds",
            {
                "refund_id": to.whole(self._next_numbers("refunds", len(order))),
                "order_item_id": to.whole(joined["item"][order]),
                "quantity": to.whole(joined["quantity"][order]),
                "amount": to.money(joined["amount"][order]),
                "restocked": to.flags(joined["restocked"][order].astype(np.bool_)),
                "refunded_at": to.instants(joined["at"][order]),
                "updated_at": to.instants(joined["at"][order]),
            },
        )

    def _write_warehouses(self) -> None:
        opened = np.full(len(WAREHOUSES), int(self._calendar.starts[0]) - 400 * DAY, dtype=np.int64)
        codes, names, countries = zip(*WAREHOUSES, strict=True)
        self._loader.write(
            "warehouses",
            {
                "warehouse_id": to.whole(np.arange(1, len(WAREHOUSES) + 1)),
                "code": pa.array(codes),
                "name": pa.array(names),
                "country": pa.array(countries),
                "created_at": to.instants(opened),
                "updated_at": to.instants(opened),
            },
        )

    def _write_products(self) -> None:
        goods = self._assortment
        self._loader.write(
            "products",
            {
                "product_id": to.whole(np.arange(1, len(goods.skus) + 1)),
                "sku": pa.array(goods.skus),
                "name": pa.array(goods.names),
                "category": pa.array(goods.categories),
                "unit_cost": to.money(goods.costs[-1]),
                "unit_price": to.money(goods.prices[-1]),
                "is_active": to.flags(goods.is_offered(self._calendar.days - 1)),
                "created_at": to.instants(goods.created_at),
                "updated_at": to.instants(goods.updated_at),
            },
        )

    def _write_inventory(self) -> None:
        shelves = self._shelves
        self._loader.write(
            "inventory",
            {
                **_cell_keys(np.arange(len(shelves.on_hand))),
                "on_hand": to.whole(shelves.on_hand),
                "reserved": to.whole(shelves.reserved),
                "reorder_point": to.whole(shelves.reorder_point),
                "updated_at": to.instants(shelves.updated_at),
            },
        )


def _cell_keys(cell: Ints) -> dict[str, Any]:
    return {
        "product_id": to.whole(cell // len(WAREHOUSES) + 1),
        "warehouse_id": to.whole(cell % len(WAREHOUSES) + 1),
    }
