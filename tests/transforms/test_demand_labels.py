"""features.demand_labels."""

from __future__ import annotations

from tests.transforms.conftest import Report
from tests.transforms.shelves import shelves

# As of January 10, whose 28 days end on February 7. Shelf 2 has stock and no sale, 3 an order and no stock, 4 begins
# later.
SHELVES = shelves(
    """
    day        product_id warehouse_id received sold
    2026-01-05 10         1            20       1
    2026-01-10 10         1            0        3
    2026-01-11 10         1            0        1
    2026-01-17 10         1            0        2
    2026-01-18 10         1            0        4
    2026-01-24 10         1            0        9
    2026-01-25 10         1            30       1
    2026-02-07 10         1            0        5
    2026-02-08 10         1            0        7
    2026-01-10 10         2            5        0
    2026-01-06 10         3            0        1
    2026-02-01 10         3            0        2
    2026-01-11 10         4            5        1
    """
)
SHELVES["inventory_movements"] = [row for row in SHELVES["inventory_movements"] if row["warehouse_id"] != 3]


def test_looks_ahead_until_the_windows_have_closed(report: Report) -> None:
    """Shelf 1 sells its last units on January 24, the 14th day."""
    report(SHELVES, as_of="2026-02-07").check(
        "demand_labels",
        """
        as_of      product_id warehouse_id units_next_7 units_next_14 units_next_28 is_censored_7 is_censored_14 is_censored_28
        2026-01-10 10         1            3            16            22            no            yes            yes
        2026-01-10 10         2            0            0             0             no            no             no
        2026-01-10 10         3            0            0             2             no            no             no
        """,
    )


def test_a_label_is_not_censored_by_days_before_units_came(report: Report) -> None:
    shop = {
        "inventory_movements": """
            movement_id product_id warehouse_id kind        quantity moved_at
            1           10         1            reservation 2        2026-01-09
            2           10         1            receipt     3        2026-01-20
        """
    }
    report(shop, as_of="2026-02-07").check(
        "demand_labels",
        """
        product_id is_censored_7 is_censored_14 is_censored_28
        10         no            no             no
        """,
    )


def test_there_is_none_for_a_day_whose_windows_are_open(report: Report) -> None:
    rows = report(SHELVES, as_of="2026-02-06").rows("demand_labels")
    assert [(row["warehouse_id"], row["units_next_7"]) for row in rows] == [(1, 4), (3, 0)]


def test_labels_are_of_the_shelves_of_their_features(report: Report) -> None:
    labels = report(SHELVES, as_of="2026-02-07").rows("demand_labels")
    features = report(SHELVES, as_of="2026-01-10").rows("product_demand")
    entity = ("as_of", "product_id", "warehouse_id")
    assert [[row[name] for name in entity] for row in labels] == [[row[name] for name in entity] for row in features]


def test_a_shop_without_sales(report: Report) -> None:
    assert report({}).rows("demand_labels") == []
