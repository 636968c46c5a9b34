"""Shops whose units have decimals: what is multiplied or divided by a quantity, on every table."""

from __future__ import annotations

import math
from typing import Any

import pytest

from include.contract import Type
from tests.transforms.conftest import FIRST_DAY, Report, day
from tests.transforms.test_invariants import AS_OF, Trade
from transforms.features.product_demand import WINDOWS
from transforms.registry import TABLES

# Ratios per unit, in a shop of kilograms: of units a thousandth of what they are in grams, of money a thousand times.
_OF_UNITS = {
    "inventory_health": {"velocity"},
    "stockouts": {"lost_units"},
    "product_demand": {"in_stock_velocity_28", *(f"{of}_{days}" for of in ("mean", "std") for days in WINDOWS)},
    "inventory_risk": {"lead_time_demand_mean", "lead_time_demand_std"},
}
_PER_UNIT = {"daily_product_sales": {"average_price"}, "product_demand": {"price"}}


def test_what_a_line_comes_to_and_cost_is_rounded_once(report: Report) -> None:
    """350 g at 9.99, and 333 g; two kilograms and a half, of which 1.25 come back; a price that the shop rounded."""
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending EUR      3184           100            0         3084        2026-01-02
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents unit_cost_cents subtotal_cents sold_on
            1             1        1          1            350      999              501             -              2026-01-02
            2             1        1          1            333      999              501             -              2026-01-02
            3             1        2          1            2500     998              -               -              2026-01-02
            4             1        3          1            5        999              501             6              2026-01-02
        """,
        "refunds": """
            refund_id order_item_id quantity amount_cents restocked refunded_at
            1         3             1250     1000         no        2026-01-03
            2         1             50       50           no        2026-01-03
        """,
    }
    made = report(shop, unit_decimals=3)
    made.check(
        "order_lines",
        """
        order_item_id quantity refunded_quantity gross_sales_cents cost_cents returned_cost_cents discount_allocated_cents
        1             350      50                350               175        25                  11
        2             333      0                 333               167        0                   11
        3             2500     1250              2495              -          -                   78
        4             5        0                 6                 3          0                   0
        """,
    )
    made.check(
        "daily_product_sales",
        """
        day        product_id units refunded_units gross_sales_cents cost_cents returned_cost_cents average_price
        2026-01-02 1          683   0              683               342        0                   661000/68300
        2026-01-02 2          2500  0              2495              -          0                   2417000/250000
        2026-01-02 3          5     0              6                 3          0                   6000/500
        2026-01-03 1          0     50             0                 0          25                  -
        2026-01-03 2          0     1250           0                 0          -                   -
        """,
    )


def test_a_line_that_comes_back_in_parts_gives_back_what_it_cost(report: Report) -> None:
    """350 g cost 1.75; 125 g and 225 g alone would be 0.63 and 1.13. Another day has the second part."""
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending EUR      350            0              0         350         2026-01-02
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents unit_cost_cents sold_on
            1             1        1          1            350      999              501             2026-01-02
        """,
        "refunds": """
            refund_id order_item_id quantity amount_cents restocked refunded_at units_before
            1         1             125      100          no        2026-01-03  0
            2         1             225      250          no        2026-01-04  125
        """,
    }
    rows = report(shop, unit_decimals=3).rows("daily_product_sales")
    assert [row["returned_cost_cents"] for row in rows] == [0, 63, 112]


@pytest.mark.parametrize("seed", ["apple", pytest.param("pear", marks=pytest.mark.long)])
def test_kilograms_to_the_gram_are_the_same_money_as_grams(report: Report, seed: str) -> None:
    """A price per kilogram is a thousand times that per gram; whatever is published is the same but for that."""
    grams = Trade(seed).between(day(FIRST_DAY), day(AS_OF), 90).rows
    kilograms = {name: [_per_kilogram(row) for row in rows] for name, rows in grams.items()}
    counted, weighed = report(grams, as_of=AS_OF), report(kilograms, as_of=AS_OF, unit_decimals=3)
    for name, published in TABLES.items():
        ones, others = counted.rows(name), weighed.rows(name)
        assert len(ones) == len(others)
        for column in published.table.columns:
            pairs = zip((row[column.lake_name] for row in ones), (row[column.lake_name] for row in others), strict=True)
            factor = _factor(name, column.name)
            if column.type is Type.RATIO:
                same = all(_is_close(one, other, factor) for one, other in pairs)
            else:
                same = all(other == (one if one is None or factor == 1 else one * factor) for one, other in pairs)
            assert same, f"{name}.{column.name}"


def _per_kilogram(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        name: row[name] and row[name] * 1000 for name in ("unit_price_cents", "unit_cost_cents") if name in row
    }


def _factor(table: str, column: str) -> float:
    """What a value of the shop in kilograms is of the same in grams."""
    if column in ("unit_price", "unit_cost"):
        return 1000
    return 0.001 if column in _OF_UNITS.get(table, ()) else 1000 if column in _PER_UNIT.get(table, ()) else 1


def _is_close(one: float | None, other: float | None, factor: float) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one * factor, other, rel_tol=1e-12) if factor != 1 else one == other
