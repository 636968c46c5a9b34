"""reporting.kit_availability."""

from __future__ import annotations

from include.contract import Type
from tests.transforms.conftest import Report
from tests.transforms.shelves import shelves

HEADER = "product_id component_id valid_from valid_to units_per_kit"
# In warehouse 1 seven of 10 and five of 11, in warehouse 2 nine of 10; of 12, two are owed in warehouse 1.
STOCK = """
    day        product_id warehouse_id received sold
    2026-01-02 10         1            9        2
    2026-01-02 11         1            5        0
    2026-01-02 10         2            9        0
    2026-01-02 12         1            1        3
"""


def test_the_least_of_the_components_decides(report: Report) -> None:
    """Kit 1: 7 // 2 of 10, 5 // 1 of 11. Kit 2 lacks the shelf of 11 in warehouse 2. Kit 3 is owed. 4 has no shelf."""
    versions = f"""
        {HEADER}
        1 10 1970-01-01 - 2
        2 10 1970-01-01 - 1
        2 11 1970-01-01 - 2
        3 12 1970-01-01 - 1
        4 99 1970-01-01 - 1
        5 10 1970-01-01 - 3
        5 99 1970-01-01 - 1
    """
    report(shelves(STOCK) | {"kit_components_versions": versions}).check(
        "kit_availability",
        """
        night      product_id warehouse_id available_kits limiting_product_id limiting_available components unstocked_components
        2026-01-10 1          1            3              10                  7                  1          0
        2026-01-10 1          2            4              10                  9                  1          0
        2026-01-10 2          1            2              11                  5                  2          0
        2026-01-10 2          2            0              11                  0                  2          0
        2026-01-10 3          1            0              12                  -2                 1          0
        2026-01-10 5          1            2              10                  7                  2          1
        2026-01-10 5          2            3              10                  9                  2          1
        """,
    )


def test_kits_in_kits_and_a_tie(report: Report) -> None:
    """Kit 1 holds 2 and one of 10 more: two of 10 in all, and two of 11. Both are enough for two, then for three."""
    versions = f"{HEADER}\n1 2 1970-01-01 - 1\n1 10 1970-01-01 - 1\n2 10 1970-01-01 - 1\n2 11 1970-01-01 - 2"
    drawn = "day product_id warehouse_id received sold\n2026-01-02 10 1 {} 0\n2026-01-02 11 1 {} 0"
    for stock, kits, limiting in (((4, 4), 2, 10), ((9, 6), 3, 11), ((7, 6), 3, 10)):
        shop = shelves(drawn.format(*stock)) | {"kit_components_versions": versions}
        rows = report(shop).rows("kit_availability")
        assert [(row["product_id"], row["available_kits"]) for row in rows if row["product_id"] == 1] == [(1, kits)]
        assert [row["limiting_product_id"] for row in rows if row["product_id"] == 1] == [limiting]


def test_what_a_kit_is_made_of_on_the_night(report: Report) -> None:
    versions = f"{HEADER}\n1 10 1970-01-01 2026-01-09 1\n1 10 2026-01-09 2026-01-10 2\n1 11 2026-01-10 - 1"
    for night, kits in (("2026-01-08", 7), ("2026-01-09", 3), ("2026-01-10", 5)):
        rows = report(shelves(STOCK) | {"kit_components_versions": versions}, as_of=night).rows("kit_availability")
        assert [row["available_kits"] for row in rows if row["warehouse_id"] == 1] == [kits]


def test_parts_of_a_unit_make_whole_kits(report: Report) -> None:
    """Hundredths: 0.07 of 10 for kits of 0.02 each."""
    shop = shelves(STOCK) | {"kit_components_versions": f"{HEADER}\n1 10 1970-01-01 - 2"}
    rows = report(shop, unit_decimals=2).rows("kit_availability")
    assert [row["available_kits"] for row in rows] == [3, 4]


def test_keys_may_be_texts(report: Report) -> None:
    keys = {"products": Type.TEXT}
    shop = shelves(STOCK)
    for rows in (shop["order_items"], shop["inventory_movements"]):
        for row in rows:
            row["product_id"] = str(row["product_id"])
    tables = report(shop | {"kit_components_versions": f"{HEADER}\nbox 10 1970-01-01 - 2"}, keys=keys)
    assert [row["limiting_product_id"] for row in tables.rows("kit_availability")] == ["10", "10"]


def test_a_shop_without_kits_or_without_stock(report: Report) -> None:
    assert report(shelves(STOCK)).rows("kit_availability") == []
    assert report({"kit_components_versions": f"{HEADER}\n1 10 1970-01-01 - 2"}).rows("kit_availability") == []
