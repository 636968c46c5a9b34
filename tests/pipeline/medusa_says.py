"""What Medusa says of a database of its own: what its API answers, what its formulas give, and when things happened.

``Order`` and ``Line.worth`` are Medusa's formulas (``decorateCartTotals`` of its utils), worked out on its tables;
``said`` is what its API answered, which they are compared with. They are for what it does not answer: what was sold
before some of it came back. When things happened is in its log of changes, which the .sql files do not read.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

_LINES: Final = """
with latest as (
    select distinct on (item_id) *
    from order_item
    where quantity > 0 and deleted_at is null
    order by item_id, version desc
),
rates as (
    select item_id, sum(rate) / 100 as rate
    from order_line_item_tax_line
    where deleted_at is null
    group by item_id
)
select
    line.id,
    latest.order_id,
    latest.quantity,
    coalesce(latest.unit_price, line.unit_price) as price,
    line.is_tax_inclusive as with_tax,
    coalesce(rates.rate, 0) as rate,
    coalesce((
        select sum(amount / case when adjustment.is_tax_inclusive then 1 + coalesce(rates.rate, 0) else 1 end)
        from order_line_item_adjustment as adjustment
        where adjustment.item_id = line.id and adjustment.version = latest.version and adjustment.deleted_at is null
    ), 0) as discount
from latest
join "order" as placed on placed.id = latest.order_id and not placed.is_draft_order
join order_line_item as line on line.id = latest.item_id
left join rates on rates.item_id = line.id
"""
_DELIVERIES: Final = """
select
    placed.id as order_id,
    method.amount / case when method.is_tax_inclusive then 1 + coalesce(rate, 0) else 1 end as charged,
    coalesce((
        select sum(adjustment.amount)
        from order_shipping_method_adjustment as adjustment
        where adjustment.shipping_method_id = method.id and adjustment.version = placed.version
            and adjustment.deleted_at is null
    ), 0) as discount,
    coalesce(rate, 0) as rate
from "order" as placed
join order_shipping as shipping on shipping.order_id = placed.id and shipping.version = placed.version
join order_shipping_method as method on method.id = shipping.shipping_method_id
left join (
    select shipping_method_id, sum(rate) / 100 as rate
    from order_shipping_method_tax_line
    where deleted_at is null
    group by shipping_method_id
) as rates on rates.shipping_method_id = method.id
where shipping.deleted_at is null and method.deleted_at is null
"""
_LOG: Final = """
select
    action.details ->> 'reference_id' as line,
    action.action as kind,
    (action.details ->> 'quantity')::numeric as quantity,
    (change.confirmed_at at time zone 'UTC')::date as day
from order_change_action as action
join order_change as change on change.id = action.order_change_id
where change.status = 'confirmed'
order by action.ordering
"""
_MOVED: Final = """
select
    moved.order_id,
    moved.reference as kind,
    abs(moved.amount) as amount,
    upper(moved.currency_code) as currency,
    (moved.created_at at time zone 'UTC')::date as day
from order_transaction as moved
join "order" as placed on placed.id = moved.order_id
where moved.deleted_at is null and not placed.is_draft_order
"""
_SHELVES: Final = """
select item.sku, level.location_id, level.stocked_quantity, level.reserved_quantity
from inventory_level as level
join inventory_item as item on item.id = level.inventory_item_id
where level.deleted_at is null and item.deleted_at is null
"""
_RECEIVED: Final = ("RECEIVE_RETURN_ITEM", "RECEIVE_DAMAGED_RETURN_ITEM")


@dataclass(frozen=True)
class Worth:
    """What units of a line come to without tax: before its discount, its discount, and the tax on the rest."""

    gross: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)

    def __add__(self, other: Worth) -> Worth:
        return Worth(self.gross + other.gross, self.discount + other.discount, self.tax + other.tax)

    @property
    def net(self) -> Decimal:
        """Without tax, after the discount."""
        return self.gross - self.discount


@dataclass(frozen=True)
class Line:
    """A line as the last version has it that it is in; when it was added, taken out, and what came back of it."""

    quantity: Decimal
    price: Decimal
    with_tax: bool
    rate: Decimal
    discount: Decimal
    added_on: date | None
    removed_on: date | None
    received: tuple[tuple[date, Decimal], ...]

    def worth(self, units: Decimal) -> Worth:
        """What so many of its units come to."""
        gross = units * self.price / (1 + self.rate if self.with_tax else 1)
        discount = self.discount * units / self.quantity
        return Worth(gross, discount, (gross - discount) * self.rate)

    @property
    def came_back(self) -> Worth:
        """What of it came back."""
        return self.worth(sum((units for _, units in self.received), Decimal(0)))

    @property
    def kept(self) -> Worth:
        """What of it is sold and did not come back; nothing of one that was taken out."""
        return Worth() if self.removed_on else self.worth(self.quantity - sum(units for _, units in self.received))


@dataclass(frozen=True)
class Order:
    """What an order comes to after what came back of it: amounts without tax, and ``total`` with all of it.

    Attributes:
        lines: what every line comes to that is in it, after what came back.
        credit: taken off ``total``: gift cards, goodwill, and all that was paid of an order that was cancelled.
    """

    number: int
    currency: str
    ordered_on: date
    is_cancelled: bool
    lines: Mapping[str, Worth]
    shipping: Decimal
    tax: Decimal
    total: Decimal
    credit: Decimal

    @property
    def goods(self) -> Worth:
        """All lines together."""
        return sum(self.lines.values(), Worth())


@dataclass(frozen=True)
class Moved:
    """Money that came in (``capture``) or went back (``refund``), as ``order_transaction`` has it."""

    order_id: str
    kind: str
    amount: Decimal
    currency: str
    day: date


class Medusa:
    """All that it says at one moment.

    Args:
        shop: a connection to its database.
        answers: what its API answered of every order; of orders placed since, what its formulas give counts.

    Attributes:
        computed: orders by its formulas.
        said: orders by its API, those that are no drafts.
        orders: ``said``, and ``computed`` for an order that its API was not asked for.
    """

    def __init__(self, shop: psycopg.Connection[Any], answers: Path) -> None:
        self.lines, self.of_order = _lines(shop)
        self.computed = self._computed(shop)
        self.said = {
            one["id"]: self._answered(one)
            for one in json.loads(answers.read_text(), parse_float=Decimal)
            if one["id"] in self.computed
        }
        self.orders = self.computed | self.said
        self.moved = [Moved(**row) for row in _rows(shop, _MOVED)]
        self.shelves = {
            (row["sku"], row["location_id"]): (row["stocked_quantity"], row["reserved_quantity"])
            for row in _rows(shop, _SHELVES)
        }

    def came_back(self, order: str) -> Worth:
        """What came back of an order, all lines together."""
        return sum((self.lines[line].came_back for line in self.of_order[order]), Worth())

    def sold(self, order: str, line: str) -> Worth:
        """What a line sold for: what its order says of it now, and what came back of it or was taken out."""
        one = self.lines[line]
        return one.worth(one.quantity) if one.removed_on else self.orders[order].lines[line] + one.came_back

    def paid_back(self, order: str) -> Decimal:
        """Money that went back for an order."""
        return sum((one.amount for one in self.moved if (one.order_id, one.kind) == (order, "refund")), Decimal(0))

    def _computed(self, shop: psycopg.Connection[Any]) -> dict[str, Order]:
        delivery: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in _rows(shop, _DELIVERIES):
            delivery[row["order_id"]].append(row)
        credit = """
            coalesce((
                select sum(amount) from order_credit_line as line
                where line.order_id = placed.id and line.version = placed.version and line.deleted_at is null
            ), 0)
        """
        found = {}
        for row in _rows(shop, f'select *, {credit} as credit from "order" as placed where not is_draft_order'):
            lines = {line: self.lines[line].kept for line in self.of_order[row["id"]] if not self._is_gone(line)}
            charged = [(one["charged"] - one["discount"], one["rate"]) for one in delivery[row["id"]]]
            shipping = sum((amount for amount, _ in charged), Decimal(0))
            goods = sum(lines.values(), Worth())
            tax = goods.tax + sum((amount * rate for amount, rate in charged), Decimal(0))
            found[row["id"]] = Order(
                row["display_id"], row["currency_code"].upper(), row["created_at"].date(),
                row["canceled_at"] is not None, lines, shipping, tax, goods.net + shipping + tax - row["credit"],
                row["credit"],
            )  # fmt: skip
        return found

    def _is_gone(self, line: str) -> bool:
        return self.lines[line].removed_on is not None

    @staticmethod
    def _answered(one: Mapping[str, Any]) -> Order:
        lines = {
            line["id"]: Worth(*(Decimal(line[name]) for name in ("subtotal", "discount_subtotal", "tax_total")))
            for line in one["items"]
        }
        off_lines = sum((line.discount for line in lines.values()), Decimal(0))
        return Order(
            one["display_id"], one["currency"].upper(), datetime.fromisoformat(one["created_at"]).date(),
            one["status"] == "canceled", lines,
            Decimal(one["shipping_subtotal"]) - (Decimal(one["discount_subtotal"]) - off_lines),
            Decimal(one["tax_total"]), Decimal(one["total"]), Decimal(one["credit_line_total"]),
        )  # fmt: skip


def _lines(shop: psycopg.Connection[Any]) -> tuple[dict[str, Line], dict[str, list[str]]]:
    """Every line by its id, and the ids of every order's."""
    added: dict[str, date] = {}
    removed: dict[str, date] = {}
    received: dict[str, list[tuple[date, Decimal]]] = defaultdict(list)
    for row in _rows(shop, _LOG):
        if row["kind"] == "ITEM_ADD":
            added[row["line"]] = row["day"]
        if row["kind"] == "ITEM_UPDATE" and row["quantity"] == 0:
            removed[row["line"]] = row["day"]
        if row["kind"] in _RECEIVED:
            received[row["line"]].append((row["day"], row["quantity"]))
    lines, of_order = {}, defaultdict(list)
    for row in _rows(shop, _LINES):
        line = row.pop("id")
        of_order[row.pop("order_id")].append(line)
        lines[line] = Line(
            **row, added_on=added.get(line), removed_on=removed.get(line), received=tuple(received[line])
        )
    return lines, of_order


def _rows(shop: psycopg.Connection[Any], statement: str) -> Iterable[dict[str, Any]]:
    return shop.cursor(row_factory=dict_row).execute(statement.encode()).fetchall()
