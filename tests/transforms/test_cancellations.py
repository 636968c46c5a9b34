"""A shop whose cancellations are returns: a cancelled order is a sale of its day, and comes back on another."""

from __future__ import annotations

from typing import Any

import pytest

from tests.transforms.conftest import Report, day
from tests.transforms.test_invariants import AS_OF, past
from transforms.registry import TABLES

# 1 is cancelled on the 6th: of its first line one unit was refunded before, and the second line was taken out; it had
# goodwill, and some shipping back. A refund of the 7th is in what came back. 2 is the customer's second order.
CANCELLED = {
    "customers": """
        customer_id created_at
        1           2026-01-01
    """,
    "orders": """
        order_id customer_id status    currency subtotal_cents discount_cents shipping_cents tax_cents total_cents rounding_cents ordered_at       cancelled_at     voided_on
        1        1           cancelled EUR      1000           100            60             96        1057        1              2026-01-02T10:00 2026-01-06T10:00 -
        2        1           pending   EUR      500            0              0              50        550         0              2026-01-04T10:00 -                -
    """,
    "order_items": """
        order_item_id order_id product_id warehouse_id quantity unit_price_cents unit_cost_cents sold_on    removed_on
        1             1        1          1            4        250              100             2026-01-02 -
        2             1        2          1            1        300              200             2026-01-02 2026-01-03
        3             2        1          1            2        250              100             2026-01-04 -
    """,
    "refunds": """
        refund_id order_item_id quantity amount_cents tax_cents restocked refunded_on
        1         1             1        200          20        no        2026-01-05
        2         1             2        500          50        yes       2026-01-07
    """,
    "order_refunds": """
        order_refund_id order_id currency amount_cents shipping_cents tax_cents refunded_on
        1               1        EUR      30           10             4         2026-01-05
        2               1        EUR      5            50             5         2026-01-07
    """,
    "payments": """
        payment_id order_id kind    method currency amount_cents paid_on
        1          1        capture card   EUR      1357         2026-01-02
        2          1        refund  card   EUR      300          2026-01-03
        3          1        refund  card   EUR      264          2026-01-05
        4          1        refund  card   EUR      793          2026-01-07
        5          2        capture card   EUR      550          2026-01-04
    """,
}  # fmt: skip


def test_a_cancelled_order_is_a_sale_of_its_day_and_a_return_on_that_of_its_cancelling(report: Report) -> None:
    built = report(CANCELLED, as_of="2026-01-07")
    built.check(
        "daily_sales",
        """
        day        orders cancelled_orders customers new_customers units refunded_units gross_sales_cents discounts_cents returns_cents shipping_cents shipping_refunds_cents tax_cents tax_refunds_cents other_refunds_cents total_sales_cents rounding_cents
        2026-01-02 1      0                1         1             5     0              1300              100             0             60             0                      96        0                 0                   1356              1
        2026-01-03 0      0                0         0             0     1              0                 0               300           0              0                      0         0                 0                   -300              0
        2026-01-04 1      0                1         0             2     0              500               0               0             0              0                      50        0                 0                   550               0
        2026-01-05 0      0                0         0             0     1              0                 0               200           0              10                     0         24                30                  -264              0
        2026-01-06 0      1                0         0             0     3              0                 0               700           0              50                     0         72                -30                 -792              -1
        2026-01-07 0      0                0         0             0     0              0                 0               0             0              0                      0         0                 0                   0                 0
        """,
    )
    built.check(
        "receivables_daily",
        """
        day        total_sales_cents rounding_cents receivable_cents
        2026-01-02 1356              1              0
        2026-01-03 -300              0              0
        2026-01-04 550               0              0
        2026-01-05 -264              0              0
        2026-01-06 -792              -1             -793
        2026-01-07 0                 0              0
        """,
    )
    built.check(
        "refunds_daily",
        """
        day        restocked refunds refunded_units returns_cents
        2026-01-03 yes       1       1              300
        2026-01-05 no        1       1              200
        2026-01-06 yes       1       3              700
        """,
    )
    built.check(
        "daily_product_sales",
        """
        day        product_id units refunded_units returns_cents net_sales_cents returned_cost_cents
        2026-01-02 1          4     0              0             900             0
        2026-01-02 2          1     0              0             300             0
        2026-01-03 2          0     1              300           -300            200
        2026-01-04 1          2     0              0             500             0
        2026-01-05 1          0     1              200           -200            100
        2026-01-06 1          0     3              700           -700            300
        """,
    )


def test_it_is_an_order_of_its_customer_that_came_back_whole(report: Report) -> None:
    built = report(CANCELLED, as_of="2026-01-07")
    built.check(
        "order_lines",
        """
        order_item_id is_cancelled is_void refunded_quantity returns_cents cancelled_quantity cancelled_returns_cents net_sales_cents gross_margin_cents
        1             yes          no      4                 900           3                  700                     0               0
        2             yes          no      0                 0             0                  0                       0               0
        3             no           no      0                 0             0                  0                       500             300
        """,
    )
    built.check(
        "orders",
        """
        order_id status    cancelled_on voided_on refunded_units returns_cents shipping_refunds_cents cancelled_shipping_cents tax_refunds_cents cancelled_tax_cents other_refunds_cents cancelled_refunds_cents net_sales_cents customer_order_number
        1        cancelled 2026-01-06   -         4              900           60                     50                       96                72                  0                   30                      0               1
        2        pending   -            -         0              0             0                      0                        0                 0                   0                   0                       500             2
        """,
    )
    built.check(
        "customers",
        """
        customer_id lifetime_orders lifetime_units returned_units lifetime_gross_sales_cents returns_cents lifetime_net_sales_cents first_ordered_on
        1           2               6              4              1500                       900           500                      2026-01-02
        """,
    )
    built.check(
        "customer_cohorts",
        """
        customers active_customers orders net_sales_cents
        1         1                2      500
        """,
    )
    built.check(
        "customer_activity",
        """
        customer_id orders_365d net_sales_365d_cents cancel_rate_365d return_rate_365d
        1           2           500                  1/2              4/6
        """,
    )


def test_what_was_given_back_beyond_what_it_came_to_does_not_come_back(report: Report) -> None:
    """More than a line sold for, than shipping and than the tax: of these nothing is left."""
    shop = CANCELLED | {
        "refunds": """
            refund_id order_item_id quantity amount_cents tax_cents restocked refunded_on
            1         1             4        950          120       no        2026-01-05
        """,
        "order_refunds": """
            order_refund_id order_id currency amount_cents shipping_cents tax_cents refunded_on
            1               1        EUR      0            70             0         2026-01-05
        """,
    }
    built = report(shop, as_of="2026-01-07")
    built.check(
        "order_lines",
        """
        order_item_id returns_cents cancelled_quantity cancelled_returns_cents net_sales_cents
        1             950           0                  0                       -50
        2             0             0                  0                       0
        3             0             0                  0                       500
        """,
    )
    days = {row["day"]: row for row in built.rows("daily_sales")}
    back = days[day("2026-01-06")]
    assert [back[f"{name}_cents"] for name in ("returns", "shipping_refunds", "tax_refunds", "other_refunds")] == [
        0
    ] * 4
    assert (back["refunded_units"], back["cancelled_orders"]) == (0, 1)


DATED = (
    "daily_sales",
    "daily_product_sales",
    "refunds_daily",
    "receivables_daily",
    "payments_daily",
    "fulfilment_daily",
)


@pytest.mark.parametrize("seed", ["tea", "cup"])
def test_cancelling_changes_no_day_before_it(pandas_report: Report, seed: str) -> None:
    """Nor does it change which order is a customer's first. Where it is void, it does."""
    orders = past(seed).rows["orders"]
    open_on = day(AS_OF) - 1

    def days(*, cancelled: bool, void: bool) -> dict[str, list[dict[str, Any]]]:
        rows = past(seed).rows
        for row in orders:
            added = {} if row["cancelled_on"] is not None else {"cancelled_on": day(AS_OF)}
            row = row | (added if cancelled and row["order_id"] % 3 == 0 and row["ordered_on"] <= open_on else {})
            rows["orders"][row["order_id"] - 1] = row | ({} if void else {"voided_on": None})
        built = pandas_report(rows, as_of=AS_OF)
        assert set(DATED) < set(TABLES)
        return {name: [row for row in built.rows(name) if row["day"] < day(AS_OF)] for name in DATED}

    assert days(cancelled=True, void=False) == days(cancelled=False, void=False)
    assert days(cancelled=True, void=True) != days(cancelled=False, void=True)
