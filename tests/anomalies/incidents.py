"""Incidents to plant: what goes wrong in a shop, or on the way out of it, and breaks no rule of the gate.

Each is a change of one day's accepted rows, source by source, as SQL over ``rows`` (the day's rows of that source). An
incident keeps a row's amounts together (a tenfold price is a tenfold total), as otherwise the gate would hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_NEXT: Final = 1_000_000_000_000_000  # added to a key: another row's
_ORDER_MONEY: Final = (
    "subtotal", "discount", "shipping", "shipping_discount", "tax", "shipping_tax", "tax_due", "total", "parts_total",
    "lines_total", "rounding", "lines_gross", "lines_discount", "lines_tax",
)  # fmt: skip
_LINE_MONEY: Final = ("unit_price", "subtotal", "discount", "tax", "unit_cost", "gross")


@dataclass(frozen=True)
class Incident:
    """Something that goes wrong on one day.

    Attributes:
        name: what it is called in a report.
        changes: by source, the query that gives the day's rows as they then are, from ``rows``.
    """

    name: str
    changes: Mapping[str, str]


def _times(columns: tuple[str, ...], factor: str, where: str = "true") -> str:
    """The rows with their amounts multiplied, where a predicate holds."""
    values = ", ".join(
        f"case when {where} then cast({one}_cents * {factor} as bigint) else {one}_cents end as {one}_cents"
        for one in columns
    )
    return f"select * replace ({values}) from rows"


def _only(where: str) -> str:
    return f"select * from rows where {where}"


def _set(column: str, value: str, where: str = "true") -> str:
    """The rows with another value in a column, where a predicate holds."""
    return f"select * replace (case when {where} then {value} else {column} end as {column}) from rows"


def _twice(key: str, where: str = "true", *others: str) -> str:
    """The rows, and those where a predicate holds once more under another key."""
    keys = ", ".join(f"{one} + {_NEXT} as {one}" for one in (key, *others))
    return f"from rows union all select * replace ({keys}) from rows where {where}"


def _third(key: str) -> str:
    return f"hash({key}) % 3 = 0"


def _silent(warehouse: int) -> dict[str, str]:
    """No order has a line of a warehouse; whoever ordered there ordered nothing."""
    there = f"order_id not in (select order_id from clean_order_items where warehouse_id = {warehouse})"
    return {"orders": _only(there), "order_items": _only(there)}


def _more_refunds(times: int) -> str:
    """As many refunds, the others of other lines and a minute later each."""
    more = [
        f"""select * replace (
            refund_id + {_NEXT} * {one} as refund_id, order_item_id + {_NEXT} * {one} as order_item_id,
            refunded_at - interval '{one} minutes' as refunded_at
        ) from rows"""
        for one in range(1, times)
    ]
    return " union all ".join(["from rows", *more])


def _until(minute: int) -> dict[str, str]:
    """Nothing of the day is there that happened later, or earlier where the minute is negative."""
    comparison = f"< {minute}" if minute > 0 else f">= {-minute}"
    instants = {
        "orders": "ordered_at", "order_items": "coalesce(sold_at, order_placed_at)", "payments": "paid_at",
        "refunds": "refunded_at", "shipment_items": "shipped_at", "inventory_movements": "moved_at",
    }  # fmt: skip
    return {name: _only(f"minute_of_day({instant}) {comparison}") for name, instant in instants.items()}


def _tax_rate(factor: str) -> dict[str, str]:
    """Tax at another rate, in the shop's own statement too; totals follow."""
    taxes = ", ".join(f"cast({one}_cents * {factor} as bigint) as {one}_cents" for one in ("tax", "tax_due"))
    total = f"total_cents + cast(tax_cents * {factor} as bigint) - tax_cents as total_cents"
    return {"orders": f"select * replace ({taxes}, {total}) from rows"}


def _discount(value: str, rate: str) -> dict[str, str]:
    """Another discount on every order; tax and total follow."""
    off = f"(cast({value} as bigint) - discount_cents)"
    taxes = ", ".join(f"{one}_cents - cast({off} * {rate} as bigint) as {one}_cents" for one in ("tax", "tax_due"))
    total = f"total_cents - {off} - cast({off} * {rate} as bigint) as total_cents"
    return {"orders": f"select * replace (cast({value} as bigint) as discount_cents, {taxes}, {total}) from rows"}


_IN_TENS: Final = """
    select * replace (quantity * 10 as quantity, unit_price_cents // 10 as unit_price_cents) from rows
"""

IN_DEMO_SHOP: Final = (
    Incident("the afternoon is missing", _until(720)),
    Incident("the morning is missing", _until(-720)),
    Incident("the last six hours are missing", _until(1080)),
    Incident("prices times 100", {"orders": _times(_ORDER_MONEY, "100"), "order_items": _times(_LINE_MONEY, "100")}),
    Incident("prices by 100", {"orders": _times(_ORDER_MONEY, "0.01"), "order_items": _times(_LINE_MONEY, "0.01")}),
    Incident(
        "prices times 100 in a tenth of the orders",
        {
            "orders": _times(_ORDER_MONEY, "100", "order_id % 10 = 0"),
            "order_items": _times(_LINE_MONEY, "100", "order_id % 10 = 0"),
        },
    ),
    Incident("a warehouse is silent", _silent(1)),
    Incident("a small warehouse is silent", _silent(3)),
    Incident(
        "every order twice",
        {
            "orders": _twice("order_id"),
            "order_items": _twice("order_item_id", "true", "order_id"),
            "payments": _twice("payment_id", "true", "order_id"),
        },
    ),
    Incident(
        "every fifth order twice",
        {
            "orders": _twice("order_id", "order_id % 5 = 0"),
            "order_items": _twice("order_item_id", "order_id % 5 = 0", "order_id"),
        },
    ),
    Incident("every third payment twice", {"payments": _twice("payment_id", _third("payment_id"))}),
    Incident(
        "no order in dollars",
        {
            "orders": _only("currency <> 'USD'"),
            "order_items": _only("currency <> 'USD'"),
            "payments": _only("currency <> 'USD'"),
        },
    ),
    Incident(
        "no order in euros",
        {
            "orders": _only("currency <> 'EUR'"),
            "order_items": _only("currency <> 'EUR'"),
            "payments": _only("currency <> 'EUR'"),
        },
    ),
    Incident("a third of the orders names no customer", {"orders": _set("customer_id", "null", _third("order_id"))}),
    Incident("a third of the addresses is null", {"orders": _set("shipping_address", "null", _third("order_id"))}),
    Incident("a third of the lines has no cost", {"order_items": _set("unit_cost_cents", "null", _third("order_id"))}),
    Incident("a third of the payments has no method", {"payments": _set("method", "null", _third("payment_id"))}),
    Incident("tax at 12 percent", _tax_rate("1.2")),
    Incident("tax at 9 percent", _tax_rate("0.9")),
    Incident("every order is of one channel", {"orders": _set("channel", "'web'")}),
    Incident("every order is of one customer", {"orders": _set("customer_id", "1", "customer_id is not null")}),
    Incident("quantities in tens", {"order_items": _IN_TENS}),
    Incident("30 percent off everything", _discount("subtotal_cents * 0.3", "0.1")),
    Incident("no payment", {"payments": _only("false")}),
    Incident("no refund", {"refunds": _only("false"), "order_refunds": _only("false")}),
    Incident("five times the refunds", {"refunds": _more_refunds(5)}),
    Incident("nothing is delivered", {"orders": "select * replace (null as delivered_on) from rows"}),
    Incident("no shipment", {"shipment_items": _only("false")}),
)

IN_REAL_PURCHASES: Final = (
    Incident("the afternoon is missing", _until(840)),
    Incident("the morning is missing", _until(-840)),
    Incident("prices times 100", {"orders": _times(_ORDER_MONEY, "100"), "order_items": _times(_LINE_MONEY, "100")}),
    Incident(
        "the largest store is silent",
        {"orders": _only("store_id <> '367'"), "order_items": _only("warehouse_id <> 367")},
    ),
    Incident(
        "every basket twice",
        {"orders": _twice("order_id"), "order_items": _twice("order_item_id", "true", "order_id")},
    ),
    Incident(
        "every fifth basket twice",
        {
            "orders": _twice("order_id", "hash(order_id) % 5 = 0"),
            "order_items": _twice("order_item_id", "hash(order_id) % 5 = 0", "order_id"),
        },
    ),
    Incident("a third of the baskets names no household", {"orders": _set("customer_id", "null", _third("order_id"))}),
    Incident(
        "half of the baskets are missing",
        {"orders": _only("hash(order_id) % 2 = 0"), "order_items": _only("hash(order_id) % 2 = 0")},
    ),
    Incident("no discount", _discount("0", "0")),
    Incident("every basket is of one household", {"orders": _set("customer_id", "1")}),
    Incident("quantities in tens", {"order_items": _IN_TENS}),
    Incident("no basket", {"orders": _only("false"), "order_items": _only("false")}),
)
