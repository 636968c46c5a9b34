"""reporting.orders."""

from __future__ import annotations

from tests.transforms.conftest import Report, Shop


def test_adds_up_lines_and_refunds(report: Report, shop: Shop) -> None:
    report(shop).check(
        "orders",
        """
        order_id item_count units refunded_units gross_sales_cents discount_cents tax_cents returns_cents net_sales_cents total_cents cost_cents returned_cost_cents gross_margin_cents
        1        2          3     2              3000              100            290       1900          1000            3190        1050       600                 550
        2        1          1     0              1000              0              100       0             0               1100        300        0                   0
        3        1          7     0              700               0              70        0             700             770         700        0                   0
        4        1          2     1              2000              0              200       1000          1000            2200        600        300                 700
        6        2          3     0              999               99             90        0             900             990         -          -                   -
        7        1          1     0              1000              0              100       0             1000            1100        300        0                   700
        """,
    )


def test_tells_the_status_of_that_day(report: Report, shop: Shop) -> None:
    report(shop).check(
        "orders",
        """
        order_id status     shipped_on delivered_on cancelled_on shipped_at       cancelled_at hours_to_ship hours_to_deliver
        1        delivered  2026-01-03 2026-01-05   -            2026-01-03T10:00 -            24            38
        2        cancelled  -          -            2026-01-04   -                2026-01-04   -             -
        3        processing -          -            -            -                -            -             -
        4        shipped    2026-01-06 -            -            2026-01-06T09:00 -            24            -
        6        pending    -          -            -            -                -            -             -
        7        processing -          -            -            -                -            -             -
        """,
    )


def test_numbers_a_customers_orders_without_the_cancelled(report: Report, shop: Shop) -> None:
    report(shop, as_of="2026-01-12").check(
        "orders",
        """
        order_id customer_id customer_order_number is_first_order
        1        1           1                     yes
        2        2           -                     no
        3        1           2                     no
        4        3           -                     no
        5        4           2                     no
        6        4           1                     yes
        7        2           1                     yes
        """,
    )


def test_orders_of_one_instant_count_by_their_key(report: Report) -> None:
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            8        1           pending EUR      0              0              0         0           2026-01-02
            7        1           pending EUR      0              0              0         0           2026-01-02
        """
    }
    report(shop).check(
        "orders",
        """
        order_id customer_order_number item_count cost_cents
        7        1                     0          0
        8        2                     0          0
        """,
    )


def test_tells_where_an_order_was_placed_as_the_shop_says(report: Report) -> None:
    shop = {
        "orders": """
            order_id customer_id status  channel currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            7        1           pending app     EUR      0              0              0         0           2026-01-02
            8        1           pending pigeon  EUR      0              0              0         0           2026-01-02
            9        1           pending -       EUR      0              0              0         0           2026-01-02
        """
    }
    report(shop).check(
        "orders",
        """
        order_id channel
        7        app
        8        pigeon
        9        -
        """,
    )


def test_adds_up_what_no_line_explains(report: Report, shop: dict[str, str]) -> None:
    """Of order 1 twice, besides the tax of its lines' refunds; of order 2, cancelled; of no order; after the 10th."""
    shop["refunds"] = """
        refund_id order_item_id quantity amount_cents tax_cents restocked refunded_at
        1         101           1        1000         100       yes       2026-01-05
        2         101           1        900          -         no        2026-01-06
        3         102           1        1000         9         yes       2026-01-06
    """
    shop["order_refunds"] = """
        order_refund_id order_id currency amount_cents shipping_cents tax_cents refunded_at
        1               1        EUR      50           7              6         2026-01-06
        2               1        EUR      1            0              0         2026-01-07
        3               -        EUR      20           0              0         2026-01-06
        4               2        EUR      300          0              30        2026-01-06
        5               6        EUR      8            0              0         2026-01-11
    """
    report(shop).check(
        "orders",
        """
        order_id returns_cents other_refunds_cents shipping_refunds_cents tax_refunds_cents net_sales_cents tax_cents
        1        2900          51                  7                      115               0               290
        2        0             300                 0                      30                0               100
        3        0             0                   0                      0                 700             70
        4        0             0                   0                      0                 2000            200
        6        0             0                   0                      0                 900             90
        7        0             0                   0                      0                 1000            100
        """,
    )
    report(shop).check(
        "order_lines",
        """
        order_item_id tax_refunds_cents
        101           100
        102           9
        201           0
        301           0
        401           0
        601           0
        602           0
        701           0
        """,
    )
