"""reporting.customer_cohorts."""

from __future__ import annotations

from tests.transforms.conftest import Report, Shop

# 1 orders in January and March, and gets money back in March. 2 orders twice in January, 3 first in February. 4 first
# orders in dollars. 5 only ever cancelled, and 1 once, in February.
REGULARS: Shop = {
    "orders": """
        order_id customer_id status    currency subtotal_cents discount_cents tax_cents total_cents ordered_at cancelled_at
        1        1           pending   EUR      1000           100            0         900         2026-01-05 -
        2        1           pending   EUR      500            0              0         500         2026-03-05 -
        3        2           pending   EUR      300            0              0         300         2026-01-31 -
        4        2           pending   EUR      300            0              0         300         2026-01-31 -
        5        3           pending   EUR      700            0              0         700         2026-02-01 -
        6        4           pending   USD      50             0              0         50          2026-01-10 -
        7        4           pending   EUR      90             0              0         90          2026-01-11 -
        8        5           cancelled EUR      99             0              0         99          2026-01-12 2026-01-13
        9        1           cancelled EUR      99             0              0         99          2026-02-10 2026-02-11
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on
        1             1        10         1            2        500              2026-01-05
        2             2        10         1            1        500              2026-03-05
        3             3        10         1            1        300              2026-01-31
        4             4        10         1            1        300              2026-01-31
        5             5        10         1            1        700              2026-02-01
        6             6        10         1            1        50               2026-01-10
        7             7        10         1            1        90               2026-01-11
        8             8        10         1            1        99               2026-01-12
        9             9        10         1            1        99               2026-02-10
    """,
    "refunds": """
        refund_id order_item_id quantity amount_cents refunded_at
        1         1             1        450          2026-03-01
        2         1             1        450          2026-03-02
    """,
}


def test_follows_a_cohort_month_by_month(report: Report) -> None:
    """February of the January cohort is there although nobody came back in it."""
    report(REGULARS, as_of="2026-03-30").check(
        "customer_cohorts",
        """
        cohort_month currency months_since month   is_past customers active_customers retention_rate orders other_currency_orders net_sales_cents cumulative_net_sales_cents cumulative_net_sales_per_customer
        2026-01      EUR      0            2026-01 yes     2         2                1              3      0                     1500            1500                       1500/200
        2026-01      EUR      1            2026-02 yes     2         0                0              0      0                     0               1500                       1500/200
        2026-01      EUR      2            2026-03 no      2         1                1/2            1      0                     -400            1100                       1100/200
        2026-01      USD      0            2026-01 yes     1         1                1              2      1                     50              50                         50/100
        2026-01      USD      1            2026-02 yes     1         0                0              0      0                     0               50                         50/100
        2026-01      USD      2            2026-03 no      1         0                0              0      0                     0               50                         50/100
        2026-02      EUR      0            2026-02 yes     1         1                1              1      0                     700             700                        700/100
        2026-02      EUR      1            2026-03 no      1         0                0              0      0                     0               700                        700/100
        """,
    )


def test_a_cohort_is_followed_for_two_years(report: Report) -> None:
    rows = report(REGULARS, as_of="2028-03-01").rows("customer_cohorts")
    assert max(row["months_since"] for row in rows) == 24
    assert [row["month"] - row["cohort_month"] for row in rows] == [row["months_since"] for row in rows]


def test_a_shop_without_orders(report: Report) -> None:
    assert report({}).rows("customer_cohorts") == []
