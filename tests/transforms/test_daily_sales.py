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


def test_a_shop_without_refunds(report: Report, shop: dict[str, Any]) -> None:
    shop["refunds"] = ""
    assert {row["returns_cents"] for row in report(shop).rows("daily_sales")} == {0}


def test_a_shop_without_orders(report: Report) -> None:
    assert report({}).rows("daily_sales") == []
