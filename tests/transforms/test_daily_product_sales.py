"""reporting.daily_product_sales."""

from __future__ import annotations

from typing import Any

from tests.transforms.conftest import Report, Shop


def test_sells_on_the_order_day_and_gives_back_on_the_refund_day(report: Report, shop: Shop) -> None:
    report(shop).check(
        "daily_product_sales",
        """
        day        product_id warehouse_id currency units refunded_units gross_sales_cents discounts_cents returns_cents net_sales_cents cost_cents returned_cost_cents gross_margin_cents average_price
        2026-01-02 10         1            EUR      2     0              2000              67              0             1933            600        0                   1333               1933/200
        2026-01-02 11         1            EUR      1     0              1000              33              0             967             450        0                   517                967/100
        2026-01-02 12         2            USD      7     0              700               0               0             700             700        0                   0                  700/700
        2026-01-05 10         1            EUR      2     1              2000              0               1000          1000            600        300                 700                2000/200
        2026-01-06 10         1            EUR      1     1              1000              0               900           100             300        300                 100                1000/100
        2026-01-06 12         1            EUR      2     0              666               66              0             600             200        0                   400                600/200
        2026-01-06 99         1            EUR      1     0              333               33              0             300             -          0                   -                  300/100
        2026-01-09 10         1            EUR      0     1              0                 0               1000          -1000           0          300                 -700               -
        """,
    )


def test_the_cost_of_what_came_back_is_unknown_where_the_line_s_is(report: Report, shop: dict[str, Any]) -> None:
    shop["refunds"] = """
        refund_id order_item_id quantity amount_cents refunded_at
        1         601           1        300          2026-01-08
    """
    (row,) = [row for row in report(shop).rows("daily_product_sales") if row["refunded_units"]]
    assert (row["returns_cents"], row["returned_cost_cents"], row["gross_margin_cents"]) == (300, None, None)


def test_a_shop_without_orders(report: Report) -> None:
    assert report({}).rows("daily_product_sales") == []
