"""reporting.daily_sales."""

from __future__ import annotations

from typing import Any

from tests.transforms.conftest import Report, Shop, day


def test_counts_each_day_of_each_currency(report: Report, shop: Shop) -> None:
    report(shop).check(
        "daily_sales",
        """
        day        currency orders cancelled_orders customers new_customers returning_customers units refunded_units gross_sales_cents discounts_cents returns_cents net_sales_cents tax_cents total_sales_cents average_order_value
        2026-01-02 EUR      1      1                1         1             0                   3     0              3000              100             0             2900            290       3190              2900/100
        2026-01-02 USD      1      0                1         0             1                   7     0              700               0               0             700             70        770               700/100
        2026-01-03 EUR      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-03 USD      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-04 EUR      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-04 USD      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-05 EUR      1      0                1         1             0                   2     1              2000              0               1000          1000            200       1200              2000/100
        2026-01-05 USD      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-06 EUR      2      0                2         2             0                   4     1              1999              99              900           1000            190       1190              1900/200
        2026-01-06 USD      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-07 EUR      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-07 USD      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-08 EUR      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-08 USD      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-09 EUR      0      0                0         0             0                   0     1              0                 0               1000          -1000           0         -1000             -
        2026-01-09 USD      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-10 EUR      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        2026-01-10 USD      0      0                0         0             0                   0     0              0                 0               0             0               0         0                 -
        """,
    )


def test_a_refund_of_an_order_cancelled_since_does_not_count(report: Report, shop: Shop) -> None:
    """Order 4 was placed on the 5th, refunded on the 9th and cancelled on the 12th."""
    days = [row for row in report(shop, as_of="2026-01-12").rows("daily_sales") if row["currency"] == "EUR"]
    found = {row["day"]: (row["orders"], row["cancelled_orders"], row["returns_cents"]) for row in days}
    assert found[day("2026-01-05")] == (0, 1, 1000)
    assert found[day("2026-01-09")] == (0, 0, 0)


def given_back(report: Report, shop: Shop, as_of: str = "2026-01-10") -> dict[tuple[int, str], tuple[int, ...]]:
    """Units refunded and back, refunds of no line, of shipping and of tax, and total sales, where there is something."""
    names = ("refunded_units", "returned_units", "other_refunds_cents", "shipping_refunds_cents", "tax_refunds_cents")
    rows = report(shop, as_of=as_of).rows("daily_sales")
    return {
        (row["day"], row["currency"]): (*(row[name] for name in names), row["total_sales_cents"])
        for row in rows
        if any(row[name] for name in names)
    }


def test_what_no_line_explains_is_in_its_own_column_and_lowers_total_sales(
    report: Report, shop: dict[str, Any]
) -> None:
    """Of order 1 twice, of no order; of order 2, which is cancelled, not; of order 4 until it is."""
    shop["order_refunds"] = """
        order_refund_id order_id currency amount_cents shipping_cents tax_cents refunded_at
        1               1        EUR      50           7              6         2026-01-06
        2               1        EUR      1            0              0         2026-01-06
        3               -        EUR      20           0              0         2026-01-06
        4               2        EUR      300          0              30        2026-01-06
        5               4        EUR      9            8              7         2026-01-09
        6               -        USD      5            0              1         2026-01-07
    """
    sixth, seventh, ninth = day("2026-01-06"), day("2026-01-07"), day("2026-01-09")
    plain = {key: row["total_sales_cents"] for key, row in _by_day(report, shop | {"order_refunds": ""}).items()}
    found = given_back(report, shop)
    assert found[sixth, "EUR"] == (1, 0, 71, 7, 6, plain[sixth, "EUR"] - 71 - 7 - 6)
    assert found[seventh, "USD"] == (0, 0, 5, 0, 1, -6)
    assert found[ninth, "EUR"] == (1, 0, 9, 8, 7, plain[ninth, "EUR"] - 9 - 8 - 7)
    after = given_back(report, shop, as_of="2026-01-12")
    assert (ninth, "EUR") not in after
    rows = _by_day(report, shop)
    assert {row["net_sales_cents"] for row in rows.values()} - {-1000} == {0, 700, 1000, 2900}


def test_a_return_counts_on_its_own_day_and_tax_on_that_of_the_refund(report: Report, shop: dict[str, Any]) -> None:
    """Refund 2 has no tax and never came back; 1 came back the day before, 3 the day after, 5 after the 10th."""
    shop["refunds"] = """
        refund_id order_item_id quantity amount_cents tax_cents restocked refunded_at returned_at
        1         101           1        1000         100       yes       2026-01-05  2026-01-04
        2         101           1        900          -         no        2026-01-06  -
        3         401           1        1000         99        yes       2026-01-08  2026-01-09
        5         301           2        200          20        yes       2026-01-08  2026-01-11
    """
    found = given_back(report, shop)
    assert {key: value[:-1] for key, value in found.items()} == {
        (day("2026-01-04"), "EUR"): (0, 1, 0, 0, 0),
        (day("2026-01-05"), "EUR"): (1, 0, 0, 0, 100),
        (day("2026-01-06"), "EUR"): (1, 0, 0, 0, 0),
        (day("2026-01-08"), "EUR"): (1, 0, 0, 0, 99),
        (day("2026-01-08"), "USD"): (2, 0, 0, 0, 20),
        (day("2026-01-09"), "EUR"): (0, 1, 0, 0, 0),
    }
    assert given_back(report, shop, as_of="2026-01-11")[day("2026-01-11"), "USD"][1] == 2
    before = _by_day(report, shop, as_of="2026-01-04")
    assert before[day("2026-01-04"), "EUR"]["returned_units"] == 0, "not refunded yet"


def test_a_currency_begins_with_a_refund_of_no_order(report: Report, shop: dict[str, Any]) -> None:
    shop["order_refunds"] = """
        order_refund_id order_id currency amount_cents refunded_at
        1               -        GBP      500          2026-01-09
        2               -        USD      7            2026-01-01
    """
    rows = _by_day(report, shop)
    assert [(key[0], row["orders"], row["total_sales_cents"]) for key, row in rows.items() if key[1] == "GBP"] == [
        (day("2026-01-09"), 0, -500),
        (day("2026-01-10"), 0, 0),
    ]
    assert min(key[0] for key in rows if key[1] == "USD") == day("2026-01-01")
    alone = _by_day(report, {"order_refunds": shop["order_refunds"]})
    assert sum(row["other_refunds_cents"] for row in alone.values()) == 507


def _by_day(report: Report, shop: Shop, as_of: str = "2026-01-10") -> dict[tuple[int, str], dict[str, Any]]:
    return {(row["day"], row["currency"]): row for row in report(shop, as_of=as_of).rows("daily_sales")}


def test_a_shop_without_refunds(report: Report, shop: dict[str, Any]) -> None:
    shop["refunds"] = ""
    assert {row["returns_cents"] for row in report(shop).rows("daily_sales")} == {0}


def test_a_shop_without_orders(report: Report) -> None:
    assert report({}).rows("daily_sales") == []


def test_goods_that_came_back_before_they_are_paid_back_are_a_row_of_their_own(report: Report) -> None:
    """Two of three come back on the 4th, and nothing is paid; the money of one is given back on the 8th."""
    shop = {
        "orders": """
            order_id customer_id status    currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           delivered EUR      3000           0              0         3000        2026-01-02
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents unit_cost_cents sold_on
            1             1        1          1            3        1000             400             2026-01-02
        """,
        "refunds": """
            refund_id order_item_id quantity amount_cents restocked refunded_at returned_at
            1         1             2        0            yes       2026-01-04  2026-01-04
            2         1             0        1000         no        2026-01-08  -
        """,
    }
    rows = {row["day"]: row for row in report(shop).rows("daily_sales")}
    back, paid = rows[day("2026-01-04")], rows[day("2026-01-08")]
    assert (back["returned_units"], back["returns_cents"]) == (2, 0)
    assert (paid["returned_units"], paid["returns_cents"]) == (0, 1000)
