"""reporting.kit_components_history."""

from __future__ import annotations

from tests.transforms.conftest import Report

VERSIONS = """
product_id component_id valid_from valid_to   units_per_kit
1          10           1970-01-01 2026-01-05 2
1          10           2026-01-05 2026-01-11 3
1          10           2026-01-11 -          4
1          11           1970-01-01 2026-01-08 1
2          1            2026-01-09 -          1
"""


def test_every_version_is_published_as_known_at_the_horizon(report: Report) -> None:
    """One that begins later is not there, and one that ended later has no end yet."""
    report({"kit_components_versions": VERSIONS}, as_of="2026-01-10").check(
        "kit_components_history",
        """
        product_id component_id valid_from valid_to   units_per_kit
        1          10           1970-01-01 2026-01-05 2
        1          10           2026-01-05 -          3
        1          11           1970-01-01 2026-01-08 1
        2          1            2026-01-09 -          1
        """,
    )


def test_a_shop_without_kits(report: Report) -> None:
    assert report({}).rows("kit_components_history") == []
