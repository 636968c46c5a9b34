"""The journal of the history: every row of it, entered day by day, written in chunks."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.demo_shop.history import columns as to
from include.demo_shop.history.article_numbers import ArticleNumbers
from include.demo_shop.history.calendar import Calendar, Ints
from include.demo_shop.history.catalogue import Assortment
from include.demo_shop.history.customers import AddressBook, Visitors
from include.demo_shop.history.edits import Removals
from include.demo_shop.history.loading import Loader
from include.demo_shop.history.names import (
    CANCELLATIONS,
    CARRIERS,
    CHANNELS,
    CODES,
    FIRST_NAMES,
    LAST_NAMES,
    PROMOTIONS,
    WAREHOUSES,
)
from include.demo_shop.history.order_refunds import REASONS
from include.demo_shop.history.orders import (
    INCLUDES_TAX,
    NEVER,
    NO_ORDER,
    Codes,
    Fates,
    In,
    Prices,
    Status,
    on_price_tag,
)
from include.demo_shop.history.payments import KINDS, METHODS
from include.demo_shop.history.purchases import Purchases
from include.demo_shop.history.shipments import Shipments
from include.demo_shop.history.stock import NO_ITEM, Kind, Movements, Shelves
from include.demo_shop.money import CURRENCIES

CHUNK_ROWS: Final = 400_000
"""How many rows wait in memory before they are written."""

_MOST_LINES: Final = 10
"""Of an order: eight at most, and one that was taken out of it. Lines of exchanges are numbered after all of these."""

_KEYS: Final = {"refunds": "refund_id", "payments": "transaction_id", "shipment_items": "shipment_item_id"}
_STATUSES: Final = tuple(status.name.lower() for status in Status)
_KINDS: Final = tuple(kind.name.lower() for kind in Kind)


class Journal:
    """Numbers the rows of each table from 1 and hands them to the loader.

    Attributes:
        numbers: the last number given, by table.
    """

    def __init__(self, loader: Loader, seed: int, addresses: AddressBook, orders: int) -> None:
        """Write through `loader`; customers live at `addresses`; there will be so many orders, or fewer."""
        self._loader = loader
        self._seed = seed
        self._addresses = addresses
        self._buffers: dict[str, list[Any]] = defaultdict(list)
        self._buffered_rows = 0
        tables = (
            *("customers", "orders", "order_items", "refunds", "order_refunds", "payments", "shipment_items"),
            *("inventory_movements", "purchase_order_lines"),
        )
        self.numbers = dict.fromkeys(tables, 0)
        self._exchanges: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._last_exchange = orders * _MOST_LINES

    def _next_numbers(self, table: str, count: int) -> Ints:
        first = self.numbers[table] + 1
        self.numbers[table] += count
        return np.arange(first, first + count, dtype=np.int64)

    def _keep(self, table: str, columns: dict[str, Any]) -> None:
        rows = pa.table(columns)
        self._buffers[table].append(rows)
        self._buffered_rows += rows.num_rows

    def flush_if_full(self) -> None:
        """Write what was entered, if it is much."""
        if self._buffered_rows > CHUNK_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what was entered."""
        for table, parts in self._buffers.items():
            together = pa.concat_tables(parts).combine_chunks()
            self._loader.write(table, dict(zip(together.column_names, together.columns, strict=True)))
        self._buffers.clear()
        self._buffered_rows = 0

    def customers(self, shoppers: Visitors) -> None:
        """Enter new customers."""
        numbers = self._next_numbers("customers", len(shoppers.newcomers))
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
                "created_at": to.instants(shoppers.created_at),
                "updated_at": to.instants(shoppers.updated_at),
            },
        )

    def orders(
        self,
        customers: Ints,
        is_guest: NDArray[np.bool_],
        ordered_at: Ints,
        prices: Prices,
        outcome: Fates,
        channel: Ints,
        named: Codes,
    ) -> None:
        """Enter a day's orders; a guest is one of the customers who orders without the account."""
        numbers = self._next_numbers("orders", len(customers))
        is_kept = outcome.cancelled_at == NEVER
        payment = (numbers * 7_778_742_049 + self._seed) % 1_000_000_000_000
        self._keep(
            "orders",
            {
                "order_id": to.whole(numbers),
                "customer_id": to.whole(customers, is_guest),
                "status": to.words(outcome.status, _STATUSES),
                "currency": to.words(prices.currency, list(CURRENCIES)),
                "subtotal": to.money(prices.subtotal, prices.currency),
                "discount": to.money(prices.discount, prices.currency),
                "tax": to.money(prices.tax, prices.currency),
                "total": to.money(prices.total, prices.currency),
                "shipping_address": to.words(self._addresses.of(customers), self._addresses.addresses),
                "payment_id": to.joined("pay-", to.text_of(payment)),
                "ordered_at": to.instants(ordered_at),
                "updated_at": to.instants(outcome.updated_at),
                "shipped_at": to.instants(outcome.shipped_at, NEVER),
                "delivered_at": to.instants(outcome.delivered_at, NEVER),
                "cancelled_at": to.instants(outcome.cancelled_at, NEVER),
                "cancelled_by": to.words(outcome.cancellation, [by for by, _, _ in CANCELLATIONS], is_kept),
                "cancellation_reason": to.words(outcome.cancellation, [why for _, why, _ in CANCELLATIONS], is_kept),
                "channel": to.words(channel, list(CHANNELS)),
                "shipping": to.money(prices.shipping, prices.currency),
                "shipping_discount": to.money(prices.shipping_discount, prices.currency),
                "shipping_tax": to.money(prices.shipping_tax, prices.currency),
                "discount_code": to.words(named.of_order, CODES, named.of_order == 0),
            },
        )

    def items(
        self,
        order: Ints,
        cell: Ints,
        quantity: Ints,
        prices: Prices,
        ordered_at: Ints,
        added_at: Ints,
        named: Codes,
        skus: Any,
    ) -> None:
        """Enter a day's order items; one that is in its order from the start is added NEVER."""
        currency = prices.currency[order - order[0]] if len(order) else prices.currency
        self._keep(
            "order_items",
            {
                "order_item_id": to.whole(self._next_numbers("order_items", len(order))),
                "order_id": to.whole(order),
                **_cell_keys(cell),
                "quantity": to.whole(quantity),
                "unit_price": to.money(on_price_tag(prices.unit_price, currency), currency),
                "unit_cost": to.money(prices.unit_cost, currency),
                "updated_at": to.instants(np.where(added_at == NEVER, ordered_at, added_at)),
                "discount": to.money(on_price_tag(prices.line_discount, currency), currency, prices.line_discount == 0),
                "sold_at": to.instants(added_at, NEVER),
                "discount_code": to.words(named.of_line, PROMOTIONS, named.of_line == 0),
                "sku": skus,
                "price_includes_tax": to.flags(INCLUDES_TAX[currency]),
                "removed_at": to.instants(np.full(len(order), NEVER), NEVER),
            },
        )

    def removed_items(self, order: Ints, gone: Removals, prices: Prices, skus: Any) -> None:
        """Enter a day's order items that were taken out of their orders again."""
        currency = prices.currency[order - order[0]][gone.like] if len(order) else prices.currency
        price = on_price_tag(prices.unit_price[gone.like], currency)
        self._keep(
            "order_items",
            {
                "order_item_id": to.whole(self._next_numbers("order_items", len(gone.at))),
                "order_id": to.whole(order[gone.like]),
                **_cell_keys(gone.cell),
                "quantity": to.whole(np.ones(len(gone.at), dtype=np.int64)),
                "unit_price": to.money(price, currency),
                "unit_cost": to.money(prices.unit_cost[gone.like], currency),
                "updated_at": to.instants(gone.at),
                "discount": to.money(price, currency, np.ones(len(price), dtype=np.bool_)),
                "sold_at": to.instants(np.full(len(gone.at), NEVER), NEVER),
                "discount_code": pa.nulls(len(gone.at), pa.string()),
                "sku": skus.take(pa.array(gone.like)),
                "price_includes_tax": to.flags(INCLUDES_TAX[currency]),
                "removed_at": to.instants(gone.at),
            },
        )

    def movements(self, moved: Movements) -> None:
        """Enter a day's movements."""
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

    def refunds(self, parts: list[dict[str, Ints]]) -> None:
        """Enter a day's refunds, in the order in which they were given."""
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
                "amount": to.money(joined["amount"][order], joined["currency"][order]),
                "restocked": to.flags(joined["restocked"][order].astype(np.bool_)),
                "refunded_at": to.instants(joined["at"][order]),
                "updated_at": to.instants(joined["at"][order]),
                "tax": to.money(joined["amount"][order] // 10, joined["currency"][order]),
                "returned_at": to.instants(joined["returned"][order], NEVER),
            },
        )

    def order_refunds(self, parts: list[dict[str, Ints]]) -> None:
        """Enter what was given back on a day and no line explains, in the order in which it was."""
        if not parts:
            return
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        rows = np.lexsort((joined["amount"], joined["order"], joined["at"]))
        given = {name: column[rows] for name, column in joined.items()}
        self._keep(
            "order_refunds",
            {
                "order_refund_id": to.whole(self._next_numbers("order_refunds", len(rows))),
                "order_id": to.whole(given["order"], given["order"] == NO_ORDER),
                "currency": to.words(given["currency"], list(CURRENCIES)),
                "amount": to.money(given["amount"], given["currency"]),
                "shipping": to.money(given["shipping"], given["currency"]),
                "tax": to.money(given["tax"], given["currency"]),
                "reason": to.words(given["reason"], REASONS),
                "refunded_at": to.instants(given["at"]),
                "updated_at": to.instants(given["at"]),
            },
        )

    def payments(self, parts: list[dict[str, Ints]]) -> None:
        """Enter a day's movements of money, in the order in which they happened."""
        if not parts:
            return
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.lexsort((joined["method"], joined["kind"], joined["order"], joined["at"]))
        rows = {name: values[order] for name, values in joined.items()}
        self._keep(
            "payments",
            {
                "transaction_id": to.whole(self._next_numbers("payments", len(order))),
                "order_id": to.whole(rows["order"], rows["order"] == NO_ORDER),
                "kind": to.words(rows["kind"], KINDS),
                "method": to.words(rows["method"], METHODS),
                "currency": to.words(rows["currency"], list(CURRENCIES)),
                "amount": to.money(rows["amount"], rows["currency"]),
                "paid_at": to.instants(rows["at"]),
                "updated_at": to.instants(rows["at"]),
            },
        )

    def shipments(self, sent: Shipments, order: Ints, item: Ints) -> None:
        """Enter the parcels of a day's orders; `order` and `item` are the numbers of each line's."""
        of = order[sent.line]
        self._keep(
            "shipment_items",
            {
                "shipment_item_id": to.whole(self._next_numbers("shipment_items", len(of))),
                "shipment_number": to.joined(to.text_of(of), "-", to.text_of(sent.warehouse + 1)),
                "order_item_id": to.whole(item[sent.line]),
                "warehouse_id": to.whole(sent.warehouse + 1),
                "quantity": to.whole(sent.quantity),
                "carrier": to.words(sent.carrier, CARRIERS),
                "shipped_at": to.instants(sent.shipped_at),
                "delivered_at": to.instants(sent.delivered_at, NEVER),
                "updated_at": to.instants(np.where(sent.delivered_at < NEVER, sent.delivered_at, sent.shipped_at)),
            },
        )

    def exchange_numbers(self, count: int) -> Ints:
        """Numbers for so many lines of exchanges."""
        numbers = self._last_exchange + 1 + np.arange(count, dtype=np.int64)
        self._last_exchange += count
        return numbers

    def exchanges(self, rows: dict[str, dict[str, Any]]) -> None:
        """Remember the rows of a day's exchanges, by table."""
        for table, columns in rows.items():
            self._exchanges[table].append(columns)

    def enter_exchanges(self) -> None:
        """Enter the rows of all exchanges, numbered after all others: those are called what they were without them."""
        for table, parts in self._exchanges.items():
            rows = pa.concat_tables([pa.table(part) for part in parts])
            numbered = {_KEYS[table]: to.whole(self._next_numbers(table, len(rows)))} if table in _KEYS else {}
            self._keep(table, {**numbered, **dict(zip(rows.column_names, rows.columns, strict=True))})

    def purchases(self, bought: Purchases, unit_cost: Ints) -> None:
        """Enter the lines of purchase orders of a day, at what a unit costs then."""
        self._keep(
            "purchase_order_lines",
            {
                "purchase_order_line_id": to.whole(self._next_numbers("purchase_order_lines", len(bought.cell))),
                **_cell_keys(bought.cell),
                **bought.columns,
                "unit_cost": to.money(unit_cost, In.EUR),
            },
        )

    def warehouses(self, opened_at: int) -> None:
        """Write the warehouses, opened at this instant (µs since 1970 UTC)."""
        opened = np.full(len(WAREHOUSES), opened_at, dtype=np.int64)
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

    def products(self, goods: Assortment, labels: ArticleNumbers, calendar: Calendar) -> None:
        """Write the products as they are offered on the last day."""
        last_day = calendar.days - 1
        relabelled_at = np.where(labels.since > 0, calendar.starts[labels.since], 0)
        keys, names = zip(*goods.groups, strict=True)
        self._loader.write(
            "products",
            {
                "product_id": to.whole(np.arange(1, len(goods.skus) + 1)),
                "sku": pa.array(labels.now),
                "name": pa.array(goods.names),
                "category": pa.array(goods.categories),
                "unit_cost": to.money(goods.costs[-1], In.EUR),
                "unit_price": to.money(goods.prices[-1], In.EUR),
                "is_active": to.flags(goods.is_offered(last_day)),
                "created_at": to.instants(goods.created_at),
                "updated_at": to.instants(np.maximum(goods.updated_at, relabelled_at)),
                "product_group_id": pa.array(keys),
                "product_group_name": pa.array(names),
                "price_currency": pa.array(["EUR"] * len(goods.skus)),
                "price_includes_tax": to.flags(np.zeros(len(goods.skus), dtype=np.bool_)),
            },
        )

    def inventory(self, shelves: Shelves) -> None:
        """Write what lies on the shelves in the end."""
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
