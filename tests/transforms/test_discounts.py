"""reporting.discounts."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tests.transforms.conftest import Report, Shop, day

CODES = {
    "orders": """
        order_id customer_id status  currency subtotal_cents discount_cents discount_code tax_cents total_cents ordered_at cancelled_at
        1        1           shipped EUR      400            100            SPRING        0         300         2026-01-02 -
        2        1           shipped EUR      400            100            SPRING        0         300         2026-01-02 -
        3        -           shipped EUR      300            30             -             0         270         2026-01-02 -
        4        2           shipped USD      200            50             SPRING        0         150         2026-01-02 -
        5        2           shipped EUR      200            50             SPRING        0         150         2026-01-03 2026-01-05
        6        3           shipped EUR      200            0              SPRING        0         200         2026-01-03 -
        7        3           shipped EUR      200            20             -             0         180         2026-01-03 -
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents discount_cents discount_code sold_on
        1             1        1          1            1        300              60             OFFER         2026-01-02
        2             1        1          1            1        100              -              -             2026-01-02
        3             2        1          1            4        100              25             SPRING        2026-01-02
        4             3        1          1            1        200              10             OFFER         2026-01-02
        5             3        1          1            1        100              20             -             2026-01-02
        6             4        1          1            2        100              0              OFFER         2026-01-02
        7             5        1          1            2        100              50             OFFER         2026-01-03
        8             6        1          1            2        100              -              -             2026-01-03
        9             7        1          1            1        200              -              -             2026-01-03
    """,
    "refunds": """
        refund_id order_item_id quantity amount_cents restocked refunded_at
        1         3             1        75           yes       2026-01-04
        2         3             1        75           yes       2026-01-05
    """,
}


def test_what_is_off_a_line_counts_under_its_code_and_the_rest_under_the_orders(report: Report) -> None:
    """Empty is the code of what has none: of order 3's second line, and of order 7, which is customer 3's second."""
    report(CODES).check(
        "discounts",
        """
        day        currency discount_code orders customers new_customers units gross_sales_cents discounts_cents net_sales_cents
        2026-01-02 EUR      ''            1      0         0             2     300               20              270
        2026-01-02 EUR      OFFER         2      1         1             4     700               70              570
        2026-01-02 EUR      SPRING        2      1         1             6     800               140             450
        2026-01-02 USD      SPRING        1      1         1             2     200               50              150
        2026-01-03 EUR      ''            1      1         0             1     200               20              180
        """,
    )


def test_every_day_adds_up_to_its_discounts(report: Report) -> None:
    tables = report(CODES)
    found: dict[Any, int] = defaultdict(int)
    for row in tables.rows("discounts"):
        found[row["day"], row["currency"]] += row["discounts_cents"]
    days = {(row["day"], row["currency"]): row["discounts_cents"] for row in tables.rows("daily_sales")}
    assert found == {key: cents for key, cents in days.items() if cents}


def test_an_empty_code_is_none(report: Report) -> None:
    lines = CODES["order_items"].replace("-             2026-01-02\n        6 ", "''            2026-01-02\n        6 ")
    assert lines != CODES["order_items"]
    expected = report(CODES).rows("discounts")
    assert report(CODES | {"order_items": lines}).rows("discounts") == expected


def test_an_order_that_is_cancelled_later_is_not_cancelled_yet(report: Report) -> None:
    rows = report(CODES, as_of="2026-01-04").rows("discounts")
    assert [(row["day"], row["discount_code"], row["discounts_cents"]) for row in rows if row["orders"] == 1][-1] == (
        day("2026-01-03"),
        "OFFER",
        50,
    )


def test_a_shop_without_codes(report: Report, shop: Shop) -> None:
    report(shop).check(
        "discounts",
        """
        day        currency discount_code orders discounts_cents
        2026-01-02 EUR      ''            1      100
        2026-01-06 EUR      ''            1      99
        """,
    )


def test_a_shop_without_orders(report: Report) -> None:
    assert report({}).rows("discounts") == []
