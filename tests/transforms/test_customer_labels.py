"""features.customer_labels."""

from __future__ import annotations

from typing import Any

import pytest

from tests.transforms.conftest import Report

# As of January 31, whose 90 days end on May 1. 1 orders on the first and last day of them, and after. 2 orders nothing
# and gets money back for a January order. 3 places an order and cancels it in the window. 4 first orders in it. 5 had
# only a cancelled order, and pays in dollars. 6 pays in dollars for once.
SHOP: dict[str, Any] = {
    "orders": """
        order_id customer_id status    currency subtotal_cents discount_cents tax_cents total_cents ordered_at cancelled_at
        1        1           pending   EUR      1000           0              0         1000        2026-01-31 -
        2        1           pending   EUR      500            100            0         400         2026-02-01 -
        3        1           pending   EUR      300            0              0         300         2026-05-01 -
        4        1           pending   EUR      900            0              0         900         2026-05-02 -
        5        2           pending   EUR      700            0              0         700         2026-01-05 -
        6        3           pending   EUR      200            0              0         200         2026-01-05 -
        7        3           cancelled EUR      200            0              0         200         2026-03-05 2026-03-06
        8        4           pending   EUR      100            0              0         100         2026-02-05 -
        9        5           cancelled EUR      100            0              0         100         2026-01-05 2026-01-06
        10       5           pending   USD      100            0              0         100         2026-02-05 -
        11       6           pending   EUR      100            0              0         100         2026-01-05 -
        12       6           pending   USD      100            0              0         100         2026-02-05 -
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents sold_on
        1             1        10         1            1        1000             2026-01-31
        2             2        10         1            1        500              2026-02-01
        3             3        10         1            1        300              2026-05-01
        4             4        10         1            1        900              2026-05-02
        5             5        10         1            7        100              2026-01-05
        6             6        10         1            1        200              2026-01-05
        7             7        10         1            1        200              2026-03-05
        8             8        10         1            1        100              2026-02-05
        9             9        10         1            1        100              2026-01-05
        10            10       10         1            1        100              2026-02-05
        11            11       10         1            1        100              2026-01-05
        12            12       10         1            1        100              2026-02-05
    """,
    "refunds": """
        refund_id order_item_id quantity amount_cents refunded_at
        1         5             1        100          2026-01-31
        2         5             1        100          2026-02-01
        3         5             2        200          2026-05-01
        4         5             3        300          2026-05-02
    """,
}


def test_looks_ahead_until_the_window_has_closed(report: Report) -> None:
    report(SHOP, as_of="2026-05-01").check(
        "customer_labels",
        """
        as_of      customer_id currency orders_next_90d net_sales_next_90d_cents churned_90d
        2026-01-31 1           EUR      2               700                      no
        2026-01-31 2           EUR      0               -300                     yes
        2026-01-31 3           EUR      0               0                        yes
        2026-01-31 5           USD      1               100                      no
        2026-01-31 6           EUR      1               0                        no
        """,
    )


def test_there_is_none_for_a_day_whose_window_is_open(report: Report) -> None:
    """On April 30 the latest day with a label is January 30, when 1 had ordered nothing yet."""
    assert [(row["customer_id"]) for row in report(SHOP, as_of="2026-04-30").rows("customer_labels")] == [2, 3, 5, 6]


@pytest.mark.parametrize("as_of", ["2026-04-30", "2026-05-01"])
def test_labels_are_of_the_customers_and_the_currency_of_their_features(report: Report, as_of: str) -> None:
    labels = report(SHOP, as_of=as_of).rows("customer_labels")
    start = {"2026-04-30": "2026-01-30", "2026-05-01": "2026-01-31"}[as_of]
    features = report(SHOP, as_of=start).rows("customer_activity")
    assert [(row["as_of"], row["customer_id"]) for row in labels] == [
        (row["as_of"], row["customer_id"]) for row in features
    ]
    for label, feature in zip(labels, features, strict=True):
        assert feature["currency"] in (label["currency"], None)


def test_a_shop_without_orders(report: Report) -> None:
    assert report({}).rows("customer_labels") == []
