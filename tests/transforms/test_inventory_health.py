"""reporting.inventory_health."""

from __future__ import annotations

import datetime
import math
from fractions import Fraction

from tests.transforms.conftest import Report, day
from tests.transforms.shelves import shelves

HEADER = "day product_id warehouse_id received sold\n"


def _days(first: str, count: int) -> list[str]:
    start = datetime.date.fromisoformat(first)
    return [(start + datetime.timedelta(days=number)).isoformat() for number in range(count)]


def test_velocity_does_not_fall_because_a_shelf_was_empty(report: Report) -> None:
    """Both shelves sell 2 a day while they can; the second stands empty for the first 20 of the 28 days."""
    always = [f"{on} 10 1 {100 if place == 0 else 0} 2" for place, on in enumerate(_days("2026-01-03", 28))]
    late = [f"{on} 11 1 {100 if place == 0 else 0} 2" for place, on in enumerate(_days("2026-01-23", 8))]
    emptied = ["2026-01-02 11 1 3 3"]  # known, and sold out, the day before the window
    report(shelves(HEADER + "\n".join(always + late + emptied)), as_of="2026-01-30").check(
        "inventory_health",
        """
        night      product_id available units_28d in_stock_days_28d velocity days_of_supply stockout_rate suggested_order
        2026-01-30 10         44        56        28                2        22             0             33
        2026-01-30 11         84        16        8                 2        42             20/28         0
        """,
    )


def test_measures_a_shelf(report: Report) -> None:
    """5 received, 1 sold, 2 days later 3 more: 5 days known, 4 units, squares 1 + 9."""
    shop = shelves(
        """
        day        product_id warehouse_id received sold
        2026-01-04 10         1            5        0
        2026-01-05 10         1            0        1
        2026-01-07 10         1            6        3
        2026-01-08 10         1            0        0
        """
    )
    tables = report(shop, as_of="2026-01-08")
    tables.check(
        "inventory_health",
        """
        available units_28d in_stock_days_28d velocity days_of_supply sell_through turnover stockout_rate status
        7         4         5                 4/5      35/4           4/11         20/27    0             at_risk
        """,
    )
    (row,) = tables.rows("inventory_health")
    spread = math.sqrt(Fraction(5 * 10 - 16, 5 * 4) * 7 + Fraction(16, 25) * 4)
    safety = math.ceil(1.645 * spread)
    assert row["safety_stock"] == safety == 7
    assert row["reorder_point"] == math.ceil(Fraction(4, 5) * 7) + safety
    assert row["suggested_order"] == math.ceil(Fraction(4, 5) * (7 + 28)) + safety - 7


def test_nothing_is_known_of_a_spread_with_one_day_in_stock(report: Report) -> None:
    shop = shelves(
        """
        day        product_id warehouse_id received sold
        2026-01-04 10         1            5        5
        """
    )
    report(shop).check(
        "inventory_health",
        """
        available in_stock_days_28d velocity days_of_supply safety_stock reorder_point suggested_order status
        0         1                 5        0              -            -             -               stockout
        """,
    )


# Per shelf what came and was sold, and its status on April 1st.
STATUSES = [
    ("2026-01-01 {} 1 9 0", "dead"),  # 90 days without a sale
    ("2026-01-03 {} 1 9 0", "overstock"),  # one day short of that
    ("2026-01-01 {} 1 9 1", "dead"),  # sold on the first of the 91 days
    ("2026-01-02 {0} 1 99 1\n2026-03-05 {0} 1 0 1", "overstock"),  # 97 left at one in 28 days
    ("2026-03-25 {} 1 9 0", "ok"),  # new, too early to say
    ("2026-03-01 {0} 1 3 1\n2026-03-20 {0} 1 0 1", "at_risk"),
    ("2026-03-01 {0} 1 30 7\n2026-03-20 {0} 1 0 7", "ok"),
    ("2026-03-01 {} 1 7 7", "stockout"),
]


def test_the_first_status_that_holds(report: Report) -> None:
    drawn = "\n".join(lines.format(product) for product, (lines, _) in enumerate(STATUSES))
    rows = report(shelves(HEADER + drawn), as_of="2026-04-01").rows("inventory_health")
    assert [(STATUSES[row["product_id"]][0], row["status"]) for row in rows] == STATUSES


def test_a_shelf_has_no_stock_out_before_it_is_first_stocked(report: Report) -> None:
    """10 has been on offer since the 1st and came on the 29th; 11 never came."""
    shop = {
        "inventory_movements": """
            movement_id product_id warehouse_id kind        quantity moved_at
            1           10         1            reservation 1        2026-01-01
            2           10         1            receipt     5        2026-01-29
            3           11         1            reservation 1        2026-01-01
        """
    }
    report(shop, as_of="2026-04-01").check(
        "inventory_health",
        """
        product_id available in_stock_days_28d stockout_rate turnover status
        10         4         28                0             0        overstock
        11         -1        0                 -             -        not_yet_stocked
        """,
    )
    report(shop, as_of="2026-01-30").check(
        "inventory_health",
        """
        product_id in_stock_days_28d stockout_rate status
        10         2                 0             ok
        11         0                 -             not_yet_stocked
        """,
    )


def test_what_is_owed_is_ordered_too(report: Report) -> None:
    """2 a day for 8 days, all shipped, then 5 more are reserved that are not there."""
    drawn = HEADER + "\n".join(f"{on} 10 1 2 2" for on in _days("2026-01-01", 8))
    shop = shelves(drawn)
    owed = {"movement_id": 99, "product_id": 10, "warehouse_id": 1, "kind": "reservation", "quantity": 5}
    backordered = shop | {"inventory_movements": [*shop["inventory_movements"], owed | {"moved_on": day("2026-01-08")}]}
    rows = [report(one, as_of="2026-01-08").rows("inventory_health")[0] for one in (shop, backordered)]
    columns = ("available", "days_of_supply", "status")
    assert [tuple(row[name] for name in columns) for row in rows] == [(0, 0, "stockout"), (-5, 0, "stockout")]
    assert rows[1]["suggested_order"] == rows[0]["suggested_order"] + 5


def test_turnover_is_of_a_year(report: Report) -> None:
    """Of 366 days the first is out: 365 days with 8 units each, and 1 unit sold before them."""
    (row,) = report(shelves(f"{HEADER}2026-01-01 10 1 9 1"), as_of="2027-01-01").rows("inventory_health")
    assert row["turnover"] == 0


def test_sell_through_is_of_what_the_window_began_with(report: Report) -> None:
    """January 3 is the first of the 28 days: 4 of the 5 still lay there."""
    drawn = "2026-01-01 10 1 5 0\n2026-01-02 10 1 0 1\n2026-01-10 10 1 0 2"
    (row,) = report(shelves(HEADER + drawn), as_of="2026-01-30").rows("inventory_health")
    assert (row["units_28d"], row["sell_through"]) == (2, 2 / 4)


def test_a_shop_without_stock(report: Report) -> None:
    assert report({}).rows("inventory_health") == []


def test_what_was_sold_before_the_first_count_is_demand(report: Report) -> None:
    """Neither 10 nor 11 has a movement; 11 was first sold on the 9th, 12 never; 13 was sold two years ago."""
    sold = "day product_id warehouse_id received sold\n"
    sold += "\n".join([*(f"{on} 10 1 0 2" for on in _days("2026-01-03", 27)), "2026-01-09 11 1 0 1"])
    shop = shelves(sold + "\n2026-01-27 11 1 0 3\n2026-01-30 11 1 0 1\n2024-01-01 13 1 0 1")
    shop["inventory_movements"] = """
        movement_id product_id warehouse_id kind  quantity moved_at   moves_units
        1           10         1            count 40       2026-01-30 yes
        2           11         1            count 0        2026-01-29 no
        3           11         1            count 9        2026-01-30 yes
        4           12         1            count 7        2026-01-30 yes
        5           13         1            count 7        2026-01-30 yes
    """
    report(shop, as_of="2026-01-30").check(
        "inventory_health",
        """
        product_id available units_28d in_stock_days_28d velocity days_of_supply sell_through turnover stockout_rate status
        10         40        54        28                54/28    1120/54        -            54/40    0             ok
        11         9         5         21                5/21     189/5          -            5/9      0             ok
        12         7         0         1                 0        -              -            0        0             ok
        13         7         0         28                0        -              -            0        0             ok
        """,
    )


def test_a_shelf_that_has_movements_has_no_days_before_its_first(report: Report) -> None:
    """What was sold before it came is of no day in stock; a count is no movement."""
    shop = shelves(HEADER + "2026-01-03 10 1 0 2\n2026-01-20 10 1 9 1")
    shop["inventory_movements"] = [row for row in shop["inventory_movements"] if row["moved_on"] > day("2026-01-10")]
    report(shop, as_of="2026-01-30").check(
        "inventory_health",
        """
        units_28d in_stock_days_28d
        1         11
        """,
    )
