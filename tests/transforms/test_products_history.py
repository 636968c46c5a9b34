"""reporting.products_history."""

from __future__ import annotations

from tests.transforms.conftest import Report

VERSIONS = """
product_id valid_from valid_to   sku category unit_cost_cents unit_price_cents is_active
1          1970-01-01 2026-01-05 tea drinks   300             900              yes
1          2026-01-05 2026-01-11 tea leaves   310             900              no
1          2026-01-11 -          tea leaves   320             950              no
2          1970-01-01 2026-01-10 cup -        -               -                yes
"""


def test_every_version_is_published_as_known_at_the_horizon(report: Report) -> None:
    """One that begins later is not there, and one that ends later has no end yet."""
    tables = report({"products_versions": VERSIONS}, as_of="2026-01-10")
    tables.check(
        "products_history",
        """
        product_id valid_from valid_to   sku category unit_cost_cents unit_price_cents is_active
        1          1970-01-01 2026-01-05 tea drinks   300             900              yes
        1          2026-01-05 -          tea leaves   310             900              no
        2          1970-01-01 2026-01-10 cup -        -               -                yes
        """,
    )


def test_a_version_has_its_group_and_what_its_price_is_in(report: Report) -> None:
    shop = """
        product_id valid_from valid_to   product_group_id product_group_name unit_price_cents price_currency cost_currency price_includes_tax
        1          1970-01-01 2026-01-05 -                -                  900              -              -             -
        1          2026-01-05 -          shirts           Shirt              90000            JPY            EUR           yes
    """
    report({"products_versions": shop}, as_of="2026-01-10").check("products_history", shop)


def test_a_shop_without_products(report: Report) -> None:
    assert report({}).rows("products_history") == []
