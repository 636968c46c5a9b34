"""reporting.stockouts."""

from __future__ import annotations

from tests.transforms.conftest import Report
from tests.transforms.shelves import shelves

# Product 10 sells out in warehouse 1 on the 5th and again on the 9th, and is all reserved in warehouse 2 from the start.
STOCK = {
    "orders": """
        order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
        1        1           pending EUR      2000           0              0         2000        2026-01-03
        2        1           pending EUR      3000           500            0         2500        2026-01-05
        3        1           pending EUR      4000           0              0         4000        2026-01-09
        4        1           pending USD      900            0              0         900         2026-01-03
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on
        1             1        10         1            2        1000             2026-01-03
        2             2        10         1            3        1000             2026-01-05
        3             3        10         1            4        1000             2026-01-09
        4             4        10         1            1        900              2026-01-03
    """,
    "inventory_movements": """
        movement_id product_id warehouse_id kind        quantity moved_at
        1           10         1            receipt     6        2026-01-02
        2           10         1            reservation 3        2026-01-03
        3           10         1            reservation 3        2026-01-05
        4           10         1            receipt     4        2026-01-08
        5           10         1            reservation 4        2026-01-09
        6           10         2            receipt     1        2026-01-04
        7           10         2            reservation 1        2026-01-04
    """,
}


def test_counts_days_and_what_they_cost(report: Report) -> None:
    """Before the 5th: 3 units on 3 days in stock, 2 of them in euros at 10.00. Before the 9th: 6 on 5, 5 of them at 9.00."""
    report(STOCK).check(
        "stockouts",
        """
        product_id warehouse_id started_on ended_on   days units_before in_stock_days_before lost_units currency lost_sales_cents
        10         1            2026-01-05 2026-01-07 3    3            3                    3          EUR      3000
        10         1            2026-01-09 -          2    6            5                    12/5       EUR      2160
        10         2            2026-01-04 -          7    0            0                    -          EUR      -
        """,
    )


def test_an_episode_that_has_ended_stays_as_it_was(report: Report) -> None:
    later = report(STOCK, as_of="2026-01-08").rows("stockouts")
    assert later[:1] == report(STOCK).rows("stockouts")[:1]


def test_velocity_is_of_the_28_days_before(report: Report) -> None:
    """Before the 30th lie the 2nd to the 29th: not the 1st."""
    shop = shelves(
        """
        day        product_id warehouse_id received sold
        2026-01-01 10         1            40       7
        2026-01-02 10         1            0        14
        2026-01-30 10         1            0        19
        """
    )
    report(shop, as_of="2026-01-30").check(
        "stockouts",
        """
        started_on ended_on days units_before in_stock_days_before lost_units lost_sales_cents
        2026-01-30 -        1    14           28                   1/2        500
        """,
    )


def test_what_nobody_bought_is_no_sale_lost(report: Report) -> None:
    shop = {
        "inventory_movements": """
            movement_id product_id warehouse_id kind       quantity moved_at
            1           10         1            receipt    2        2026-01-02
            2           10         1            adjustment -2       2026-01-04
        """
    }
    report(shop).check(
        "stockouts",
        """
        started_on units_before in_stock_days_before lost_units currency lost_sales_cents
        2026-01-04 0            2                    0          -        0
        """,
    )


def test_a_shelf_that_was_never_stocked_has_none(report: Report) -> None:
    shop = {
        "inventory_movements": """
            movement_id product_id warehouse_id kind        quantity moved_at
            1           10         1            reservation 2        2026-01-02
            2           11         1            reservation 2        2026-01-02
            3           11         1            receipt     2        2026-01-04
        """
    }
    report(shop).check(
        "stockouts",
        """
        product_id started_on days
        11         2026-01-04 7
        """,
    )


def test_a_shop_that_never_ran_out(report: Report) -> None:
    assert report({}).rows("stockouts") == []
