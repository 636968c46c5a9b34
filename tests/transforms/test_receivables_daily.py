"""reporting.receivables_daily."""

from __future__ import annotations

from tests.transforms.conftest import Report, Shop, day

# 1: paid at once, in two ways. 2: cancelled on the 4th, and its money paid back. 4: an invoice of the 5th, paid on the
# 8th. 6: paid a cent too much. A gift card is sold on the 3rd and redeemed by order 6.
PAYMENTS = """
    payment_id order_id kind    method     currency amount_cents paid_at
    1          1        capture card       EUR      2190         2026-01-02T10:05
    2          1        capture gift_card  EUR      1000         2026-01-02T10:05
    3          2        capture card       EUR      1100         2026-01-02T11:05
    4          -        capture card       EUR      500          2026-01-03T13:00
    5          -        issue   gift_card  EUR      500          2026-01-03T13:00
    6          2        refund  card       EUR      1100         2026-01-04
    7          1        refund  card       EUR      1000         2026-01-05
    8          1        refund  card       EUR      900          2026-01-06
    9          6        capture gift_card  EUR      500          2026-01-06
    10         6        capture card       EUR      491          2026-01-06
    11         4        capture on_account EUR      2200         2026-01-08
    12         4        refund  card       EUR      1000         2026-01-09
"""


def test_what_is_not_paid_yet_is_receivable(report: Report, shop: dict[str, str]) -> None:
    """Order 7 of the 6th is open: 1100, less the cent. Order 3 is in a currency in which nobody ever paid."""
    shop["payments"] = PAYMENTS
    report(shop).check(
        "receivables_daily",
        """
        day        currency total_sales_cents rounding_cents captured_cents refunded_cents issued_cents difference_cents receivable_cents
        2026-01-02 EUR      3190              0              4290           0              0            -1100            -1100
        2026-01-03 EUR      0                 0              500            0              500          0                -1100
        2026-01-04 EUR      0                 0              0              1100           0            1100             0
        2026-01-05 EUR      1200              0              0              1000           0            2200             2200
        2026-01-06 EUR      1190              0              991            900            0            1099             3299
        2026-01-07 EUR      0                 0              0              0              0            0                3299
        2026-01-08 EUR      0                 0              2200           0              0            -2200            1099
        2026-01-09 EUR      -1000             0              0              1000           0            0                1099
        2026-01-10 EUR      0                 0              0              0              0            0                1099
        """,
    )


def test_a_total_that_is_rounded_is_what_is_to_be_paid(report: Report, shop: dict[str, str]) -> None:
    """Of order 1, by a cent; order 2, of the same day, is cancelled, and nothing of it is to be paid."""
    shop["orders"] = (
        shop["orders"].replace("290       3190", "290       3191").replace("100       1100 ", "100       1109 ")
    )
    head, *rows = shop["orders"].strip("\n").splitlines()
    cents = {"1": 1, "2": 9}
    rounded = [f"{row} {cents.get(row.split()[0], 0)}" for row in rows if row.strip()]
    shop["orders"] = "\n".join([f"{head} rounding_cents", *rounded])
    shop["payments"] = """
        payment_id order_id kind    method currency amount_cents paid_at
        1          1        capture card   EUR      3191         2026-01-02
    """
    first = report(shop).rows("receivables_daily")[0]
    assert (first["total_sales_cents"], first["rounding_cents"], first["receivable_cents"]) == (3190, 1, 0)


def test_money_of_before_the_first_order_opens_the_currency(report: Report, shop: dict[str, str]) -> None:
    shop["payments"] = """
        payment_id order_id kind    method currency amount_cents paid_at
        1          -        capture card   EUR      70           2026-01-01
        2          -        capture card   CHF      30           2026-01-05
    """
    rows = report(shop).rows("receivables_daily")
    assert [(row["day"], row["currency"], row["receivable_cents"]) for row in rows[:2]] == [
        (day("2026-01-01"), "EUR", -70),
        (day("2026-01-02"), "EUR", 3120),
    ]
    assert [(row["day"], row["receivable_cents"]) for row in rows if row["currency"] == "CHF"] == [
        (day("2026-01-05"), -30)
    ]


def test_a_shop_that_records_no_payments_has_no_rows(report: Report, shop: Shop) -> None:
    assert report(shop).rows("receivables_daily") == []


def test_a_shop_without_orders(report: Report) -> None:
    assert report({}).rows("receivables_daily") == []


def test_a_cancelled_order_is_no_sale_on_any_day(report: Report, shop: Shop) -> None:
    """On the 12th order 4 is cancelled: its sale and its refund leave the 5th and the 9th, its money stays."""
    known = report({**shop, "payments": PAYMENTS}, as_of="2026-01-12").rows("receivables_daily")
    by_day = {row["day"]: row for row in known}
    assert by_day[day("2026-01-05")]["total_sales_cents"] == -1000
    assert by_day[day("2026-01-09")]["total_sales_cents"] == 0
    # Of the 10th 1099; order 4, of which 1200 was left, is owed back; order 5 is open, and order 1 refunded again.
    assert known[-1]["receivable_cents"] == 1099 - 1200 + 550 - 1000
