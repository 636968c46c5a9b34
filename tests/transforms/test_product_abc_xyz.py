"""reporting.product_abc_xyz."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence

import pytest

from tests.transforms.conftest import Report
from tests.transforms.shelves import shelves

HEADER = "day product_id warehouse_id received sold price_cents\n"
NIGHT = datetime.date(2026, 2, 11)  # the last day of the sixth week from January 1


def _weekly(product: int, sold: Sequence[int], price: int = 100) -> str:
    """A product's sales by week, the last week last, each on its week's middle day."""
    first = NIGHT - datetime.timedelta(days=7 * len(sold) - 4)
    days = [(first + datetime.timedelta(days=7 * week)).isoformat() for week in range(len(sold))]
    return "".join(f"{on} {product} 1 0 {units} {price}\n" for on, units in zip(days, sold, strict=True) if units)


def test_classes_by_what_those_with_more_have(report: Report) -> None:
    """Of 1000: 10 has 790 and 11, which crosses 80 %, is A still; 12 crosses 95 %; 13 and 14 tie; 15 was never sold.

    16 was listed after the night. 14 was too, and sold before: it was there.
    """
    sales = [(10, 790), (11, 100), (12, 80), (13, 15), (14, 15)]
    shop = shelves(HEADER + "\n".join(f"2026-01-02 {product} 1 0 1 {cents}" for product, cents in sales))
    shop["products"] = """
        product_id sku created_at
        14         cup 2026-01-11
        15         bag 2026-01-10
        16         pen 2026-01-11
    """
    report(shop).check(
        "product_abc_xyz",
        """
        night      product_id currency net_sales_365d_cents cumulative_share abc
        2026-01-10 10         EUR      790                  790/1000         A
        2026-01-10 11         EUR      100                  890/1000         A
        2026-01-10 12         EUR      80                   970/1000         B
        2026-01-10 13         EUR      15                   985/1000         C
        2026-01-10 14         EUR      15                   1                C
        2026-01-10 15         -        0                    -                C
        """,
    )


def test_who_gave_back_more_than_they_sold_takes_nothing_from_the_others(report: Report) -> None:
    shop = shelves(HEADER + "2026-01-02 10 1 0 1 500\n2026-01-02 11 1 0 1 500")
    shop["refunds"] = "refund_id order_item_id quantity amount_cents refunded_at\n1 2 1 700 2026-01-03"
    report(shop).check(
        "product_abc_xyz",
        """
        product_id net_sales_365d_cents cumulative_share abc
        10         500                  1                A
        11         -200                 1                C
        """,
    )


@pytest.mark.parametrize(
    ("sold", "xyz", "demand"),
    [
        ([5, 5, 5, 5, 5, 5], "X", "smooth"),
        ([9, 3, 9, 3, 9, 3], "Y", "smooth"),
        ([30, 1, 1, 1, 1, 1], "Z", "erratic"),
        ([4, 0, 4, 0, 4, 0], "Z", "intermittent"),
        ([30, 0, 0, 0, 0, 1], "Z", "lumpy"),
        ([0, 0, 0, 0, 5, 5], "X", "smooth"),  # new, not unsteady
        ([0, 0, 0, 0, 0, 5], None, "smooth"),  # one week has no variation
        ([5, 0, 0, 0, 0, 0], "Z", "intermittent"),
    ],
)
def test_classes_by_the_weeks_since_the_first_sale(
    report: Report, sold: list[int], xyz: str | None, demand: str
) -> None:
    (row,) = report(shelves(HEADER + _weekly(10, sold)), as_of=NIGHT.isoformat()).rows("product_abc_xyz")
    assert (row["xyz"], row["demand_class"]) == (xyz, demand)


def test_variations_are_the_sample_s(report: Report) -> None:
    """4, 8 and nothing in 4 weeks; the week's units are of both warehouses."""
    shop = shelves(
        HEADER + _weekly(10, [4, 0, 6, 0]) + _weekly(10, [2, 0]).replace(" 10 1 ", " 10 2 ") + _weekly(11, [0, 0, 0, 1])
    )
    tables = report(shop, as_of=NIGHT.isoformat())
    tables.check(
        "product_abc_xyz",
        """
        product_id weeks weeks_with_sales units adi cv2
        10         4     2                12    4/2 2/9
        11         1     1                1     1   -
        """,
    )
    assert tables.rows("product_abc_xyz")[0]["weekly_variation"] == math.sqrt(4 * (4 * 80 - 144) / (3 * 144))


def test_a_year_has_52_weeks(report: Report) -> None:
    """The first of January is the first day of 52 weeks that end on December 30."""
    shop = shelves(HEADER + "2026-01-01 10 1 0 3 100")
    rows = [report(shop, as_of=night).rows("product_abc_xyz")[0] for night in ("2026-12-30", "2026-12-31")]
    assert [(row["weeks"], row["units"], row["demand_class"]) for row in rows] == [
        (52, 3, "intermittent"),
        (52, 0, None),
    ]


def test_a_shop_without_products(report: Report) -> None:
    assert report({}).rows("product_abc_xyz") == []
