"""A guest's order counts as an order with its money, and as no customer; the same on every engine."""

from __future__ import annotations

from typing import Any

from include.contract import Type
from tests.transforms.conftest import Report

# Orders 2, 3, 4 and 6 are guests': of two currencies, one cancelled, one refunded. Customer 2 never orders.
DRAWN = {
    "customers": """
        customer_id created_at
        1           2026-01-01
        2           2026-01-01
        3           2026-01-01
    """,
    "products": """
        product_id sku category
        10         tea drinks
        11         mug ware
    """,
    "orders": """
        order_id customer_id status    currency subtotal_cents discount_cents tax_cents total_cents ordered_at       cancelled_at
        1        1           pending   EUR      1000           0              100       1100        2026-01-02T10:00 -
        2        -           pending   EUR      600            100            50        550         2026-01-02T11:00 -
        3        -           cancelled EUR      500            0              50        550         2026-01-02T12:00 2026-01-03
        4        -           pending   USD      400            0              40        440         2026-01-03T10:00 -
        5        1           pending   EUR      300            0              30        330         2026-01-03T11:00 -
        6        -           pending   EUR      200            0              20        220         2026-01-03T12:00 -
        7        3           pending   EUR      100            0              10        110         2026-01-03T13:00 -
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents unit_cost_cents sold_on
        1             1        10         1            5        200              100             2026-01-02
        2             2        11         1            3        200              100             2026-01-02
        3             3        10         1            5        100              100             2026-01-02
        4             4        10         1            2        200              100             2026-01-03
        5             5        10         1            1        300              100             2026-01-03
        6             6        11         1            2        100              50              2026-01-03
        7             7        11         1            1        100              50              2026-01-03
    """,
    "refunds": """
        refund_id order_item_id quantity amount_cents restocked refunded_at
        1         6             1        90           yes       2026-01-04
        2         1             1        200          yes       2026-01-04
    """,
}
OF_CUSTOMERS = ("customers", "customer_rfm", "customer_cohorts", "customer_activity", "customer_labels")
WINDOW_CLOSED = "2026-04-10"  # late enough for labels of January


def _without_guests() -> dict[str, str]:
    """The same shop without its guests' orders, with all that is part of them."""
    guests, lines = {"2", "3", "4", "6"}, {"2", "3", "4", "6"}
    parts = {"orders": (0, guests), "order_items": (1, guests), "refunds": (1, lines)}
    left = dict(DRAWN)
    for name, (place, gone) in parts.items():
        rows = DRAWN[name].strip().splitlines()
        left[name] = "\n".join([rows[0], *(row for row in rows[1:] if row.split()[place] not in gone)])
    return left


def test_a_guests_order_is_an_order_with_its_money_and_no_customers_first(report: Report) -> None:
    tables = report(DRAWN)
    tables.check(
        "orders",
        """
        order_id customer_id status     customer_order_number is_first_order units gross_sales_cents returns_cents net_sales_cents
        1        1           pending    1                     yes            5     1000              200           800
        2        -           pending    -                     no             3     600               0             500
        3        -           cancelled  -                     no             5     500               0             0
        4        -           pending    -                     no             2     400               0             400
        5        1           pending    2                     no             1     300               0             300
        6        -           pending    -                     no             2     200               90            110
        7        3           pending    1                     yes            1     100               0             100
        """,
    )
    tables.check(
        "order_lines",
        """
        order_item_id order_id customer_id gross_sales_cents discount_allocated_cents returns_cents
        1             1        1           1000              0                        200
        2             2        -           600               100                      0
        3             3        -           500               0                        0
        4             4        -           400               0                        0
        5             5        1           300               0                        0
        6             6        -           200               0                        90
        7             7        3           100               0                        0
        """,
    )


def test_a_day_counts_guests_orders_beside_its_customers(report: Report) -> None:
    report(DRAWN, as_of="2026-01-04").check(
        "daily_sales",
        """
        day        currency orders cancelled_orders customers new_customers returning_customers guest_orders units refunded_units gross_sales_cents discounts_cents returns_cents
        2026-01-02 EUR      2      1                1         1             0                   1            8     0              1600              100             0
        2026-01-03 EUR      3      0                2         1             1                   1            4     0              600               0               0
        2026-01-03 USD      1      0                0         0             0                   1            2     0              400               0               0
        2026-01-04 EUR      0      0                0         0             0                   0            0     2              0                 0               290
        2026-01-04 USD      0      0                0         0             0                   0            0     0              0                 0               0
        """,
    )


def test_what_is_said_of_customers_is_what_it_would_be_without_guests(report: Report) -> None:
    with_guests, without = (report(drawn, as_of=WINDOW_CLOSED) for drawn in (DRAWN, _without_guests()))
    for name in OF_CUSTOMERS:
        assert with_guests.rows(name) == without.rows(name) != [], name


def test_the_same_with_text_for_keys(pandas_report: Report) -> None:
    keys = dict.fromkeys(("orders", "order_items", "customers", "products", "warehouses", "refunds"), Type.TEXT)
    text = pandas_report(DRAWN, as_of=WINDOW_CLOSED, keys=keys)
    numbers = pandas_report(DRAWN, as_of=WINDOW_CLOSED)
    for name in ("orders", "order_lines", "daily_sales", *OF_CUSTOMERS):
        assert [_as_numbers(row) for row in text.rows(name)] == numbers.rows(name), name


def test_a_shop_of_guests_alone_has_sales_and_no_customers(report: Report) -> None:
    orders = DRAWN["orders"].replace(" 1           pending", " -           pending")
    orders = orders.replace(" 3           pending", " -           pending")
    tables = report(DRAWN | {"customers": "", "orders": orders}, as_of=WINDOW_CLOSED)
    assert [tables.rows(name) for name in OF_CUSTOMERS] == [[]] * len(OF_CUSTOMERS)
    assert sum(row["orders"] for row in tables.rows("daily_sales")) == 6
    assert sum(row["guest_orders"] for row in tables.rows("daily_sales")) == 6
    assert len(tables.rows("orders")) == len(tables.rows("order_lines")) == 7


def _as_numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {name: int(value) if value and name.endswith("_id") else value for name, value in row.items()}
