"""features.customer_activity."""

from __future__ import annotations

import math

from tests.transforms.conftest import Report, Shop

# Customer 1 orders on days 0, 3 (twice), 10 and 24 of January; the 3rd, the 10th and the 24th are Saturdays.
REGULAR = {
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
        12         bag -
    """,
    "orders": """
        order_id customer_id status    currency subtotal_cents discount_cents tax_cents total_cents ordered_at cancelled_at
        1        1           pending   EUR      1000           0              0         1000        2026-01-01 -
        2        1           pending   EUR      600            100            0         500         2026-01-03 -
        3        1           pending   EUR      400            0              0         400         2026-01-03 -
        4        1           cancelled EUR      5000           0              0         5000        2026-01-05 2026-01-06
        5        1           pending   EUR      300            0              0         300         2026-01-10 -
        6        1           pending   USD      200            0              0         200         2026-01-24 -
        7        2           cancelled EUR      100            0              0         100         2026-01-24 2026-01-24
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on
        1             1        10         1            5        200              2026-01-01
        2             2        11         1            3        200              2026-01-03
        3             3        10         1            2        200              2026-01-03
        4             4        10         1            25       200              2026-01-05
        5             5        12         1            1        300              2026-01-10
        6             6        99         1            1        200              2026-01-24
        7             7        10         1            1        100              2026-01-24
    """,
    "refunds": """
        refund_id order_item_id quantity amount_cents restocked refunded_at
        1         1             1        200          yes       2026-01-20
        2         1             1        200          yes       2026-01-28
    """,
}


def test_measures_a_regular_customer(report: Report) -> None:
    """Gaps of 2, 7 and 14 days; 4 repeat orders on 3 days, of which the last is in another currency."""
    std = math.sqrt((3 * (4 + 49 + 196) - 23 * 23) / 6)
    tables = report(REGULAR, as_of="2026-01-28")
    tables.check(
        "customer_activity",
        """
        as_of      customer_id currency recency_days tenure_days frequency monetary orders_7d orders_28d orders_365d net_sales_7d_cents net_sales_28d_cents average_order_value_90d
        2026-01-28 1           EUR      4            27          3         1200/200 1         5          5           -200               1800                2200/400
        2026-01-28 2           -        -            -           0         -        0         0          0           0                  0                   -
        """,
    )
    tables.check(
        "customer_activity",
        """
        customer_id interpurchase_days_mean interpurchase_days_last overdue_ratio cancel_rate_365d return_rate_365d discount_share_365d distinct_products_365d distinct_categories_365d top_category_share weekend_share
        1           23/3                    14                      12/23         1/6              2/12             100/2300            4                      2                        7/12               4/5
        2           -                       -                       -             1                -                -                   0                      0                        -                  -
        """,
    )
    assert [row["interpurchase_days_std"] for row in tables.rows("customer_activity")] == [std, None]


def test_only_those_who_had_ordered(report: Report, shop: Shop) -> None:
    assert [row["customer_id"] for row in report(shop, as_of="2026-01-02").rows("customer_activity")] == [1, 2]


def test_windows_end_with_the_day(report: Report) -> None:
    """The order of the 1st is the first day of a 28-day window that ends on the 28th, and outside it on the 29th."""
    within = [report(REGULAR, as_of=as_of).rows("customer_activity")[0] for as_of in ("2026-01-28", "2026-01-29")]
    assert [row["orders_28d"] for row in within] == [5, 4]


def test_a_shop_without_orders(report: Report) -> None:
    assert report({}).rows("customer_activity") == []


def test_a_category_counts_as_it_was_known_on_the_day(report: Report) -> None:
    """The mug becomes a drink on the 20th, which changes nothing of the days before; a later slice has both in one."""
    shop = {
        **REGULAR,
        "products_versions": """
            product_id valid_from valid_to   category
            10         1970-01-01 -          drinks
            11         1970-01-01 2026-01-20 ware
            11         2026-01-20 -          drinks
            12         2026-01-28 -          bags
        """,
    }
    known = {
        as_of: report(shop, as_of=as_of).rows("customer_activity")[0]["distinct_categories_365d"]
        for as_of in ("2026-01-19", "2026-01-20", "2026-01-28")
    }
    assert known == {"2026-01-19": 2, "2026-01-20": 1, "2026-01-28": 2}
