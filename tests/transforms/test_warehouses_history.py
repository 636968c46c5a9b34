"""reporting.warehouses_history."""

from __future__ import annotations

from tests.transforms.conftest import Report

VERSIONS = """
warehouse_id valid_from valid_to   code name  country
1            1970-01-01 2026-01-05 B    North DE
1            2026-01-05 2026-01-11 B    South DE
1            2026-01-11 -          B    West  DE
2            1970-01-01 2026-01-10 C    -     -
"""


def test_every_version_is_published_as_known_at_the_horizon(report: Report) -> None:
    """One that begins later is not there, and one that ends later has no end yet."""
    tables = report({"warehouses_versions": VERSIONS}, as_of="2026-01-10")
    tables.check(
        "warehouses_history",
        """
        warehouse_id valid_from valid_to   code name  country
        1            1970-01-01 2026-01-05 B    North DE
        1            2026-01-05 -          B    South DE
        2            1970-01-01 2026-01-10 C    -     -
        """,
    )


def test_a_shop_without_warehouses(report: Report) -> None:
    assert report({}).rows("warehouses_history") == []
