"""reporting.shipments_daily, and what order_lines says of shipments."""

from __future__ import annotations

from tests.transforms.conftest import Report, day

# 1: two lines; one leaves from warehouse 1, half of the other the next day from warehouse 2, the rest never.
# 2: in two shipments of one day, from two warehouses. 3: one shipment, whose warehouse is the lines'; a line was added
# later, another taken out. 4: its only shipment was cancelled.
SHOP = {
    "orders": """
        order_id customer_id status  currency ordered_at       shipped_at
        1        1           shipped EUR      2026-01-02T10:00 2026-01-03T10:00
        2        1           shipped EUR      2026-01-02T10:00 2026-01-03T12:00
        3        1           shipped EUR      2026-01-03T00:00 2026-01-04T12:00
        4        1           shipped EUR      2026-01-03T00:00 2026-01-04T00:00
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents discount_cents sold_on    removed_on
        11            1        10         1            2        100              -              2026-01-02 -
        12            1        11         1            4        100              -              2026-01-02 -
        21            2        10         1            3        100              -              2026-01-02 -
        22            2        11         2            5        100              -              2026-01-02 -
        31            3        10         2            6        100              -              2026-01-03 -
        32            3        10         2            7        100              -              2026-01-05 -
        33            3        10         2            8        100              -              2026-01-03 2026-01-03
        41            4        10         1            1        100              -              2026-01-03 -
    """,
    "shipment_items": """
        shipment_item_id shipment_id order_item_id quantity warehouse_id seconds_to_ship shipped_at       delivered_at cancelled_at
        1                A           11            2        1            86400           2026-01-03T10:00 2026-01-05   -
        2                B           12            2        2            172800          2026-01-04T10:00 2026-01-06   -
        3                C           21            3        1            93600           2026-01-03T12:00 -            -
        4                D           22            5        2            97200           2026-01-03T13:00 -            -
        5                E           31            6        -            129600          2026-01-04T12:00 -            -
        6                F           41            1        1            86400           2026-01-04T00:00 -            2026-01-06
    """,
}


def test_a_shipment_counts_on_its_day_and_its_order_on_that_of_the_first(report: Report) -> None:
    report(SHOP, as_of="2026-01-06").check(
        "shipments_daily",
        """
        day        warehouse_id shipments later_shipments units_shipped shipments_delivered hours_to_ship_p50 hours_to_ship_p90 orders_started lines_started units_started orders_filled lines_filled units_filled order_fill_rate line_fill_rate unit_fill_rate
        2026-01-03 1            2         0               5             0                   24                26                2              4             14            1             3            10           1/2             3/4            10/14
        2026-01-03 2            1         1               5             0                   27                27                0              0             0             0             0            0            -               -              -
        2026-01-04 2            2         1               8             0                   36                48                1              1             6             1             1            6            1               1              1
        2026-01-05 1            0         0               0             1                   -                 -                 0              0             0             0             0            0            -               -              -
        2026-01-06 2            0         0               0             1                   -                 -                 0              0             0             0             0            0            -               -              -
        """,
    )


def test_what_leaves_later_and_arrives_later_changes_no_day_before(report: Report) -> None:
    """One that is cancelled later never left: another may have left in its place on that day."""
    earlier = report(SHOP, as_of="2026-01-03").rows("shipments_daily")
    later = report(SHOP, as_of="2026-01-06").rows("shipments_daily")
    assert earlier == [row for row in later if row["day"] <= day("2026-01-03")]
    before = {(row["day"], row["warehouse_id"]) for row in report(SHOP, as_of="2026-01-05").rows("shipments_daily")}
    assert (day("2026-01-04"), 1) not in before
    assert before < {(row["day"], row["warehouse_id"]) for row in later}


def test_what_leaves_together_is_no_later_shipment(report: Report) -> None:
    """One parcel with lines of two warehouses, which it does not say; two in one second; and one a second later."""
    shop = {name: SHOP[name] for name in ("orders", "order_items")} | {
        "shipment_items": """
            shipment_item_id shipment_id order_item_id quantity warehouse_id seconds_to_ship shipped_at       cancelled_at
            1                A           21            3        -            93600           2026-01-03T12:00 -
            2                A           22            5        -            93600           2026-01-03T12:00 -
            3                B           11            2        1            86400           2026-01-03T10:00 -
            4                C           12            2        2            86400           2026-01-03T10:00 -
            5                D           12            2        2            86401           2026-01-03T10:00 -
        """,
    }
    report(shop, as_of="2026-01-06").check(
        "shipments_daily",
        """
        day        warehouse_id shipments later_shipments units_shipped orders_started
        2026-01-03 1            2         0               5             2
        2026-01-03 2            3         1               9             0
        """,
    )


def test_a_line_says_how_many_of_its_units_left(report: Report) -> None:
    units = {row["order_item_id"]: row["shipped_units"] for row in report(SHOP, as_of="2026-01-06").rows("order_lines")}
    assert units == {11: 2, 12: 2, 21: 3, 22: 5, 31: 6, 32: 0, 33: 0, 41: 0}


def test_a_shop_without_shipments(report: Report) -> None:
    shop = {name: rows for name, rows in SHOP.items() if name != "shipment_items"}
    assert report(shop, as_of="2026-01-06").rows("shipments_daily") == []
