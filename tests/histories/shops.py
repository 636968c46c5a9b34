"""What happens to small shops, as deeds that read as they are written, and their tables after it.

Building a table costs the same for one shop as for twenty, so that many stand side by side in one lake. No two share a
key, a currency or a business day: what is touched for one is not touched for another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

DAYS: Final = 6  # of a shop's own
READ: Final = (
    "orders", "order_items", "refunds", "order_refunds", "payments", "shipment_items", "products", "inventory",
    "inventory_movements", "kit_components",
)  # fmt: skip

Row = dict[str, Any]

_NOT_ON_HAND: Final = ("reservation", "release")


@dataclass
class Shop:
    """One shop as it stands: rows by source and number, less what follows from what it is and where it stands.

    Attributes:
        rows: per source, rows by their number; a key of another row is its number, an instant the shop's hour.
        held: the orders that are in quarantine, with all that is part of them.
    """

    rows: dict[str, dict[int, Row]] = field(default_factory=lambda: {name: {} for name in READ})
    held: set[int] = field(default_factory=set)
    given: int = 0

    def add(self, source: str, **row: Any) -> int:
        """Write a row; numbers are never given twice."""
        self.given += 1
        self.rows[source][self.given] = row
        return self.given

    def pick(self, source: str, which: int) -> int | None:
        """The number of one of the rows there are."""
        numbers = sorted(self.rows[source])
        return numbers[which % len(numbers)] if numbers else None

    def explained(self, product: int, warehouse: int) -> int:
        """Units that lie on a shelf as its movements tell it."""
        return sum(
            row["quantity"]
            for row in self.rows["inventory_movements"].values()
            if (row["product"], row["warehouse"]) == (product, warehouse) and row["kind"] not in _NOT_ON_HAND
        )


class Deed(Protocol):
    """Something that happens to a shop. What it does to a row that there is none of is nothing."""

    def do(self, shop: Shop) -> None:
        """Do it."""


@dataclass(frozen=True)
class Line:
    """What is ordered."""

    product: int
    quantity: int
    cents: int
    cost: int | None
    warehouse: int
    off: int | None  # what is taken off this line alone
    sold: int | None = None  # the hour at which it was added to its order
    removed: int | None = None  # the hour at which it was taken out
    sku: str | None = None  # what its product's article number was


@dataclass(frozen=True)
class Order:
    """An order is written down: for an hour that lies ahead, or long ago, when it was committed late; or a guest's."""

    hour: int
    customer: int | None
    currency: str
    discount: int
    shipping: int
    lines: tuple[Line, ...]

    def do(self, shop: Shop) -> None:
        """See Deed."""
        number = shop.add(
            "orders", customer=self.customer, currency=self.currency, discount=self.discount, shipping=self.shipping,
            channel=None,
            ordered=self.hour, shipped=None, delivered=None, cancelled=None,
        )  # fmt: skip
        for line in self.lines:
            shop.add("order_items", order=number, **vars(line))


@dataclass(frozen=True)
class Refund:
    """Money goes back for a line."""

    line: int
    hour: int
    quantity: int
    cents: int
    restocked: bool
    tax: int | None = None
    returned: int | None = None  # the hour at which the units came back

    def do(self, shop: Shop) -> None:
        """See Deed."""
        line = shop.pick("order_items", self.line)
        if line is not None:
            shop.add("refunds", **vars(self) | {"line": line})


@dataclass(frozen=True)
class Exchange:
    """A line comes back, and units of another product, or the same, are added to its order in its place."""

    line: int
    hour: int
    product: int
    cents: int
    cost: int | None

    def do(self, shop: Shop) -> None:
        """See Deed."""
        line = shop.pick("order_items", self.line)
        if line is None:
            return
        old = shop.rows["order_items"][line]
        back = Refund(self.line, self.hour, old["quantity"], old["cents"], restocked=True, returned=self.hour)
        back.do(shop)
        new = Line(self.product, old["quantity"], self.cents, self.cost, old["warehouse"], None, sold=self.hour)
        added = shop.add("order_items", order=old["order"], **vars(new))
        for kind, product, quantity, of in (
            ("return", old["product"], old["quantity"], line),
            ("reservation", self.product, old["quantity"], added),
            ("shipment", self.product, -old["quantity"], added),
        ):
            shop.add(
                "inventory_movements", product=product, warehouse=old["warehouse"], kind=kind, quantity=quantity,
                hour=self.hour, line=of,
            )  # fmt: skip


@dataclass(frozen=True)
class GiveBack:
    """Money goes back that no line explains, for an order or, without one, in a currency."""

    order: int | None
    currency: str
    hour: int
    cents: int
    shipping: int
    tax: int

    def do(self, shop: Shop) -> None:
        """See Deed."""
        order = None if self.order is None else shop.pick("orders", self.order)
        if self.order is None or order is not None:
            shop.add("order_refunds", **vars(self) | {"order": order})


@dataclass(frozen=True)
class Pay:
    """Money moves for an order, or for none that is known."""

    order: int | None
    hour: int
    kind: str
    method: str | None
    currency: str
    cents: int

    def do(self, shop: Shop) -> None:
        """See Deed."""
        order = None if self.order is None else shop.pick("orders", self.order)
        shop.add("payments", **vars(self) | {"order": order})


@dataclass(frozen=True)
class Ship:
    """Units of a line leave in a parcel, from its warehouse or another."""

    line: int
    parcel: int
    hour: int
    quantity: int
    warehouse: int | None
    delivered: int | None = None
    cancelled: int | None = None

    def do(self, shop: Shop) -> None:
        """See Deed."""
        line = shop.pick("order_items", self.line)
        if line is not None:
            shop.add("shipment_items", **vars(self) | {"line": line})


@dataclass(frozen=True)
class Price:
    """A product gets another cost, in some currency, and number; one that there was none of is listed."""

    product: int
    cost: int | None
    currency: str | None = None
    sku: str | None = None

    def do(self, shop: Shop) -> None:
        """See Deed."""
        shop.rows["products"][self.product] = {"cost": self.cost, "currency": self.currency, "sku": self.sku}


@dataclass(frozen=True)
class Compose:
    """A kit holds so many units of a component, as well or instead: one that is none yet becomes a kit."""

    kit: int
    component: int
    units: int

    def do(self, shop: Shop) -> None:
        """See Deed."""
        shop.rows["kit_components"][self.kit * 10 + self.component] = dict(vars(self))


@dataclass(frozen=True)
class Move:
    """Units come in, go out or are set aside, for an order line or another."""

    product: int
    warehouse: int
    kind: str
    quantity: int
    hour: int
    line: int = 1

    def do(self, shop: Shop) -> None:
        """See Deed."""
        shop.add("inventory_movements", **vars(self))


@dataclass(frozen=True)
class Count:
    """Units of a shelf are counted; some are more, or fewer, than its movements say."""

    product: int
    warehouse: int
    unexplained: int

    def do(self, shop: Shop) -> None:
        """See Deed."""
        shop.rows["inventory"][self.product * 10 + self.warehouse] = vars(self)


@dataclass(frozen=True)
class Edit:
    """A value of a row becomes another one: an order is cancelled, or not after all; a line moves to another order."""

    source: str
    which: int
    name: str
    value: Any

    def do(self, shop: Shop) -> None:
        """See Deed."""
        number, value = shop.pick(self.source, self.which), self.value
        if self.name in ("order", "line"):
            value = shop.pick("orders" if self.name == "order" else "order_items", self.value)
        if number is not None:
            shop.rows[self.source][number][self.name] = value


@dataclass(frozen=True)
class Register:
    """Every guest's order gets an account: that of a customer who has none yet, or who has ordered before."""

    customer: int

    def do(self, shop: Shop) -> None:
        """See Deed."""
        _move_orders(shop, None, self.customer)


@dataclass(frozen=True)
class Merge:
    """Two accounts become one: the orders of one customer become another's."""

    gone: int
    kept: int

    def do(self, shop: Shop) -> None:
        """See Deed."""
        _move_orders(shop, self.gone, self.kept)


def _move_orders(shop: Shop, before: int | None, after: int) -> None:
    for row in shop.rows["orders"].values():
        if row["customer"] == before:
            row["customer"] = after


@dataclass(frozen=True)
class Delete:
    """A row goes, and what is part of it."""

    source: str
    which: int

    def do(self, shop: Shop) -> None:
        """See Deed."""
        number = shop.pick(self.source, self.which)
        shop.rows[self.source].pop(number or 0, None)
        parts = (
            ("order_items", "order", "orders"),
            ("refunds", "line", "order_items"),
            ("shipment_items", "line", "order_items"),
            ("order_refunds", "order", "orders"),
            ("payments", "order", "orders"),
        )
        for part, own, whole in parts:
            for child, row in list(shop.rows[part].items()):
                if row[own] is not None and row[own] not in shop.rows[whole]:
                    del shop.rows[part][child]


@dataclass(frozen=True)
class Hold:
    """An order goes into quarantine."""

    which: int

    def do(self, shop: Shop) -> None:
        """See Deed."""
        number = shop.pick("orders", self.which)
        shop.held |= {number} if number else set()


@dataclass(frozen=True)
class Release:
    """Every order comes out of quarantine."""

    def do(self, shop: Shop) -> None:
        """See Deed."""
        shop.held.clear()


@dataclass(frozen=True)
class Place:
    """Where a shop stands among the others, and in which time zone."""

    number: int
    among: int
    first_day: date
    zone: str
    parts: int = 1  # how many of what a line counts are one unit of its price

    def key(self, number: int) -> int:
        """A number of the shop's that no other shop has."""
        return self.number * 1000 + number

    def instant(self, hour: int | None) -> datetime | None:
        """The half of an hour by the shop's clock, on a day of its own, which may be the one of a change of clocks."""
        if hour is None:
            return None
        day = self.first_day + timedelta(days=hour // 24 * self.among + self.number)
        return datetime(day.year, day.month, day.day, hour % 24, 30, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def tables(self, shop: Shop) -> dict[str, list[Row]]:
        """Its rows as its Postgres holds them, with ``_held``; amounts in cents."""
        orders, lines, refunds = (shop.rows[name] for name in ("orders", "order_items", "refunds"))
        subtotals, own = dict.fromkeys(orders, 0), dict.fromkeys(orders, 0)
        for line in (line for line in lines.values() if line["removed"] is None):
            subtotals[line["order"]] += self._worth(line)
            own[line["order"]] += self._off(line) or 0
        return {
            "orders": [self._order(number, row, subtotals[number], own[number]) | {"_held": number in shop.held}
                       for number, row in orders.items()],
            "order_items": [
                {
                    "order_item_id": self.key(number), "order_id": self.key(row["order"]),
                    "product_id": self.key(row["product"]), "warehouse_id": row["warehouse"],
                    "sku": row["sku"],
                    "quantity": row["quantity"], "unit_price_cents": row["cents"], "unit_cost_cents": row["cost"],
                    "discount_cents": self._off(row), "discount_code": _code(row["off"]),
                    "sold_at": self.instant(row["sold"]), "removed_at": self.instant(row["removed"]),
                    "_held": row["order"] in shop.held,
                }
                for number, row in lines.items()
            ],
            "refunds": [
                {
                    "refund_id": self.key(number), "order_item_id": self.key(row["line"]),
                    "quantity": row["quantity"], "amount_cents": row["cents"], "restocked": row["restocked"],
                    "refunded_at": self.instant(row["hour"]), "tax_cents": row["tax"],
                    "returned_at": self.instant(row["returned"]),
                    "_held": lines[row["line"]]["order"] in shop.held,
                }
                for number, row in refunds.items()
            ],
            "order_refunds": [
                {
                    "order_refund_id": self.key(number),
                    "order_id": None if row["order"] is None else self.key(row["order"]),
                    "currency": self._currency(row if row["order"] is None else orders[row["order"]]),
                    "amount_cents": row["cents"], "shipping_cents": row["shipping"], "tax_cents": row["tax"],
                    "refunded_at": self.instant(row["hour"]), "_held": row["order"] in shop.held,
                }
                for number, row in shop.rows["order_refunds"].items()
            ],
            "payments": [
                {
                    "payment_id": self.key(number),
                    "order_id": None if row["order"] is None else self.key(row["order"]),
                    "kind": row["kind"], "method": row["method"], "currency": f"{row['currency']}{self.number}",
                    "amount_cents": row["cents"], "paid_at": self.instant(row["hour"]),
                    "_held": row["order"] in shop.held,
                }
                for number, row in shop.rows["payments"].items()
            ],
            "shipment_items": [
                {
                    "shipment_item_id": self.key(number), "shipment_id": f"parcel {row['parcel']}",
                    "order_item_id": self.key(row["line"]), "quantity": row["quantity"],
                    "warehouse_id": row["warehouse"], "shipped_at": self.instant(row["hour"]),
                    "delivered_at": self.instant(row["delivered"]), "cancelled_at": self.instant(row["cancelled"]),
                    "_held": lines[row["line"]]["order"] in shop.held,
                }
                for number, row in shop.rows["shipment_items"].items()
            ],
            "products": [
                {
                    "product_id": self.key(number), "unit_cost_cents": row["cost"], "sku": row["sku"],
                    "price_currency": row["currency"] and f"{row['currency']}{self.number}", "is_active": True,
                    "_held": False,
                }
                for number, row in shop.rows["products"].items()
            ],
            "inventory_movements": [
                {
                    "movement_id": self.key(number), "product_id": self.key(row["product"]),
                    "warehouse_id": row["warehouse"], "kind": row["kind"], "quantity": row["quantity"],
                    "order_item_id": self.key(row["line"]), "moved_at": self.instant(row["hour"]), "_held": False,
                }
                for number, row in shop.rows["inventory_movements"].items()
            ],
            "inventory": [
                {
                    "product_id": self.key(row["product"]), "warehouse_id": row["warehouse"],
                    "on_hand": shop.explained(row["product"], row["warehouse"]) + row["unexplained"],
                    "reserved": row["unexplained"] % 3, "_held": False,
                }
                for row in shop.rows["inventory"].values()
            ],
            "kit_components": [
                {
                    "product_id": self.key(row["kit"]), "component_id": self.key(row["component"]),
                    "units_per_kit": row["units"], "_held": False,
                }
                for row in shop.rows["kit_components"].values()
            ],
        }  # fmt: skip

    def _worth(self, line: Row) -> int:
        """What a line comes to: a part of a unit half up."""
        return int(2 * line["quantity"] * line["cents"] + self.parts) // (2 * self.parts)

    def _off(self, line: Row) -> int | None:
        """A line's own discount, which is never more than the line comes to; None where it has none."""
        return None if line["off"] is None else min(line["off"], self._worth(line))

    def _currency(self, row: Row) -> str:
        """The currency of an order, or of what is about no order."""
        return f"{row['currency']}{self.number}"

    def _order(self, number: int, row: Row, subtotal: int, own: int) -> Row:
        instants = {
            f"{event}_at": self.instant(row[event]) for event in ("ordered", "shipped", "delivered", "cancelled")
        }
        discount = min(row["discount"] + own, subtotal)
        shipping, tax = row["shipping"], subtotal // 10 + row["shipping"] // 10
        return {
            "order_id": self.key(number), "customer_id": None if row["customer"] is None else self.key(row["customer"]),
            "status": "processing", "channel": row["channel"], "currency": self._currency(row),
            "subtotal_cents": subtotal, "discount_cents": discount, "discount_code": _code(row["discount"]),
            "shipping_cents": shipping,
            "shipping_discount_cents": shipping // 2, "tax_cents": tax, "shipping_tax_cents": shipping // 10,
            "total_cents": subtotal - discount + shipping - shipping // 2 + tax, **instants,
        }  # fmt: skip


def _code(number: int | None) -> str | None:
    """The code of a discount: another one, or none, when it changes."""
    return None if not number else [None, "", "SPRING", "OFFER"][number % 4]


@dataclass(frozen=True)
class Night:
    """What a night is told, and how it ends.

    Attributes:
        days: how many days of every shop more it covers than the night before: 0 is the same day again, half a day is
            one of half of the shops.
        dies_after: how many tables it builds before it dies; None: it does not.
        anew: whether it computes everything anew.
    """

    days: float = 1
    dies_after: int | None = None
    anew: bool = False


@dataclass(frozen=True)
class History:
    """Some shops, and what happened to each before each night.

    Attributes:
        shops: how many.
        zone: their time zone.
        first_day: the first day of the first of them.
        nights: in order.
        deeds: what happened, by the number of the shop and of the night that comes after it.
        cancellations: what a cancelled order is to their days, as a shop.toml says.
        unit_decimals: of their quantities, as it says too.
    """

    shops: int
    zone: str
    first_day: date
    nights: Sequence[Night]
    deeds: Mapping[tuple[int, int], Sequence[Deed]]
    cancellations: str = "void"
    unit_decimals: int = 0
