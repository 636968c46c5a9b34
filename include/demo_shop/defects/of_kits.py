"""Defects of kits, planted where no other row of a kit is wrong for them: but for the other row of the cycle."""

from __future__ import annotations

from typing import Final

from include.demo_shop.defects.defect import MISSING_KEY, Defect

_ON_TOP: Final = """
    victim.product_id not in (select component_id from kit_components)
    and victim.component_id not in (select product_id from kit_components)
"""
# A kit without kits, and a component of it that is in no other: what goes round there is no part of another.
_APART: Final = f"""
    {_ON_TOP}
    and not exists (
        select from kit_components as other
        where other.product_id = victim.product_id and other.component_id in (select product_id from kit_components)
    )
    and (select count(*) from kit_components as other where other.component_id = victim.component_id) = 1
"""

KIT_DEFECTS: Final = (
    Defect(
        name="kit_in_a_cycle",
        source="kit_components",
        description="a component that is made of the kit that it is in",
        rule="no component of a kit is made of it",
        extra={"product_id": "component_id", "component_id": "product_id"},
        where=_APART,
        keeps_key=True,
    ),
    Defect(
        name="kit_without_units",
        source="kit_components",
        description="no unit of a component in its kit",
        rule="units_per_kit > 0",
        change={"units_per_kit": "0"},
        where=_ON_TOP,
        drops=("kit_components_units_per_kit_check",),
    ),
    Defect(
        name="kit_of_a_million",
        source="kit_components",
        description="a million units of a component in one kit",
        rule="units_per_kit is what a kit can hold",
        change={"units_per_kit": "1000000"},
        where=_ON_TOP,
    ),
    Defect(
        name="kit_of_itself",
        source="kit_components",
        description="a kit that is its own component",
        rule="component_id is another product than product_id",
        extra={"component_id": "product_id"},
        drops=("kit_components_component_id_check",),
        keeps_key=True,
    ),
)
KIT_WARNINGS: Final = (
    Defect(
        name="kit_of_unknown_product",
        source="kit_components",
        description="a component that is no product",
        rule="component_id is a product",
        extra={"component_id": MISSING_KEY},
        drops=("kit_components_component_id_fkey",),
        keeps_key=True,
        is_warning=True,
    ),
)
