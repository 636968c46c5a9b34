"""features.inventory_risk."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from tests.transforms.conftest import Report
from tests.transforms.shelves import shelves

# 6 come in, 2 and 4 are sold: out of stock from the 6th to the 8th.
SHELF = """
    day        product_id warehouse_id received sold
    2026-01-03 10         1            6        0
    2026-01-04 10         1            0        2
    2026-01-06 10         1            0        4
    2026-01-09 10         1            8        0
"""


def _reserved(shop: dict[str, Any], units: int, on: int) -> dict[str, Any]:
    row = {"movement_id": 99, "product_id": 10, "warehouse_id": 1, "kind": "reservation", "quantity": units}
    return shop | {"inventory_movements": [*shop["inventory_movements"], row | {"moved_on": on}]}


def test_measures_a_shelf(report: Report) -> None:
    """In stock on the 3rd to 6th and the 9th and 10th: 6 days, 6 units, squares 4 + 16."""
    shop = shelves(SHELF)
    tables = report(_reserved(shop, 2, shop["inventory_movements"][-1]["moved_on"]))
    tables.check(
        "inventory_risk",
        """
        as_of      product_id warehouse_id available days_of_supply stockout_days_28 stockout_days_90 lead_time_demand_mean days_since_receipt reserved_share
        2026-01-10 10         1            6         6              3                3                7                     1                  2/8
        """,
    )
    spread = math.sqrt(Fraction(6 * 20 - 36, 6 * 5) * 7 + 4)
    (row,) = tables.rows("inventory_risk")
    assert math.isclose(row["lead_time_demand_std"], spread, rel_tol=1e-15)


def test_windows_end_with_the_day(report: Report) -> None:
    """On February 4 the last of the three days is still in 28 days, on the 5th it is not."""
    days = [report(shelves(SHELF), as_of=as_of).rows("inventory_risk")[0] for as_of in ("2026-02-04", "2026-02-05")]
    assert [(row["stockout_days_28"], row["stockout_days_90"]) for row in days] == [(1, 3), (0, 3)]


def test_the_count_of_today_is_not_known_to_a_past_day(report: Report) -> None:
    """What lies there unexplained, and a shelf without movements, were counted now."""
    shop = shelves(SHELF)
    counted = {"inventory": "product_id warehouse_id unexplained_units\n10 1 5\n11 1 7"}
    assert report(shop | counted).rows("inventory_risk") == report(shop).rows("inventory_risk")


def test_before_units_came_a_shelf_was_not_out_of_stock(report: Report) -> None:
    """Nor does what a count of today finds say that they had come."""
    shop = {
        "inventory_movements": """
            movement_id product_id warehouse_id kind        quantity moved_at
            1           10         1            reservation 2        2026-01-05
            2           11         1            reservation 2        2026-01-05
            3           11         1            receipt     2        2026-01-08
        """,
        "inventory": "product_id warehouse_id unexplained_units\n10 1 9",
    }
    report(shop).check(
        "inventory_risk",
        """
        product_id available is_stocked stockout_days_28
        10         -2        no         0
        11         0         yes        3
        """,
    )


def test_a_shop_without_stock(report: Report) -> None:
    assert report({}).rows("inventory_risk") == []


def test_a_count_of_its_own_day_was_known_then(report: Report) -> None:
    """A shop without movements: 8 were counted, then 3, of which 2 are reserved; what lies there now was counted now."""
    shop = {
        "inventory_movements": """
            movement_id product_id warehouse_id kind              quantity moved_at   changes_reserved moves_units
            1           10         1            count             8        2026-01-06 no               yes
            2           10         1            count             -5       2026-01-08 no               yes
            3           10         1            count_of_reserved 2        2026-01-08 yes              no
        """,
        "inventory": "product_id warehouse_id unexplained_units unexplained_reserved\n10 1 5 1",
    }
    report(shop).check(
        "inventory_risk",
        """
        as_of      product_id available is_stocked stockout_days_28
        2026-01-10 10         1         yes        0
        """,
    )
