"""reporting.incoming_stock."""

from __future__ import annotations

from typing import Any

from tests.transforms.conftest import Report
from tests.transforms.shelves import shelves

LINES = """
    purchase_order_line_id product_id warehouse_id quantity received known_on   ordered_on expected_on received_on cancelled_on
    1                      10         1            12       12       2026-01-01 2026-01-01 2026-01-05  2026-01-08  -
    2                      10         1            18       12       2026-01-02 2026-01-02 2026-01-20  2026-01-06  -
    3                      10         2            6        0        2026-01-03 2026-01-03 2026-01-10  -           -
    4                      11         1            6        6        2026-01-03 2026-01-03 -           2026-01-11  -
    5                      11         1            6        0        2026-01-04 2026-01-04 2026-01-09  -           2026-01-07
    6                      11         1            6        4        2026-01-04 2026-01-04 2026-01-07  2026-01-06  2026-01-12
    7                      11         1            6        8        2026-01-04 2026-01-04 -           2026-01-06  -
    8                      11         1            9        0        2026-01-11 2026-01-11 -           -           -
    9                      12         1            5        0        1970-01-01 -          -           -           -
    10                     12         2            0        0        1970-01-01 -          -           -           -
"""


def test_what_is_to_come_and_how_late_it_is(report: Report) -> None:
    """By the 10th: 4 has not come yet and 6 is not cancelled yet; 8 is ordered later; 10 is a shelf to which none come."""
    report({"purchase_order_lines": LINES}, as_of="2026-01-10").check(
        "incoming_stock",
        """
        purchase_order_line_id ordered_units received_units open_units received_on cancelled_on lead_days late_days status
        1                      12            12             0          2026-01-08  -            7         3         received
        2                      18            12             6          2026-01-06  -            -         -10       open
        3                      6             0              6          -           -            -         0         overdue
        4                      6             0              6          -           -            -         -         open
        5                      6             0              0          -           2026-01-07   -         -         cancelled
        6                      6             4              2          2026-01-06  -            -         3         overdue
        7                      6             8              0          2026-01-06  -            2         -         received
        9                      5             0              5          -           -            -         -         open
        """,
    )
    report({"purchase_order_lines": LINES}, as_of="2026-01-12").check(
        "incoming_stock",
        """
        purchase_order_line_id open_units received_on cancelled_on lead_days late_days status
        1                      0          2026-01-08  -            7         3         received
        2                      6          2026-01-06  -            -         -8        open
        3                      6          -           -            -         2         overdue
        4                      0          2026-01-11  -            8         -         received
        5                      0          -           2026-01-07   -         -         cancelled
        6                      0          2026-01-06  2026-01-12   2         -1        cancelled
        7                      0          2026-01-06  -            2         -         received
        8                      9          -           -            -         -         open
        9                      5          -           -            -         -         open
        """,
    )


# Per shelf the lines of purchase orders, and what is on order, overdue, awaited and suggested on January 30th.
ON_ORDER: list[tuple[str, tuple[Any, ...]]] = [
    ("", (0, 0, "-", 33)),
    ("{0} 1 12 0 2026-01-20 2026-02-02 - -", (12, 0, "2026-02-02", 21)),
    ("{0} 1 12 0 2026-01-20 2026-02-02 - -\n{0} 1 9 3 2026-01-20 2026-02-04 - 2026-01-28", (18, 0, "2026-02-02", 15)),
    ("{0} 1 12 0 2026-01-20 2026-01-30 - -", (12, 12, "-", 21)),  # expected by the night
    ("{0} 1 12 0 2026-01-20 2026-02-02 2026-01-29 -", (0, 0, "-", 33)),  # cancelled
    ("{0} 1 12 0 2026-01-31 2026-02-02 - -", (0, 0, "-", 33)),  # ordered after the night
    ("{0} 1 12 0 1970-01-01 - - -", (12, 0, "-", 21)),  # known by the shelf alone
    ("{0} 2 12 0 2026-01-20 2026-02-02 - -", (0, 0, "-", 33)),  # for another warehouse
    ("{0} 1 99 0 2026-01-20 2026-02-02 - -", (99, 0, "2026-02-02", 0)),  # never less than nothing
]


def test_what_is_on_order_is_not_ordered_again(report: Report) -> None:
    """2 a day for 28 days, 44 left: 33 are lacking."""
    products = range(10, 10 + len(ON_ORDER))
    drawn = [f"2026-01-{on:02} {{}} 1 {100 if on == 3 else 0} 2" for on in range(3, 31)]
    sold = "\n".join(line.format(product) for product in products for line in drawn)
    lines = "\n".join(lines.format(product) for product, (lines, _) in zip(products, ON_ORDER, strict=True))
    numbered = "\n".join(f"{number} {line}" for number, line in enumerate(lines.strip().splitlines()))
    header = (
        "purchase_order_line_id product_id warehouse_id quantity received known_on expected_on cancelled_on received_on"
    )
    shop = shelves(f"day product_id warehouse_id received sold\n{sold}")
    expected = "\n".join(
        f"{product} 44 22 {' '.join(map(str, found))}" for product, (_, found) in zip(products, ON_ORDER, strict=True)
    )
    report(shop | {"purchase_order_lines": f"{header}\n{numbered}"}, as_of="2026-01-30").check(
        "inventory_health",
        "\nproduct_id available days_of_supply on_order_units overdue_units next_expected_on suggested_order\n"
        + expected,
    )


def test_a_shop_that_orders_nothing(report: Report) -> None:
    assert report({}).rows("incoming_stock") == []
