"""reporting.payments_daily."""

from __future__ import annotations

from tests.transforms.conftest import Report, Shop, day

PAYMENTS = """
    payment_id order_id kind    method    currency amount_cents paid_at
    1          1        capture card      EUR      2190         2026-01-02T10:05
    2          1        capture gift_card EUR      1000         2026-01-02T10:05
    3          3        capture card      USD      770          2026-01-02T12:01
    4          -        capture card      EUR      500          2026-01-02T13:00
    5          -        issue   gift_card EUR      500          2026-01-02T13:00
    6          2        capture card      EUR      1100         2026-01-03
    7          2        refund  card      EUR      1100         2026-01-04
    8          1        refund  -         EUR      100          2026-01-05
    9          7        capture card      EUR      1100         2026-01-12
"""


def test_adds_up_each_kind_by_method(report: Report, shop: dict[str, str]) -> None:
    """A gift card that is sold is issued, one that is redeemed is captured; a cancelled order was paid all the same."""
    shop["payments"] = PAYMENTS
    report(shop).check(
        "payments_daily",
        """
        day        currency method    payments refunds captured_cents refunded_cents issued_cents net_payments_cents
        2026-01-02 EUR      card      2        0       2690           0              0            2690
        2026-01-02 EUR      gift_card 1        0       1000           0              500          500
        2026-01-02 USD      card      1        0       770            0              0            770
        2026-01-03 EUR      card      1        0       1100           0              0            1100
        2026-01-04 EUR      card      0        1       0              1100           0            -1100
        2026-01-05 EUR      unknown   0        1       0              100            0            -100
        """,
    )


def test_a_payment_counts_from_its_own_day_on(report: Report, shop: dict[str, str]) -> None:
    shop["payments"] = PAYMENTS
    rows = report(shop, as_of="2026-01-12").rows("payments_daily")
    assert [(row["day"], row["captured_cents"]) for row in rows][-1] == (day("2026-01-12"), 1100)


def test_a_shop_without_payments(report: Report, shop: Shop) -> None:
    assert report(shop).rows("payments_daily") == []
