"""features.product_demand."""

from __future__ import annotations

import math
from typing import Any

from tests.transforms.conftest import Report
from tests.transforms.shelves import shelves

# Product 10 sells in warehouse 1 from January 2 on, is sold out from the 20th to the 22nd, and dearer since the 28th;
# in warehouse 2 it lies there unsold since the 25th.
SHELVES: dict[str, Any] = shelves(
    """
    day        product_id warehouse_id received sold price_cents
    2026-01-02 10         1            10       2    900
    2026-01-03 10         1            0        4    1000
    2026-01-20 10         1            0        4    1000
    2026-01-23 10         1            20       0    1000
    2026-01-28 10         1            0        1    1200
    2026-01-30 10         1            0        3    1200
    2026-01-25 10         2            7        0    1000
    """
)


def test_measures_a_shelf(report: Report) -> None:
    """As of January 31, 30 days after the first; 28 of them begin with the 4th."""
    tables = report(SHELVES, as_of="2026-01-31")
    tables.check(
        "product_demand",
        """
        as_of      product_id warehouse_id units lag_1 lag_7 lag_14 lag_28 sum_7 sum_14 sum_28 sum_56 mean_7 mean_28 mean_56 zero_ratio_7 zero_ratio_28 days_since_last_sale
        2026-01-31 10         1            0     3     0     0      4      4     8      8      14     4/7    8/28    14/30   5/7          25/28         1
        2026-01-31 10         2            0     0     -     -      -      0     0      0      0      0      0       0       1            1             -
        """,
    )
    tables.check(
        "product_demand",
        """
        warehouse_id adi_180 cv2_180 in_stock_days_28 is_censored in_stock_velocity_28 currency price price_change_28 discount_depth_28 day_of_week week month days_since_launch
        1            30/5    85/392  26               yes         8/26                 EUR      12    2/10            0                 6           5    1     29
        2            -       -       7                no          0                    -        -     -               -                 6           5    1     29
        """,
    )
    first, second = tables.rows("product_demand")
    assert first["std_7"] == math.sqrt((7 * 10 - 16) / 42)
    assert first["std_28"] == math.sqrt((28 * 26 - 64) / (28 * 27))
    assert first["std_56"] == math.sqrt((30 * 46 - 196) / (30 * 29))
    assert second["std_7"] == 0


def test_velocity_does_not_fall_because_a_shelf_was_empty(report: Report) -> None:
    """One a day, until the shelf is empty: the mean of 7 days falls with every empty one, the velocity stays."""
    lines = "\n".join(f"2026-01-0{number} 10 1 {4 if number == 2 else 0} 1" for number in range(2, 6))
    shop = shelves(f"day product_id warehouse_id received sold\n{lines}")
    rows = [report(shop, as_of=as_of).rows("product_demand")[0] for as_of in ("2026-01-05", "2026-01-08")]
    assert [(row["mean_7"], row["in_stock_velocity_28"]) for row in rows] == [(1, 1), (4 / 7, 1)]


def test_discounts_are_of_the_money_not_of_the_prices(report: Report) -> None:
    """Two euros off ten, and a sale in another currency that counts as units only."""
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending EUR      1000           200            0         800         2026-01-05
            2        1           pending USD      700            100            0         600         2026-01-05
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on
            1             1        10         1            2        500              2026-01-05
            2             2        10         1            1        700              2026-01-05
        """,
    }
    report(shop, as_of="2026-02-02").check(
        "product_demand",
        """
        currency sum_28 sum_56 price discount_depth_28 price_change_28
        EUR      0      3      5     -                 0
        """,
    )
    (row,) = report(shop, as_of="2026-02-01").rows("product_demand")
    assert (row["sum_28"], row["discount_depth_28"], row["price_change_28"]) == (3, 200 / 1000, None)
    assert (row["in_stock_days_28"], row["zero_ratio_28"]) == (28, 27 / 28)


def test_days_before_units_came_are_neither_in_stock_nor_out_of_it(report: Report) -> None:
    shop = {
        "inventory_movements": """
            movement_id product_id warehouse_id kind        quantity moved_at
            1           10         1            reservation 2        2026-01-05
            2           10         1            receipt     3        2026-01-08
        """
    }
    report(shop).check(
        "product_demand",
        """
        in_stock_days_28 is_censored days_since_launch
        3                no          5
        """,
    )


def test_a_cancelled_order_shows_that_there_is_a_shelf(report: Report) -> None:
    shop = {
        "orders": """
            order_id customer_id status    currency subtotal_cents discount_cents tax_cents total_cents ordered_at cancelled_at
            1        1           cancelled EUR      1000           0              0         1000        2026-01-05 2026-01-06
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on
            1             1        10         1            2        500              2026-01-05
        """,
    }
    report(shop).check(
        "product_demand",
        """
        product_id units sum_7 days_since_last_sale days_since_launch in_stock_days_28
        10         0     0     -                    5                 6
        """,
    )


def test_a_shop_without_sales(report: Report) -> None:
    assert report({}).rows("product_demand") == []
