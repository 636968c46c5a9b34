"""reporting.component_demand_daily, and what the demand of kits does to the tables of stock and demand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.transforms.conftest import Report, day
from tests.transforms.shelves import shelves

HEADER = "product_id component_id valid_from valid_to units_per_kit"


def sold(*sales: tuple[str, int, int, int], **order: Any) -> dict[str, Any]:
    """A shop of orders of one line each: day, product, warehouse, units."""
    shop: dict[str, Any] = {"orders": [], "order_items": []}
    for number, (on, product, warehouse, units) in enumerate(sales, 1):
        told = {"customer_id": 1, "status": "pending", "currency": "EUR", "discount_cents": 0, "tax_cents": 0}
        amounts = {"subtotal_cents": units * 100, "total_cents": units * 100, "ordered_on": day(on)}
        item = {"product_id": product, "warehouse_id": warehouse, "quantity": units, "unit_price_cents": 100}
        shop["orders"].append({"order_id": number, **told, **amounts, **order})
        shop["order_items"].append({"order_item_id": number, "order_id": number, "sold_on": day(on), **item})
    return shop


def test_a_sale_takes_what_its_kit_was_made_of_on_its_day(report: Report) -> None:
    """Of kit 1: two of 10 until the 4th, three and one of 11 from the 5th on, and from the 8th on it is no kit."""
    versions = f"""
        {HEADER}
        1 10 1970-01-01 2026-01-05 2
        1 10 2026-01-05 2026-01-08 3
        1 11 2026-01-05 2026-01-08 1
    """
    sales = sold(
        ("2026-01-04", 1, 1, 2), ("2026-01-05", 1, 1, 1), ("2026-01-05", 1, 1, 4), ("2026-01-05", 1, 2, 1),
        ("2026-01-07", 1, 1, 1), ("2026-01-08", 1, 1, 7), ("2026-01-05", 10, 1, 9),
    )  # fmt: skip
    report(sales | {"kit_components_versions": versions}).check(
        "component_demand_daily",
        """
        day        product_id kit_id warehouse_id kits units
        2026-01-04 10         1      1            2    4
        2026-01-05 10         1      1            5    15
        2026-01-05 10         1      2            1    3
        2026-01-05 11         1      1            5    5
        2026-01-05 11         1      2            1    1
        2026-01-07 10         1      1            1    3
        2026-01-07 11         1      1            1    1
        """,
    )


def test_a_later_change_of_a_kit_is_not_known_yet(report: Report) -> None:
    """Nothing of the past follows it: the sale of the 9th was of the old kit, whenever the table is built."""
    versions = f"{HEADER}\n1 10 1970-01-01 2026-01-10 2\n1 10 2026-01-10 - 5"
    shop = sold(("2026-01-09", 1, 1, 1), ("2026-01-10", 1, 1, 1)) | {"kit_components_versions": versions}
    on_the_9th = """
        day        product_id units
        2026-01-09 10         2
    """
    report(shop, as_of="2026-01-09").check("component_demand_daily", on_the_9th)
    report(shop, as_of="2026-01-10").check("component_demand_daily", f"{on_the_9th}\n2026-01-10 10 5")


def test_a_kit_in_a_kit_is_exploded_whole(report: Report) -> None:
    """1 holds two of 2 and one of 10; 2 holds three of 3, and 3 four of 4, which holds five of 10: 121 of 10 in all.

    On the 6th, 3 is no kit any more, and 6 of it are in 1.
    """
    versions = f"""
        {HEADER}
        1 2  1970-01-01 - 2
        1 10 1970-01-01 - 1
        2 3  1970-01-01 - 3
        3 4  1970-01-01 2026-01-06 4
        4 10 1970-01-01 - 5
    """
    sales = sold(("2026-01-05", 1, 1, 1), ("2026-01-06", 1, 1, 2), ("2026-01-06", 4, 1, 1))
    report(sales | {"kit_components_versions": versions}).check(
        "component_demand_daily",
        """
        day        product_id kit_id kits units
        2026-01-05 10         1      1    121
        2026-01-06 3          1      2    12
        2026-01-06 10         1      2    2
        2026-01-06 10         4      1    5
        """,
    )


def test_parts_of_a_unit(report: Report) -> None:
    """Thousandths: 1.5 kits of 0.25 are 0.375; of 0.333 they are 0.4995, which is 0.5."""
    versions = f"{HEADER}\n1 10 1970-01-01 - 250\n1 11 1970-01-01 - 333"
    shop = sold(("2026-01-05", 1, 1, 1500)) | {"kit_components_versions": versions}
    report(shop, unit_decimals=3).check(
        "component_demand_daily",
        """
        product_id kits units
        10         1500 375
        11         1500 500
        """,
    )


def test_void_orders_and_a_shop_without_kits(report: Report) -> None:
    shop = sold(("2026-01-05", 1, 1, 1))
    assert report(shop).rows("component_demand_daily") == []
    kits = {"kit_components_versions": f"{HEADER}\n1 10 1970-01-01 - 2"}
    void = sold(("2026-01-05", 1, 1, 1), cancelled_on=day("2026-01-05"), status="cancelled")
    assert report(void | kits).rows("component_demand_daily") == []
    assert report(kits).rows("component_demand_daily") == []


SHELF = "\n".join(f"2026-01-{on:02} 10 1 {100 if on == 3 else 0} 1" for on in range(3, 31))


@pytest.fixture
def shelf() -> dict[str, Any]:
    """A product of which one is sold every day, and, for 28 days, a kit with two of it."""
    shop = shelves(f"day product_id warehouse_id received sold\n{SHELF}")
    kits = sold(*((f"2026-01-{on:02}", 1, 1, 1) for on in range(3, 31)))
    for row in (*kits["orders"], *kits["order_items"]):
        row["order_id"] += 1000
        if "order_item_id" in row:
            row["order_item_id"] += 1000
    shop["orders"] += kits["orders"]
    shop["order_items"] += kits["order_items"]
    return shop | {"kit_components_versions": f"{HEADER}\n1 10 1970-01-01 2026-01-17 2\n1 10 2026-01-17 - 2"}


def test_kits_are_demand_of_their_components(report: Report, shelf: dict[str, Any]) -> None:
    """Three a day, one alone and two in kits; the kit itself has no shelf, and is a product with orders."""
    tables = report(shelf, as_of="2026-01-30")
    tables.check(
        "inventory_health",
        """
        product_id available units_28d velocity days_of_supply suggested_order
        10         72        84        3        24             43
        """,
    )
    tables.check(
        "inventory_risk",
        """
        product_id days_of_supply lead_time_demand_mean
        10         24             21
        """,
    )
    tables.check(
        "product_demand",
        """
        product_id units lag_1 sum_28 mean_28 days_since_last_sale
        1          1     1     28     1       0
        10         3     3     84     3       0
        """,
    )
    tables.check("daily_product_sales", "\nunits product_id\n" + "1 1\n1 10\n" * 28)


def test_what_a_stock_out_cost_is_also_what_kits_would_have_taken(report: Report) -> None:
    shop = shelves(
        """
        day        product_id warehouse_id received sold
        2026-01-03 10         1            4        1
        2026-01-04 10         1            0        3
        """
    )
    kit = sold(("2026-01-03", 1, 1, 2))
    kit["orders"][0]["order_id"] = kit["order_items"][0]["order_id"] = kit["order_items"][0]["order_item_id"] = 99
    shop["orders"] += kit["orders"]
    shop["order_items"] += kit["order_items"]
    shop["kit_components_versions"] = f"{HEADER}\n1 10 1970-01-01 - 3"
    report(shop, as_of="2026-01-05").check(
        "stockouts",
        """
        product_id started_on days units_before in_stock_days_before lost_units lost_sales_cents
        10         2026-01-04 2    7            1                    14         14000
        """,
    )


def test_labels_count_what_kits_take(report: Report, shelf: dict[str, Any]) -> None:
    """Of the 28 days after the 3rd, in the last of which nothing was sold."""
    report(shelf, as_of="2026-01-31").check(
        "demand_labels",
        """
        product_id units_next_7 units_next_28
        1          7            27
        10         21           81
        """,
    )
