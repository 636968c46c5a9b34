"""reporting.refunds_daily."""

from __future__ import annotations

from typing import Any

import duckdb

from tests.transforms.conftest import Report, Shop, day
from transforms.registry import TABLES


def test_counts_a_refund_on_its_own_day(report: Report, shop: Shop) -> None:
    report(shop).check(
        "refunds_daily",
        """
        day        currency restocked refunds refunded_units returns_cents
        2026-01-05 EUR      yes       1       1              1000
        2026-01-06 EUR      no        1       1              900
        2026-01-09 EUR      yes       1       1              1000
        """,
    )


def test_splits_a_day_by_currency_and_by_what_went_back_on_the_shelf(report: Report, shop: dict[str, Any]) -> None:
    shop["refunds"] = """
        refund_id order_item_id quantity amount_cents restocked refunded_at
        1         101           1        1000         yes       2026-01-08
        2         101           1        900          no        2026-01-08
        3         301           2        200          yes       2026-01-08
        4         301           5        500          yes       2026-01-08
        5         602           2        600          yes       2026-01-08
    """
    report(shop).check(
        "refunds_daily",
        """
        day        currency restocked refunds refunded_units returns_cents
        2026-01-08 EUR      no        1       1              900
        2026-01-08 EUR      yes       2       3              1600
        2026-01-08 USD      yes       2       7              700
        """,
    )


def test_a_day_on_which_money_alone_was_given_back_breaks_no_rule(report: Report, shop: dict[str, Any]) -> None:
    shop["refunds"] = """
        refund_id order_item_id quantity amount_cents restocked refunded_at
        1         101           0        300          no        2026-01-08
    """
    built = report(shop)
    (row,) = built.rows("refunds_daily")
    assert (row["refunds"], row["refunded_units"], row["returns_cents"]) == (1, 0, 300)
    rules = [rule for rule in TABLES["refunds_daily"].table.all_rules if "_copies" not in rule.reads]
    broken = " or ".join(rule.broken_sql for rule in rules)
    files = [str(file) for file in built.built("refunds_daily").files]
    assert duckdb.execute(f"select count(*) from read_parquet(?) where {broken}", [files]).fetchone() == (0,)


def test_a_refund_of_an_order_cancelled_since_does_not_count(report: Report, shop: Shop) -> None:
    """Order 4 was refunded on the 9th and cancelled on the 12th, when order 1 was refunded again."""
    found = [(row["day"], row["returns_cents"]) for row in report(shop, as_of="2026-01-12").rows("refunds_daily")]
    assert found == [(day("2026-01-05"), 1000), (day("2026-01-06"), 900), (day("2026-01-12"), 1000)]


def test_a_shop_without_refunds(report: Report, shop: dict[str, Any]) -> None:
    shop["refunds"] = ""
    assert report(shop).rows("refunds_daily") == []


def test_a_shop_without_orders(report: Report) -> None:
    assert report({}).rows("refunds_daily") == []
