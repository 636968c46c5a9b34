"""Lines that are added to an order and taken out of it: each counts on its own day."""

from __future__ import annotations

from tests.transforms.conftest import Report, day

# One line from the start, one that was added on the 4th, and one that was taken out on the 5th; both first ones refunded.
EDITED = {
    "orders": """
        order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
        1        1           pending EUR      300            30             27        297         2026-01-02
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents unit_cost_cents discount_cents sold_on    removed_on
        1             1        1          1            1        100              40              -              2026-01-02 -
        2             1        2          1            2        100              40              -              2026-01-04 -
        3             1        3          1            1        500              90              50             2026-01-02 2026-01-05
    """,
    "refunds": """
        refund_id order_item_id quantity amount_cents restocked refunded_on
        1         1             1        40           no        2026-01-06
        2         3             1        450          no        2026-01-06
    """,
}


def test_a_line_counts_on_the_day_it_was_added_and_is_a_return_on_the_day_it_was_taken_out(report: Report) -> None:
    """What was refunded of the line that was taken out is in its return."""
    built = report(EDITED, as_of="2026-01-06")
    built.check(
        "daily_sales",
        """
        day        currency orders units refunded_units gross_sales_cents discounts_cents returns_cents net_sales_cents tax_cents total_sales_cents
        2026-01-02 EUR      1      2     0              600               60              0             540             27        567
        2026-01-03 EUR      0      0     0              0                 0               0             0               0         0
        2026-01-04 EUR      0      2     0              200               20              0             180             0         180
        2026-01-05 EUR      0      0     1              0                 0               450           -450            0         -450
        2026-01-06 EUR      0      0     1              0                 0               40            -40             0         -40
        """,
    )
    built.check(
        "daily_product_sales",
        """
        day        product_id warehouse_id currency units refunded_units gross_sales_cents discounts_cents returns_cents gross_margin_cents
        2026-01-02 1          1            EUR      1     0              100               10              0             50
        2026-01-02 3          1            EUR      1     0              500               50              0             360
        2026-01-04 2          1            EUR      2     0              200               20              0             100
        2026-01-05 3          1            EUR      0     1              0                 0               450           -360
        2026-01-06 1          1            EUR      0     1              0                 0               40            0
        """,
    )
    built.check(
        "refunds_daily",
        """
        day        currency restocked refunds refunded_units returns_cents
        2026-01-05 EUR      yes       1       1              450
        2026-01-06 EUR      no        1       1              40
        """,
    )


def test_an_order_is_what_is_in_it(report: Report) -> None:
    built = report(EDITED)
    built.check(
        "order_lines",
        """
        order_item_id ordered_on sold_on    removed_on discount_allocated_cents net_sales_cents gross_margin_cents
        1             2026-01-02 2026-01-02 -          10                       50              50
        2             2026-01-02 2026-01-04 -          20                       180             100
        3             2026-01-02 2026-01-02 2026-01-05 50                       0               0
        """,
    )
    built.check(
        "orders",
        """
        order_id item_count units gross_sales_cents discount_cents returns_cents net_sales_cents total_cents rounding_cents
        1        2          3     300               30             40            230             297         0
        """,
    )


def test_what_was_added_and_taken_out_of_a_cancelled_order_counts_nowhere(report: Report) -> None:
    orders = """
        order_id customer_id status    currency subtotal_cents discount_cents tax_cents total_cents ordered_at cancelled_at
        1        1           cancelled EUR      300            30             27        297         2026-01-02 2026-01-05
    """
    built = report(EDITED | {"orders": orders})
    assert {row["net_sales_cents"] for row in built.rows("daily_sales")} == {0}
    assert built.rows("daily_product_sales") == built.rows("refunds_daily") == []


def test_what_happens_to_a_line_later_is_not_known_on_a_day_before(report: Report) -> None:
    """As of the 3rd the one is not there yet, and the other still is. An order's discount has no day of its own."""
    report(EDITED, as_of="2026-01-03").check(
        "order_lines",
        """
        order_item_id removed_on gross_sales_cents
        1             -          100
        3             -          500
        """,
    )
    report(EDITED, as_of="2026-01-03").check(
        "daily_sales",
        """
        day        currency orders units gross_sales_cents returns_cents
        2026-01-02 EUR      1      2     600               0
        2026-01-03 EUR      0      0     0                 0
        """,
    )


# An order that left on the 3rd; a line of five units was added on the 12th, and another order placed a year later.
LATE = {
    "orders": """
        order_id customer_id status    currency subtotal_cents discount_cents tax_cents total_cents ordered_at shipped_at seconds_to_ship
        1        1           shipped   EUR      600            0              60        660         2025-01-02 2025-01-03 86400
        2        1           pending   EUR      100            0              10        110         2026-01-04 -          -
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on
        1             1        1          1            1        100              2025-01-02
        2             1        2          1            5        100              2025-01-12
        3             2        3          1            1        100              2026-01-04
    """,
    "products": """
        product_id sku category
        1          A   tea
        2          B   cups
        3          C   tea
    """,
}

THIS_YEAR = {name: rows.replace("2025", "2026") for name, rows in LATE.items()}


def test_a_line_that_was_added_after_its_order_left_is_not_in_its_parcel(report: Report) -> None:
    units = {row["day"]: row["units_shipped"] for row in report(THIS_YEAR, as_of="2026-01-13").rows("fulfilment_daily")}
    assert units[day("2026-01-03")] == 1
    assert sum(units.values()) == 1


def test_what_a_customer_bought_is_of_the_orders_of_the_year(report: Report) -> None:
    """The first order is of 368 days ago, its second line of 358."""
    (row,) = report(LATE, as_of="2026-01-05").rows("customer_activity")
    assert (row["orders_365d"], row["distinct_products_365d"], row["top_category_share"]) == (1, 1, 1.0)


def test_an_average_order_value_is_of_the_orders_of_the_day(report: Report) -> None:
    rows = report(THIS_YEAR, as_of="2026-01-13").rows("daily_sales")
    values = {row["day"]: row["average_order_value"] for row in rows}
    assert [values[day(f"2026-01-{on}")] for on in ("02", "12", "04")] == [6.0, None, 1.0]


def test_a_cent_that_was_rounded_is_under_the_code_of_its_line(report: Report) -> None:
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending EUR      2000           101            0         1899        2026-01-02
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents discount_cents discount_code sold_on
            1             1        1          1            1        1000             50             A             2026-01-02
            2             1        1          1            1        1000             50             B             2026-01-02
        """,
    }
    report(shop).check(
        "discounts",
        """
        day        discount_code orders discounts_cents
        2026-01-02 A             1      51
        2026-01-02 B             1      50
        """,
    )
