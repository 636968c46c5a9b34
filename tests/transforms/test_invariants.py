"""What holds for every shop: tables agree with each other, engines with each other, and nothing knows the future."""

from __future__ import annotations

import datetime
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import pytest
from pyarrow import parquet

from include.contract import Severity, Type
from tests.transforms.conftest import EPOCH, FIRST_DAY, Report, Reporting, day
from transforms.registry import TABLES

AS_OF = "2026-04-20"  # late enough that a window of labels has closed
SEEDS = ("tea", "cup", "bag")
RETURNS = "jar"  # the seed of a shop whose cancellations are returns
Rows = list[dict[str, Any]]


def _at(number: int, seconds: int) -> datetime.datetime:
    start = datetime.datetime.combine(EPOCH, datetime.time(), datetime.UTC)
    return start + datetime.timedelta(days=number, seconds=seconds)


class Trade:
    """A shop that trades at random over a span of days, from one seed."""

    def __init__(self, seed: str) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - the same shop every time
        self.rows: dict[str, Rows] = {
            name: []
            for name in (
                "orders",
                "order_items",
                "refunds",
                "order_refunds",
                "payments",
                "inventory_movements",
                "shipment_items",
                "purchase_order_lines",
            )
        }
        self.rows["warehouses"] = [{"warehouse_id": number, "code": f"W{number}"} for number in (1, 2)]
        self.rows["products"] = [
            {"product_id": number, "category": self._dice.choice(["tea", "ware", None]), "unit_cost_cents": number * 7}
            for number in range(1, 8)
        ]
        self.rows["customers"] = [{"customer_id": number, "created_on": day(FIRST_DAY)} for number in range(3, 15)]
        self.rows["inventory"] = [
            {
                "product_id": product,
                "warehouse_id": 1,
                "unexplained_units": product % 2,
                "unexplained_reserved": product % 3,
            }
            for product in range(1, 10)
        ]

    def between(self, first: int, last: int, orders: int) -> Trade:
        """Place orders, and let things happen to them, all within the days."""
        for _ in range(orders):
            self._order(first, last)
        for _ in range(orders):
            movement = {
                "movement_id": len(self.rows["inventory_movements"]),
                "product_id": self._dice.randint(1, 9),
                "warehouse_id": 1,
                "kind": self._dice.choice(["receipt", "return", "adjustment", "reservation"]),
                "quantity": self._dice.randint(1, 9),
                "moved_on": self._dice.randint(first, last),
            }
            self.rows["inventory_movements"].append(movement)
        self._buy(first, last, orders // 2)
        return self

    def _buy(self, first: int, last: int, lines: int) -> None:
        """Order units of suppliers, of which some come, some late, some never; without a throw: the rest stays."""
        for number in range(lines):
            ordered = first + number * 7 % (last - first + 1)
            came = number % 4 and ordered + number % 5 <= last
            line = {
                "purchase_order_line_id": len(self.rows["purchase_order_lines"]) + 1,
                "product_id": 1 + number % 9,
                "warehouse_id": 1,
                "quantity": number % 8,
                "received": number % 11 if came else 0,
                "known_on": ordered,
                "ordered_on": ordered if number % 6 else None,
                "expected_on": ordered + number % 3 * 3 if number % 5 else None,
                "received_on": ordered + number % 5 if came else None,
                "cancelled_on": last if number % 9 == 0 else None,
            }
            self.rows["purchase_order_lines"].append(line)

    def then(self, first: int, last: int) -> Trade:
        """Ship, cancel and refund what stands open, within the days; receive what was bought."""
        for order in self.rows["orders"]:
            if order["cancelled_on"] is None and order["shipped_on"] is None:
                self._follow(order, max(first, order["ordered_on"]), last)
        for line in self.rows["purchase_order_lines"]:
            if line["received_on"] is None:
                line |= {"received": line["quantity"], "received_on": first}
            elif line["cancelled_on"] is None:
                line |= {"cancelled_on": first}
        return self

    def _order(self, first: int, last: int) -> None:
        placed, number = self._dice.randint(first, last), len(self.rows["orders"]) + 1
        lines = [self._line(number, placed) for _ in range(self._dice.randint(1, 5))]
        lines = [line for line in lines if line["removed_on"] is None]
        subtotal = sum(line["quantity"] * line["unit_price_cents"] for line in lines)
        own = sum(line["discount_cents"] or 0 for line in lines)
        order = {
            "order_id": number,
            "customer_id": self._customer(number),
            "status": "processing",
            "currency": self._dice.choice(["EUR", "EUR", "USD"]),
            "subtotal_cents": subtotal,
            "discount_cents": self._dice.choice([own, self._dice.randint(own, subtotal)]),
            "discount_code": [None, "SPRING"][number % 2],
            "shipping_cents": subtotal // 7,
            "shipping_discount_cents": subtotal // 11,
            "tax_cents": subtotal // 10,
            "total_cents": subtotal,
            "ordered_on": placed,
            "ordered_at": _at(placed, self._dice.randint(0, 5)),
            **dict.fromkeys(("shipped_on", "shipped_at", "seconds_to_ship", "cancelled_on", "cancelled_at")),
        }
        self.rows["orders"].append(order)
        self._pay(order, last)
        self._follow(order, placed, last)

    def _pay(self, order: dict[str, Any], last: int) -> None:
        """Pay most orders, some on a later day, some in two ways, some back; no throw of its own: the rest stays."""
        number, total = order["order_id"], order["total_cents"]
        parts: list[tuple[str, str | None, int]] = [] if number % 7 == 0 else [("capture", "card", total)]
        parts = (
            [("capture", "gift_card", total // 3), ("capture", None, total - total // 3)] if number % 5 == 0 else parts
        )
        parts += [("refund", "card", total // 2)] * (number % 11 == 0) + [("issue", "gift_card", 500)] * (
            number % 13 == 0
        )
        for kind, method, cents in parts:
            payment = {
                "payment_id": len(self.rows["payments"]) + 1,
                "order_id": number,
                "kind": kind,
                "method": method,
                "currency": order["currency"],
                "amount_cents": cents,
                "paid_on": min(order["ordered_on"] + number % 4 * 5, last),
            }
            self.rows["payments"].append(payment)

    def _customer(self, order: int) -> int | None:
        """Who orders; nobody known, in one order of nine."""
        customer = self._dice.randint(1, 12)
        return customer if order % 9 else None  # no throw of its own: the rest stays

    def _line(self, order: int, placed: int) -> dict[str, Any]:
        line = {
            "order_item_id": len(self.rows["order_items"]) + 1,
            "order_id": order,
            "product_id": self._dice.randint(1, 9),
            "warehouse_id": self._dice.randint(1, 2),
            "quantity": self._dice.randint(1, 6),
            "unit_price_cents": self._dice.randint(0, 999),
            "unit_cost_cents": self._dice.choice([None, *range(50, 60)]),
        }
        # No throws of their own: the rest stays.
        number = line["order_item_id"]
        line["discount_cents"] = line["unit_price_cents"] // 3 if number % 4 == 0 else None
        line["discount_code"] = [None, "OFFER", "SPRING"][number % 3]
        line["sold_on"] = placed + (number % 5 == 0) * 2
        line["removed_on"] = line["sold_on"] + 1 if number % 13 == 0 else None
        self.rows["order_items"].append(line)
        return line

    def _follow(self, order: dict[str, Any], first: int, last: int) -> None:
        """What happens to an order next: nothing, a cancellation, or a shipment, refunds, and perhaps one even then."""
        when, fate = self._dice.randint(first, last), self._dice.random()
        if fate < 0.2:
            order |= {"cancelled_on": when, "cancelled_at": _at(when, 9)}
            self._give_back(order, when)
        elif fate < 0.7:
            order |= {"shipped_on": when, "shipped_at": _at(when, 9), "seconds_to_ship": self._dice.randint(1, 10**6)}
            self._send(order, when, last)
            for line in [line for line in self.rows["order_items"] if line["order_id"] == order["order_id"]]:
                for _ in range(min(line["quantity"], self._dice.choice([0, 0, 1, 2]))):
                    refund = {
                        "refund_id": len(self.rows["refunds"]) + 1,
                        "order_item_id": line["order_item_id"],
                        "quantity": 1,
                        "amount_cents": self._dice.randint(0, line["unit_price_cents"]),
                        "restocked": len(self.rows["refunds"]) % 3 > 0,  # no throw of its own: the rest stays
                        "refunded_on": self._dice.randint(when, last),
                    }
                    refund["tax_cents"] = refund["amount_cents"] // 10 if refund["refund_id"] % 5 else None
                    refund["returned_on"] = when + (refund["refunded_on"] - when) // 2 if refund["restocked"] else None
                    self.rows["refunds"].append(refund)
            self._give_back(order, when)
            if fate < 0.3:
                order |= {"cancelled_on": last, "cancelled_at": _at(last, 9)}

    def _send(self, order: dict[str, Any], when: int, last: int) -> None:
        """Send the lines of an order, by warehouse, some later, some never; without a throw: the rest stays."""
        for line in [line for line in self.rows["order_items"] if line["order_id"] == order["order_id"]]:
            number = line["order_item_id"]
            if number % 8 == 0 or line["removed_on"] is not None:
                continue
            left = when + (number % 6 == 0) * 3
            row = {
                "shipment_item_id": len(self.rows["shipment_items"]) + 1,
                "shipment_id": f"{order['order_id']}-{line['warehouse_id']}-{left}",
                "order_item_id": number,
                "quantity": max(1, line["quantity"] - number % 3),
                "warehouse_id": line["warehouse_id"] if number % 5 else None,
                "shipped_on": left,
                "seconds_to_ship": order["seconds_to_ship"] + (left - when) * 86_400,
                "delivered_on": left + 2 if left + 2 <= last else None,
                "cancelled_on": None,
            }
            if left <= last:
                self.rows["shipment_items"].append(row)

    def _give_back(self, order: dict[str, Any], when: int) -> None:
        """Give some money back that no line explains, of a known order or not; without a throw: the rest stays."""
        number = order["order_id"]
        if number % 3 == 0:
            refund = {
                "order_refund_id": len(self.rows["order_refunds"]) + 1,
                "order_id": number if number % 2 else None,
                "currency": order["currency"],
                "amount_cents": number * 7 % 100,
                "shipping_cents": number % 5,
                "tax_cents": number % 4,
                "refunded_on": when,
            }
            self.rows["order_refunds"].append(refund)


# Kits for such a shop; one holds another.
KITS: Rows = [
    {"product_id": kit, "component_id": part, "units_per_kit": units}
    for kit, part, units in [(1, 2, 2), (1, 3, 1), (3, 4, 3), (4, 5, 1), (5, 6, 2)]
]


def past(seed: str) -> Trade:
    return Trade(seed).between(day(FIRST_DAY), day(AS_OF), orders=200)


def _sums(rows: Iterable[dict[str, Any]], by: Sequence[str], measures: Sequence[str]) -> dict[Any, list[int]]:
    """The sums of the measures per value of ``by``; a null makes a sum null."""
    found: dict[Any, list[Any]] = defaultdict(lambda: [0] * len(measures))
    for row in rows:
        totals = found[tuple(row[name] for name in by)]
        for place, name in enumerate(measures):
            totals[place] = None if totals[place] is None or row[name] is None else totals[place] + row[name]
    return dict(found)


def _of_customers(orders: Iterable[dict[str, Any]]) -> Rows:
    """Less those of guests."""
    return [row for row in orders if row["customer_id"] is not None]


@pytest.fixture(scope="module", params=[*SEEDS, RETURNS])
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reporting:
    """The tables of a few shops, each built once; that every engine builds the same is tested elsewhere."""
    rows = past(request.param).rows
    if request.param == RETURNS:
        rows["orders"] = [row | {"voided_on": None} for row in rows["orders"]]
    return Reporting(rows, AS_OF, "pandas", tmp_path_factory.mktemp(request.param), {})


def test_lines_add_up_to_their_order(tables: Reporting) -> None:
    of_lines = ["quantity", "refunded_quantity", "discount_allocated_cents"]
    of_orders = ["units", "refunded_units", "discount_cents"]
    same = ["gross_sales_cents", "returns_cents", "net_sales_cents", "cost_cents", "returned_cost_cents"]
    lines = [row for row in tables.rows("order_lines") if row["removed_on"] is None]
    emptied = {row["order_id"] for row in tables.rows("orders")} - {row["order_id"] for row in lines}
    assert _sums(lines, ["order_id"], of_lines + same) == _sums(
        [row for row in tables.rows("orders") if row["order_id"] not in emptied], ["order_id"], of_orders + same
    )


def test_margins_add_up_where_costs_are_known(tables: Reporting) -> None:
    orders = [row for row in tables.rows("orders") if row["gross_margin_cents"] is not None and row["item_count"]]
    known = {row["order_id"] for row in orders}
    lines = [row for row in tables.rows("order_lines") if row["order_id"] in known and row["removed_on"] is None]
    assert known
    assert _sums(lines, ["order_id"], ["gross_margin_cents"]) == _sums(orders, ["order_id"], ["gross_margin_cents"])


def test_orders_and_lines_add_up_to_their_day(tables: Reporting) -> None:
    kept = [row | {"day": row["ordered_on"]} for row in tables.rows("orders") if row["voided_on"] is None]
    days, of_orders = tables.rows("daily_sales"), ["shipping_cents", "tax_cents"]
    with_orders = [row for row in days if row["orders"]]
    assert _sums(kept, ["day", "currency"], of_orders) == _sums(with_orders, ["day", "currency"], of_orders)
    sold = [row | {"day": row["sold_on"]} for row in tables.rows("order_lines") if not row["is_void"]]
    assert any(row["sold_on"] > row["ordered_on"] for row in sold)
    assert any(row["removed_on"] for row in sold)
    of_lines = _sums(sold, ["day", "currency"], ["quantity", "gross_sales_cents", "discount_allocated_cents"])
    with_lines = [row for row in days if row["units"]]
    assert of_lines == _sums(with_lines, ["day", "currency"], ["units", "gross_sales_cents", "discounts_cents"])
    assert _sums(kept, ["currency"], ["net_sales_cents"]) == _sums(days, ["currency"], ["net_sales_cents"])


def test_what_was_given_back_of_orders_is_that_of_the_days_but_for_what_no_order_explains(tables: Reporting) -> None:
    kept = [row for row in tables.rows("orders") if row["voided_on"] is None]
    names = ["other_refunds_cents", "shipping_refunds_cents", "tax_refunds_cents"]
    of_no_order = [
        {"currency": row["currency"]}
        | {name: row[name.replace("other_refunds", "amount").replace("_refunds", "")] for name in names}
        for row in past_rows(tables, "order_refunds")
        if row["order_id"] is None
    ]
    assert len(of_no_order) > 5
    assert sum(row["other_refunds_cents"] for row in kept) > 0
    assert _sums([*kept, *of_no_order], ["currency"], names) == _sums(tables.rows("daily_sales"), ["currency"], names)


def test_what_is_to_come_is_on_order_on_its_shelf(tables: Reporting) -> None:
    shelf = ["product_id", "warehouse_id"]
    lines = [
        row | {"overdue_units": row["open_units"] if row["status"] == "overdue" else 0}
        for row in tables.rows("incoming_stock")
    ]
    assert {row["status"] for row in lines} == {"open", "overdue", "received", "cancelled"}
    health = [row for row in tables.rows("inventory_health") if row["warehouse_id"] == 1]
    open_units = {key: sums for key, sums in _sums(lines, shelf, ["open_units", "overdue_units"]).items() if any(sums)}
    on_order = _sums([row for row in health if row["on_order_units"]], shelf, ["on_order_units", "overdue_units"])
    assert open_units == on_order
    assert len(open_units) > 3


def past_rows(tables: Reporting, source: str) -> Rows:
    """The drawn rows of a source."""
    return list(parquet.read_table(tables.folder / f"source_{source}.parquet").to_pylist())


def test_a_customer_counts_once_a_day(tables: Reporting) -> None:
    kept = [row for row in tables.rows("orders") if row["voided_on"] is None]
    buyers: dict[Any, set[int]] = defaultdict(set)
    for row in kept:
        buyers[row["ordered_on"], row["currency"]] |= {row["customer_id"]} - {None}
    days = {(row["day"], row["currency"]): row["customers"] for row in tables.rows("daily_sales") if row["orders"]}
    assert {key: len(customers) for key, customers in buyers.items()} == days
    assert sum(days.values()) < len(_of_customers(kept))


def test_a_guests_order_counts_on_its_day_and_for_no_customer(tables: Reporting) -> None:
    guests = [row for row in tables.rows("orders") if row["customer_id"] is None]
    kept = [row | {"day": row["ordered_on"], "guest_orders": 1} for row in guests if row["voided_on"] is None]
    assert {(row["customer_order_number"], row["is_first_order"]) for row in guests} == {(None, False)}
    days = [row for row in tables.rows("daily_sales") if row["guest_orders"]]
    counted = _sums(days, ["day", "currency"], ["guest_orders"])
    assert counted == _sums(kept, ["day", "currency"], ["guest_orders"]) != {}
    for name in ("customers", "customer_rfm", "customer_activity", "customer_labels"):
        assert None not in {row["customer_id"] for row in tables.rows(name)}, name


def test_when_guests_register_and_accounts_are_merged_figures_are_of_who_has_the_orders_now(
    pandas_report: Report,
) -> None:
    """Every guest becomes customer 20, and customer 4 becomes 3: as if they always had been."""
    rows, moves = past(SEEDS[0]).rows, {None: 20, 4: 3}
    before = pandas_report(rows, as_of=AS_OF)
    rows["customers"] = [row for row in rows["customers"] if row["customer_id"] != 4] + [{"customer_id": 20}]
    for row in rows["orders"]:
        row["customer_id"] = moves.get(row["customer_id"], row["customer_id"])
    after = pandas_report(rows, as_of=AS_OF)
    kept = [row for row in before.rows("orders") if row["voided_on"] is None]
    for gained, of in ((20, {None}), (3, {3, 4})):
        (customer,) = (row for row in after.rows("customers") if row["customer_id"] == gained)
        orders = [row for row in kept if row["customer_id"] in of]
        numbers = [row["customer_order_number"] for row in after.rows("orders") if row["customer_id"] == gained]
        assert customer["lifetime_orders"] == len(orders) > 0
        assert sorted(filter(None, numbers)) == list(range(1, len(orders) + 1))
    assert 4 not in {row["customer_id"] for row in after.rows("customers")}
    assert sum(row["guest_orders"] for row in after.rows("daily_sales")) == 0
    money = ["orders", "gross_sales_cents", "net_sales_cents", "tax_cents"]
    assert _sums(after.rows("daily_sales"), ["day", "currency"], money) == _sums(
        before.rows("daily_sales"), ["day", "currency"], money
    )


def test_products_add_up_to_their_day(tables: Reporting) -> None:
    of_products = {column.lake_name: column.type for column in TABLES["daily_product_sales"].table.columns}
    of_days = {column.lake_name for column in TABLES["daily_sales"].table.columns}
    shared = [
        name for name, kind in of_products.items() if kind in (Type.INTEGER, Type.UNITS, Type.CENTS) and name in of_days
    ]
    assert shared == [
        "units",
        "refunded_units",
        "gross_sales_cents",
        "discounts_cents",
        "returns_cents",
        "net_sales_cents",
    ]
    products = _sums(tables.rows("daily_product_sales"), ["day", "currency"], shared)
    days = _sums(tables.rows("daily_sales"), ["day", "currency"], shared)
    assert products == {key: sums for key, sums in days.items() if key in products}
    assert not any(any(sums) for key, sums in days.items() if key not in products)


def test_discounts_add_up_to_their_day(tables: Reporting) -> None:
    codes = tables.rows("discounts")
    days = [row for row in tables.rows("daily_sales") if row["discounts_cents"]]
    assert _sums(codes, ["day", "currency"], ["discounts_cents"]) == _sums(
        days, ["day", "currency"], ["discounts_cents"]
    )
    assert {row["discount_code"] for row in codes} == {"", "SPRING", "OFFER"}


def test_refunds_add_up_to_their_day(tables: Reporting) -> None:
    shared = ["refunded_units", "returns_cents"]
    refunds = _sums(tables.rows("refunds_daily"), ["day", "currency"], shared)
    days = [row for row in tables.rows("daily_sales") if row["refunded_units"]]
    assert refunds == _sums(days, ["day", "currency"], shared)
    assert {row["restocked"] for row in tables.rows("refunds_daily")} == {True, False}


def test_payments_add_up_to_their_day_and_the_rest_is_receivable(tables: Reporting) -> None:
    paid = ["captured_cents", "refunded_cents", "issued_cents"]
    days = tables.rows("receivables_daily")
    by_day = _sums(tables.rows("payments_daily"), ["day", "currency"], paid)
    by_day = {key: sums for key, sums in by_day.items() if any(sums)}
    assert by_day == {key: sums for key, sums in _sums(days, ["day", "currency"], paid).items() if any(sums)}
    sold = sum(row["total_sales_cents"] for row in tables.rows("daily_sales"))
    sold += sum(row["rounding_cents"] for row in tables.rows("orders") if row["status"] != "cancelled")
    net = sum(row["net_payments_cents"] for row in tables.rows("payments_daily"))
    last = {row["currency"]: row["receivable_cents"] for row in days}
    assert sum(last.values()) == sold - net != 0
    assert {row["method"] for row in tables.rows("payments_daily")} == {"card", "gift_card", "unknown"}


def test_customers_hold_every_order_of_theirs(tables: Reporting) -> None:
    kept = _of_customers(row for row in tables.rows("orders") if row["voided_on"] is None)
    customers = tables.rows("customers")
    activity = tables.rows("customer_activity")
    assert sum(row["lifetime_orders"] for row in customers) == len(kept)
    assert sum(row["orders_365d"] for row in activity) == len(kept)
    assert sum(row["new_customers"] for row in tables.rows("daily_sales")) == len({row["customer_id"] for row in kept})
    net_sales = {row["customer_id"]: row["lifetime_net_sales_cents"] for row in customers}
    assert {row["customer_id"]: row["net_sales_365d_cents"] for row in activity}.items() <= net_sales.items()


def test_a_shelf_opens_as_it_closed(tables: Reporting) -> None:
    shelves: dict[int, Rows] = defaultdict(list)
    for row in tables.rows("inventory_daily"):
        shelves[row["product_id"]].append(row)
        change = row["received"] - row["shipped"] + row["returned"] + row["adjusted"] + row["unexplained_units"]
        assert row["closing_units"] == row["opening_units"] + change
    for rows in shelves.values():
        assert [row["day"] for row in rows] == list(range(rows[0]["day"], day(AS_OF) + 1))
        assert [row["opening_units"] for row in rows[1:]] == [row["closing_units"] for row in rows[:-1]]


def test_products_hold_every_sale(tables: Reporting) -> None:
    sold = _sums(tables.rows("daily_product_sales"), ["product_id"], ["units", "refunded_units"])
    products = _sums(tables.rows("products"), ["product_id"], ["lifetime_units", "refunded_units"])
    assert sold.items() <= products.items()
    assert not any(any(sums) for key, sums in products.items() if key not in sold)
    assert [row["product_id"] for row in tables.rows("product_abc_xyz")] == [key for (key,) in sorted(products)]


def test_stockouts_hold_every_empty_day(tables: Reporting) -> None:
    shelf = ["product_id", "warehouse_id"]
    empty = [row | {"days": 1} for row in tables.rows("inventory_daily") if row["is_stockout"]]
    assert _sums(empty, shelf, ["days"]) == _sums(tables.rows("stockouts"), shelf, ["days"])
    for row in tables.rows("stockouts"):
        assert (row["ended_on"] or day(AS_OF)) - row["started_on"] + 1 == row["days"]


def test_every_parcel_is_placed_once_and_shipped_cancelled_or_open(tables: Reporting) -> None:
    left = {row["order_id"]: row["shipped_on"] for row in tables.rows("orders")}
    lines = [row for row in tables.rows("order_lines") if row["removed_on"] is None]
    lines = [row for row in lines if row["sold_on"] <= (left[row["order_id"]] or row["sold_on"])]
    warehouses = {(row["order_id"], row["warehouse_id"]) for row in lines}
    shipped = {row["order_id"] for row in tables.rows("orders") if row["shipped_on"] is not None}
    cancelled = {row["order_id"] for row in tables.rows("orders") if row["cancelled_on"] is not None} - shipped
    rows = tables.rows("fulfilment_daily")
    assert sum(row["orders_placed"] for row in rows) == len(warehouses)
    assert sum(row["orders_shipped"] for row in rows) == len([1 for order, _ in warehouses if order in shipped])
    assert sum(row["orders_cancelled"] for row in rows) == len([1 for order, _ in warehouses if order in cancelled])
    still_open = [1 for order, _ in warehouses if order not in shipped | cancelled]
    assert sum(row["open_orders"] for row in rows if row["day"] == day(AS_OF)) == len(still_open) > 0


def test_cohorts_hold_every_order_of_a_customer(tables: Reporting) -> None:
    kept = _of_customers(row for row in tables.rows("orders") if row["voided_on"] is None)
    first = {row["customer_id"]: row["currency"] for row in kept if row["is_first_order"]}
    rows = tables.rows("customer_cohorts")
    assert sum(row["orders"] for row in rows) == len(kept)
    assert sum(row["customers"] for row in rows if row["months_since"] == 0) == len(first)
    in_currency = [row for row in kept if row["currency"] == first[row["customer_id"]]]
    assert sum(row["other_currency_orders"] for row in rows) == len(kept) - len(in_currency) > 0
    net_sales = ["net_sales_cents"]
    assert _sums(rows, ["currency"], net_sales) == _sums(in_currency, ["currency"], net_sales)
    assert [row["customer_id"] for row in tables.rows("customer_rfm")] == sorted(first)


def test_labels_are_what_the_features_of_their_last_day_look_back_on(tables: Reporting) -> None:
    customers = {row["customer_id"]: row["orders_90d"] for row in tables.rows("customer_activity")}
    ordered = {row["customer_id"]: row["orders_next_90d"] for row in tables.rows("customer_labels")}
    assert ordered.items() <= customers.items()
    shelf = ("product_id", "warehouse_id")
    demand = {tuple(row[name] for name in shelf): row for row in tables.rows("product_demand")}
    labels = {tuple(row[name] for name in shelf): row for row in tables.rows("demand_labels")}
    assert labels
    for key, row in labels.items():
        assert (row["units_next_28"], row["is_censored_28"]) == (demand[key]["sum_28"], demand[key]["is_censored"])


@pytest.mark.parametrize("name", TABLES)
def test_a_sound_shop_breaks_no_rule_that_stops_the_night(tables: Reporting, name: str) -> None:
    (file,) = tables.built(name).files
    rules = [rule for rule in tables.built(name).table.all_rules if "_copies" not in rule.reads]
    stopping = [rule for rule in rules if rule.severity is not Severity.WARN]
    assert stopping
    for rule in stopping:
        broken = duckdb.execute(f"select count(*) from read_parquet(?) where {rule.broken_sql}", [str(file)]).fetchone()
        assert broken == (0,), rule.name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.long
def test_nothing_after_the_day_changes_anything(pandas_report: Report, seed: str) -> None:
    """Orders, shipments, cancellations, refunds and movements of later days leave every table as it was.

    So does deleting any of them again.
    """
    before, last = pandas_report(past(seed).rows, as_of=AS_OF), day(AS_OF) + 30
    later = past(seed).then(day(AS_OF) + 1, last).between(day(AS_OF) + 1, last, orders=60).rows
    kept = {name: [row for row in rows if not _is_later(row) or row != rows[-1]] for name, rows in later.items()}
    kept["orders"] = [row for row in later["orders"] if not _is_later(row) or row["order_id"] % 2]
    assert sum(map(len, kept.values())) < sum(map(len, later.values()))
    for rows in (later, kept):
        after = pandas_report(rows, as_of=AS_OF)
        for name in TABLES:
            assert after.arrow(name).equals(before.arrow(name)), name


def _is_later(row: dict[str, Any]) -> bool:
    """Whether a row began after the day."""
    begins = ("ordered_on", "sold_on", "refunded_on", "paid_on", "moved_on", "known_on")
    return any((row.get(begun) or 0) > day(AS_OF) for begun in begins)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_feature_knows_what_the_shop_says_of_today(pandas_report: Report, seed: str) -> None:
    """A cost, a price and a count on the shelf have no day: what they say now they did not say then."""
    before, repriced = past(seed).rows, past(seed).rows
    for product in repriced["products"]:
        product |= {"unit_cost_cents": 1, "unit_price_cents": 2, "is_active": False}
    for shelf in repriced["inventory"]:
        shelf |= {"on_hand": 99, "reserved": 9, "unexplained_units": 5}
    repriced["inventory"].append({"product_id": 1, "warehouse_id": 7, "on_hand": 3, "unexplained_units": 3})
    features = [name for name, one in TABLES.items() if one.table.schema == "features"]
    then, now = pandas_report(before, as_of=AS_OF), pandas_report(repriced, as_of=AS_OF)
    assert features
    for name in features:
        assert now.arrow(name).equals(then.arrow(name)), name
