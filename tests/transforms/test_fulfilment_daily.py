"""reporting.fulfilment_daily."""

from __future__ import annotations

from tests.transforms.conftest import Report, Shop

# 1: two lines from warehouse 1 and one from 2. 2: cancelled for lack of stock. 3: cancelled because the customer asked.
# 4: shipped, then cancelled. 5: handed over at the till. 6: open.
PARCELS = {
    "orders": """
        order_id customer_id status     currency ordered_at       shipped_at       delivered_at cancelled_at cancellation_reason seconds_to_ship
        1        1           delivered  EUR      2026-01-02T10:00 2026-01-04T10:00 2026-01-05   -            -                   172800
        2        1           cancelled  EUR      2026-01-02T10:00 -                -            2026-01-04   out_of_stock        -
        3        1           cancelled  EUR      2026-01-02T10:00 -                -            2026-01-04   changed_mind        -
        4        1           cancelled  EUR      2026-01-03T10:00 2026-01-04T11:00 -            2026-01-06   out_of_stock        90000
        5        1           delivered  EUR      2026-01-03T10:00 -                2026-01-03   -            -                   -
        6        1           processing EUR      2026-01-05T10:00 -                -            -            -                   -
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on
        11            1        10         1            2        100              2026-01-02
        12            1        11         1            3        100              2026-01-02
        13            1        10         2            4        100              2026-01-02
        21            2        10         1            3        100              2026-01-02
        31            3        10         1            9        100              2026-01-02
        41            4        10         1            1        100              2026-01-03
        51            5        10         1            7        100              2026-01-03
        61            6        10         1            1        100              2026-01-05
    """,
}


def test_counts_what_happened_on_its_day(report: Report) -> None:
    report(PARCELS, as_of="2026-01-06").check(
        "fulfilment_daily",
        """
        day        warehouse_id orders_placed orders_shipped units_shipped orders_cancelled cancelled_for_stock units_cancelled_for_stock unit_fill_rate hours_to_ship_p50 hours_to_ship_p90 on_time_rate open_orders
        2026-01-02 1            3             0              0             0                0                   0                         -              -                 -                 -            3
        2026-01-02 2            1             0              0             0                0                   0                         -              -                 -                 -            1
        2026-01-03 1            2             1              7             0                0                   0                         1              -                 -                 -            4
        2026-01-03 2            0             0              0             0                0                   0                         -              -                 -                 -            1
        2026-01-04 1            0             2              6             2                1                   3                         6/9            25                48                1            0
        2026-01-04 2            0             1              4             0                0                   0                         1              48                48                1            0
        2026-01-05 1            1             0              0             0                0                   0                         -              -                 -                 -            1
        2026-01-05 2            0             0              0             0                0                   0                         -              -                 -                 -            0
        2026-01-06 1            0             0              0             0                0                   0                         -              -                 -                 -            1
        2026-01-06 2            0             0              0             0                0                   0                         -              -                 -                 -            0
        """,
    )


def test_percentiles_are_nearest_rank_and_late_is_late(report: Report) -> None:
    """Eleven orders took 1 to 11 days: half of them at most 6 days, nine in ten at most 10."""
    numbers = range(1, 12)
    shop: Shop = {
        "orders": "order_id customer_id currency ordered_at shipped_at seconds_to_ship\n"
        + "\n".join(f"{n} 1 EUR 2026-01-{13 - n:02} 2026-01-13 {n * 86400}" for n in numbers),
        "order_items": "order_item_id order_id product_id warehouse_id quantity sold_on\n"
        + "\n".join(f"{n} {n} 10 1 1 2026-01-{13 - n:02}" for n in numbers),
    }
    row = report(shop, as_of="2026-01-13").rows("fulfilment_daily")[-1]
    assert (row["hours_to_ship_p50"], row["hours_to_ship_p90"], row["on_time_rate"]) == (144, 240, 2 / 11)


def test_a_shop_without_orders(report: Report) -> None:
    assert report({}).rows("fulfilment_daily") == []
