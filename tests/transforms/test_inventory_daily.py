"""reporting.inventory_daily."""

from __future__ import annotations

from tests.transforms.conftest import Report

STOCK = {
    "products": """
        product_id sku    unit_cost_cents
        10         tea    300
        11         coffee -
    """,
    "inventory_movements": """
        movement_id product_id warehouse_id kind        quantity moved_at
        1           10         1            receipt     10       2026-01-02
        2           10         1            reservation 4        2026-01-03
        3           10         1            reservation 3        2026-01-03
        4           10         1            shipment    -4       2026-01-05
        5           10         1            release     -3       2026-01-05
        6           10         1            return      1        2026-01-06
        7           10         1            adjustment  -2       2026-01-06
        8           11         2            receipt     2        2026-01-05
        9           11         2            reservation 2        2026-01-06
        10          10         1            receipt     50       2026-01-08
    """,
    "inventory": """
        product_id warehouse_id on_hand reserved reorder_point unexplained_units unexplained_reserved
        10         1            56      3        5             1                 3
        11         2            2       2        5             0                 0
        12         1            6       0        5             6                 0
    """,
}


def test_balances_every_day_and_owns_up_to_the_rest_on_the_last(report: Report) -> None:
    report(STOCK, as_of="2026-01-07").check(
        "inventory_daily",
        """
        day        product_id warehouse_id opening_units received shipped returned adjusted unexplained_units unexplained_reserved closing_units reserved available is_stockout closing_value_cents
        2026-01-02 10         1            0             10       0       0        0        0                 0                    10            0        10        no          3000
        2026-01-03 10         1            10            0        0       0        0        0                 0                    10            7        3         no          3000
        2026-01-04 10         1            10            0        0       0        0        0                 0                    10            7        3         no          3000
        2026-01-05 10         1            10            0        4       0        0        0                 0                    6             0        6         no          1800
        2026-01-05 11         2            0             2        0       0        0        0                 0                    2             0        2         no          -
        2026-01-06 10         1            6             0        0       1        -2       0                 0                    5             0        5         no          1500
        2026-01-06 11         2            2             0        0       0        0        0                 0                    2             2        0         yes         -
        2026-01-07 10         1            5             0        0       0        0        1                 3                    6             3        3         no          1800
        2026-01-07 11         2            2             0        0       0        0        0                 0                    2             2        0         yes         -
        2026-01-07 12         1            0             0        0       0        0        6                 0                    6             0        6         no          -
        """,
    )


def test_values_say_in_which_currency_they_are(report: Report) -> None:
    """That of the cost, else that of the price; one that names none is in the shop's own."""
    shop = {
        "inventory": """
            product_id warehouse_id on_hand reserved reorder_point unexplained_units unexplained_reserved
            10         1            2       0        5             2                 0
            11         1            2       0        5             2                 0
            12         1            2       0        5             2                 0
        """,
        "products": """
            product_id unit_cost_cents cost_currency price_currency
            10         300             EUR           JPY
            11         40000           -             JPY
            12         500             -             -
        """,
    }
    report(shop).check(
        "inventory_daily",
        """
        product_id closing_value_cents currency
        10         600                 EUR
        11         80000               JPY
        12         1000                -
        """,
    )


def test_only_a_reserved_line_ends_a_reservation_and_a_reversal_is_netted(report: Report) -> None:
    """Two units are shipped that nobody had reserved; 3 go back to the vendor; a shipment and a return are taken back."""
    shop = {
        "inventory_movements": """
            movement_id product_id warehouse_id kind        quantity moved_at   changes_reserved
            1           10         1            receipt     10       2026-01-08 no
            2           10         1            shipment    -2       2026-01-09 no
            3           10         1            reservation 4        2026-01-09 yes
            4           10         1            shipment    -4       2026-01-10 yes
            5           10         1            receipt     -3       2026-01-10 no
            6           10         1            shipment    5        2026-01-10 no
            7           10         1            return      -1       2026-01-10 no
        """
    }
    report(shop).check(
        "inventory_daily",
        """
        day        opening_units received shipped returned closing_units reserved available
        2026-01-08 0             10       0       0        10            0        10
        2026-01-09 10            0        2       0        8             4        4
        2026-01-10 8             -3       -1      -1       5             0        5
        """,
    )


def test_before_it_is_first_stocked_a_shelf_is_no_stock_out(report: Report) -> None:
    """10 is reserved before it comes and sold out after; nothing of 11 came but a count of none; of 12 some were found."""
    shop = {
        "inventory_movements": """
            movement_id product_id warehouse_id kind        quantity moved_at
            1           10         1            reservation 2        2026-01-06
            2           10         1            receipt     2        2026-01-08
            3           10         1            shipment    -2       2026-01-09
            4           11         1            adjustment  0        2026-01-09
            5           11         1            reservation 1        2026-01-09
        """,
        "inventory": """
            product_id warehouse_id on_hand reserved unexplained_units unexplained_reserved
            10         1            0       0        0                 0
            11         1            0       1        0                 0
            12         1            4       4        4                 4
            13         1            0       0        0                 0
        """,
    }
    report(shop).check(
        "inventory_daily",
        """
        day        product_id closing_units available is_stocked is_stockout
        2026-01-06 10         0             -2        no         no
        2026-01-07 10         0             -2        no         no
        2026-01-08 10         2             0         yes        yes
        2026-01-09 10         0             0         yes        yes
        2026-01-09 11         0             -1        no         no
        2026-01-10 10         0             0         yes        yes
        2026-01-10 11         0             -1        no         no
        2026-01-10 12         4             0         yes        yes
        2026-01-10 13         0             0         no         no
        """,
    )


def test_a_shelf_is_in_no_day_before_it_was_known(report: Report) -> None:
    shop = {
        "inventory": """
            product_id warehouse_id on_hand known_on   unexplained_units
            10         1            6       2026-01-10 6
            11         1            6       2026-01-11 6
            12         1            6       -          6
        """
    }
    report(shop).check(
        "inventory_daily",
        """
        day        product_id closing_units
        2026-01-10 10         6
        2026-01-10 12         6
        """,
    )


def test_a_shop_without_stock(report: Report) -> None:
    assert report({}).rows("inventory_daily") == []


def test_counts_open_a_shelf_and_what_lies_between_two_is_unexplained(report: Report) -> None:
    """10 is counted three times, 11 is found with nothing and filled later; the count of the 11th is not known yet."""
    shop = {
        "inventory_movements": """
            movement_id product_id warehouse_id kind              quantity moved_at   changes_reserved moves_units
            1           10         1            count             8        2026-01-06 no               yes
            2           10         1            count_of_reserved 3        2026-01-06 yes              no
            3           11         1            count             0        2026-01-06 no               no
            4           10         1            count             -5       2026-01-08 no               yes
            5           11         1            count             4        2026-01-09 no               yes
            6           10         1            count_of_reserved -3       2026-01-09 yes              no
            7           10         1            count             40       2026-01-11 no               yes
        """,
        "inventory": """
            product_id warehouse_id on_hand reserved unexplained_units unexplained_reserved
            10         1            43      0        -                 -
            11         1            4       0        -                 -
        """,
    }
    report(shop).check(
        "inventory_daily",
        """
        day        product_id opening_units received adjusted unexplained_units unexplained_reserved closing_units reserved available is_stocked is_stockout
        2026-01-06 10         0             0        0        8                 3                    8             3        5         yes        no
        2026-01-06 11         0             0        0        0                 0                    0             0        0         no         no
        2026-01-07 10         8             0        0        0                 0                    8             3        5         yes        no
        2026-01-07 11         0             0        0        0                 0                    0             0        0         no         no
        2026-01-08 10         8             0        0        -5                0                    3             3        0         yes        yes
        2026-01-08 11         0             0        0        0                 0                    0             0        0         no         no
        2026-01-09 10         3             0        0        0                 -3                   3             0        3         yes        no
        2026-01-09 11         0             0        0        4                 0                    4             0        4         yes        no
        2026-01-10 10         3             0        0        0                 0                    3             0        3         yes        no
        2026-01-10 11         4             0        0        0                 0                    4             0        4         yes        no
        """,
    )
