"""reporting.customers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.transforms.conftest import Report, Shop


def test_counts_all_orders_and_adds_up_one_currency(report: Report, shop: Shop) -> None:
    """Customer 1 ordered once in each of two currencies; 9 never did."""
    report(shop).check(
        "customers",
        """
        customer_id currency first_ordered_on last_ordered_on lifetime_orders other_currency_orders lifetime_units returned_units lifetime_gross_sales_cents lifetime_discounts_cents returns_cents lifetime_net_sales_cents average_order_value days_since_last_order stage
        1           EUR      2026-01-02       2026-01-02      2               1                     10             2              3000                       100                      1900          1000                     2900/100            8                     active
        2           EUR      2026-01-06       2026-01-06      1               0                     1              0              1000                       0                        0             1000                     1000/100            4                     new
        3           EUR      2026-01-05       2026-01-05      1               0                     2              1              2000                       0                        1000          1000                     2000/100            5                     new
        4           EUR      2026-01-06       2026-01-06      1               0                     3              0              999                        99                       0             900                      900/100             4                     new
        9           -        -                -               0               0                     0              0              0                          0                        0             0                        -                   -                     -
        """,
    )


def test_a_customer_the_shop_no_longer_lists_keeps_their_orders(report: Report, shop: dict[str, Any]) -> None:
    shop["customers"] = ""
    assert [row["customer_id"] for row in report(shop).rows("customers")] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("as_of", "stage"),
    [("2026-04-06", "new"), ("2026-04-07", "at_risk"), ("2027-01-06", "at_risk"), ("2027-01-07", "lapsed")],
)
def test_stage_follows_the_days_since_the_last_order(report: Report, as_of: str, stage: str) -> None:
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending EUR      0              0              0         0           2026-01-06
        """
    }
    assert [row["stage"] for row in report(shop, as_of=as_of).rows("customers")] == [stage]


def test_amounts_are_of_the_currency_of_most_orders(report: Report) -> None:
    """Customer 1: a tie, which goes to the first by name. Customer 2: two against one."""
    shop = {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending USD      0              0              0         0           2026-01-02
            2        1           pending EUR      0              0              0         0           2026-01-03
            3        2           pending USD      0              0              0         0           2026-01-02
            4        2           pending EUR      0              0              0         0           2026-01-03
            5        2           pending USD      0              0              0         0           2026-01-04
        """
    }
    report(shop).check(
        "customers",
        """
        customer_id currency lifetime_orders other_currency_orders
        1           EUR      2               1
        2           USD      3               1
        """,
    )
