"""reporting.order_lines."""

from __future__ import annotations

from tests.transforms.conftest import Report, Shop


def test_a_line_with_two_refunds_stays_one_line(report: Report, shop: Shop) -> None:
    report(shop).check(
        "order_lines",
        """
        order_item_id order_id currency ordered_on is_cancelled gross_sales_cents discount_allocated_cents refunded_quantity returns_cents net_sales_cents cost_cents returned_cost_cents gross_margin_cents
        101           1        EUR      2026-01-02 no           2000              67                       2                 1900          33              600        600                 33
        102           1        EUR      2026-01-02 no           1000              33                       0                 0             967             450        0                   517
        201           2        EUR      2026-01-02 yes          1000              0                        0                 0             0               300        0                   0
        301           3        USD      2026-01-02 no           700               0                        0                 0             700             700        0                   0
        401           4        EUR      2026-01-05 no           2000              0                        1                 1000          1000            600        300                 700
        601           6        EUR      2026-01-06 no           333               33                       0                 0             300             -          -                   -
        602           6        EUR      2026-01-06 no           666               66                       0                 0             600             200        0                   400
        701           7        EUR      2026-01-06 no           1000              0                        0                 0             1000            300        0                   700
        """,
    )


def test_left_over_cents_go_to_the_largest_remainders(report: Report) -> None:
    """100 over 3 equal lines: the first by key gets the odd cent. 10 over 1:2:4 is 1.43, 2.86, 5.71: both rests go up."""
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending EUR      300            100            0         200         2026-01-02
            2        1           pending EUR      700            10             0         690         2026-01-02
            3        1           pending EUR      0              0              0         0           2026-01-02
            4        1           pending EUR      300            300            0         0           2026-01-02
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on
            3             1        1          1            1        100              2026-01-02
            2             1        1          1            1        100              2026-01-02
            1             1        1          1            1        100              2026-01-02
            4             2        1          1            1        100              2026-01-02
            5             2        1          1            1        200              2026-01-02
            6             2        1          1            1        400              2026-01-02
            7             3        1          1            1        0                2026-01-02
            8             4        1          1            2        100              2026-01-02
            9             4        1          1            1        100              2026-01-02
        """,
    }
    report(shop).check(
        "order_lines",
        """
        order_item_id discount_allocated_cents
        1             34
        2             33
        3             33
        4             1
        5             3
        6             6
        7             0
        8             200
        9             100
        """,
    )


def test_a_discount_is_spread_in_the_smallest_unit_of_its_currency(report: Report) -> None:
    """100 over 3 equal lines, in a lake of thousandths: whole yen, whole cents, whole fils; and the most that is credible.

    30 million yen by 30 million, in thousandths, are 9e20: no int64 holds that.
    """
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending JPY      300000         100000         0         200000      2026-01-02
            2        1           pending EUR      3000           1000           0         2000        2026-01-02
            3        1           pending KWD      300            100            0         200         2026-01-02
            4        1           pending JPY      30000000000    30000000000    0         0           2026-01-02
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on
            1             1        1          1            1        100000           2026-01-02
            2             1        1          1            1        100000           2026-01-02
            3             1        1          1            1        100000           2026-01-02
            4             2        1          1            1        1000             2026-01-02
            5             2        1          1            1        1000             2026-01-02
            6             2        1          1            1        1000             2026-01-02
            7             3        1          1            1        100              2026-01-02
            8             3        1          1            1        100              2026-01-02
            9             3        1          1            1        100              2026-01-02
            10            4        1          1            1        29999999000      2026-01-02
            11            4        1          1            1        1000             2026-01-02
        """,
    }
    report(shop, decimals=3).check(
        "order_lines",
        """
        order_item_id discount_allocated_cents
        1             34000
        2             33000
        3             33000
        4             340
        5             330
        6             330
        7             34
        8             33
        9             33
        10            29999999000
        11            1000
        """,
    )


def test_only_what_no_line_has_of_the_discount_is_spread(report: Report) -> None:
    """Order 1: all 100 are the first line's. Order 2: 60 are, and 40 are spread over 240 and 100. Order 3: as rounded."""
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents rounding_cents ordered_at
            1        1           pending EUR      400            100            0         300         0              2026-01-02
            2        1           pending EUR      400            100            0         300         0              2026-01-02
            3        1           pending EUR      400            9              0         391         1              2026-01-02
            4        1           pending EUR      400            400            0         0           0              2026-01-02
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents discount_cents tax_cents sold_on
            1             1        1          1            1        300              100            19        2026-01-02
            2             1        1          1            1        100              -              -         2026-01-02
            3             2        1          1            1        300              60             0         2026-01-02
            4             2        1          1            1        100              0              19        2026-01-02
            5             3        1          1            1        300              5              -         2026-01-02
            6             3        1          1            1        100              5              -         2026-01-02
            7             4        1          1            1        300              300            -         2026-01-02
            8             4        1          1            1        100              -              -         2026-01-02
        """,
    }
    built = report(shop)
    built.check(
        "order_lines",
        """
        order_item_id discount_allocated_cents net_sales_cents tax_cents
        1             100                      200             19
        2             0                        100             -
        3             88                       212             0
        4             12                       88              19
        5             5                        295             -
        6             5                        95              -
        7             300                      0               -
        8             100                      0               -
        """,
    )
    built.check(
        "orders",
        """
        order_id gross_sales_cents discount_cents net_sales_cents total_cents rounding_cents
        1        400               100            300             300         0
        2        400               100            300             300         0
        3        400               10             390             391         1
        4        400               400            0               0           0
        """,
    )


def test_what_a_shop_rounded_stays_with_the_lines_that_have_a_discount(report: Report) -> None:
    """Three lines of 3.333 off are 9.999: the cent is theirs, by largest remainder. Two cents of order 2 are a discount.

    In order 3 nothing is left of the line with the discount.
    """
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending EUR      4000           1000           0         3000        2026-01-02
            2        1           pending EUR      4000           1001           0         2999        2026-01-02
            3        1           pending EUR      400            301            0         99          2026-01-02
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents discount_cents sold_on
            1             1        1          1            1        1000             333            2026-01-02
            2             1        1          1            1        1000             333            2026-01-02
            3             1        1          1            1        1000             333            2026-01-02
            4             1        1          1            1        1000             -              2026-01-02
            5             2        1          1            1        1000             999            2026-01-02
            6             2        1          1            1        3000             -              2026-01-02
            7             3        1          1            1        300              300            2026-01-02
            8             3        1          1            1        100              0              2026-01-02
        """,
    }
    report(shop).check(
        "order_lines",
        """
        order_item_id discount_allocated_cents
        1             334
        2             333
        3             333
        4             0
        5             999
        6             2
        7             300
        8             1
        """,
    )


def test_a_line_comes_to_what_the_shop_says_where_it_rounds(report: Report) -> None:
    """Three for 148.50 with 19 % tax in it are 124.79 without; 41.60 each would be 124.80."""
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending EUR      12479          0              2371      14850       2026-01-02
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents subtotal_cents tax_cents sold_on
            1             1        1          1            3        4160             12479          2371      2026-01-02
        """,
    }
    report(shop).check(
        "order_lines",
        """
        order_item_id unit_price_cents gross_sales_cents net_sales_cents tax_cents
        1             4160             12479             12479           2371
        """,
    )


def test_no_line_has_more_off_than_it_comes_to_where_amounts_are_rounded(report: Report) -> None:
    """Two free lines of 8.3445 each: 8.34 and 8.34 off, of an order of 16.69 with 16.69 off; and with the order's only."""
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending EUR      1669           1669           0         0           2026-01-02
            2        1           pending EUR      301            301            0         0           2026-01-02
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents discount_cents sold_on
            1             1        1          1            1        834              834            2026-01-02
            2             1        1          1            1        834              834            2026-01-02
            3             2        1          1            1        100              -              2026-01-02
            4             2        1          1            1        100              -              2026-01-02
            5             2        1          1            1        100              -              2026-01-02
        """,
    }
    report(shop).check(
        "order_lines",
        """
        order_item_id discount_allocated_cents net_sales_cents
        1             834                      0
        2             834                      0
        3             100                      0
        4             100                      0
        5             100                      0
        """,
    )


def test_a_line_keeps_what_its_product_was_called_when_it_was_sold(report: Report) -> None:
    """Whatever the product is called by now; where the order has nothing, neither has the line."""
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending EUR      200            0              0         200         2026-01-02
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on    sku product_name
            1             1        1          1            1        100              2026-01-02 old Beaker
            2             1        1          1            1        100              2026-01-02 -   -
        """,
        "products": """
            product_id sku name
            1          new Mug
        """,
    }
    report(shop).check(
        "order_lines",
        """
        order_item_id product_id sku product_name
        1             1          old Beaker
        2             1          -   -
        """,
    )
