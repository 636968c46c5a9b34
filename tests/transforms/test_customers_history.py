"""reporting.customers_history."""

from __future__ import annotations

from tests.transforms.conftest import Report

VERSIONS = """
customer_id valid_from valid_to   country
1           1970-01-01 2026-01-05 DE
1           2026-01-05 2026-01-11 AT
1           2026-01-11 -          CH
2           1970-01-01 2026-01-10 -
"""


def test_every_version_is_published_as_known_at_the_horizon(report: Report) -> None:
    """One that begins later is not there, and one that ends later has no end yet."""
    tables = report({"customers_versions": VERSIONS}, as_of="2026-01-10")
    tables.check(
        "customers_history",
        """
        customer_id valid_from valid_to   country
        1           1970-01-01 2026-01-05 DE
        1           2026-01-05 -          AT
        2           1970-01-01 2026-01-10 -
        """,
    )


def test_a_shop_without_customers(report: Report) -> None:
    assert report({}).rows("customers_history") == []
