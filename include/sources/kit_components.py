"""The source `kit_components`."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Derived, Source, Type
from include.contract.kits import MOST_LEVELS
from include.contract.rules import between, one_of
from include.contract.table import key
from include.contract.units import units

_MOST_UNITS: Final = 10_000
# A million of such kits are a credible day, and fit an int64 in thousandths of a unit.
_MOST_WHOLE: Final = 100_000

# The rows below one, a level each: what its component is made of, where it is a kit, and so on. A kit of itself has a
# rule of its own, and no level below it.
_BELOW: Final = """
    kit_components as two
    left join kit_components as three
        on three.product_id = two.component_id and three.component_id <> three.product_id
    left join kit_components as four
        on four.product_id = three.component_id and four.component_id <> four.product_id
    left join kit_components as five
        on five.product_id = four.component_id and five.component_id <> five.product_id
    where two.product_id = row.component_id and two.component_id <> two.product_id
"""
_COMES_BACK: Final = "row.product_id in (two.component_id, three.component_id, four.component_id, five.component_id)"


def _number(quantity: str) -> str:
    """A DuckDB expression: a quantity in units, as a float."""
    return f"({quantity}::double / ({units(1)}))"


def _factor(row: str) -> str:
    return f"coalesce({_number(f'{row}.units_per_kit')}, 1)"


KIT_COMPONENTS = Source(
    schema="source",
    name="kit_components",
    grain="One row per component of a kit: a product that is sold as one and taken from the shelves of others.",
    doc="A kit has no shelf of its own: what is assembled beforehand and lies on one is a product like any other, and "
    "has no row. Its sales are its own, and the demand of its components. A component may be a kit again. A row that "
    "is in quarantine changes nothing of what the kit was made of before.",
    columns=(
        key("products", "product_id", "The kit: what is sold."),
        key("products", "component_id", "The product that is in it.", called="product_id"),
        Column("units_per_kit", Type.UNITS, "Units of the component in one unit of the kit."),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("product_id", "component_id"),
    history=("units_per_kit",),
    judged_whole=True,
    optional=True,
    rules=(
        between("units_per_kit", "units_positive", "One unit of a component is in a kit, or a part of one.", least=1),
        between(
            "units_per_kit",
            "units_credible",
            f"At most {_MOST_UNITS:,} units of a component are in a kit.",
            most=_MOST_UNITS,
            in_units=True,
        ),
        one_of("is_of_itself", "kit_not_of_itself", "A kit is no component of itself.", [False]),
        one_of("is_in_cycle", "kit_in_no_cycle", "No component of a kit is made of that kit.", [False]),
        between(
            "levels",
            "kit_not_nested_deeper",
            f"A kit holds kits that hold kits, {MOST_LEVELS} levels at most.",
            most=MOST_LEVELS,
        ),
        between(
            "whole_units",
            "whole_kit_credible",
            f"At most {_MOST_WHOLE:,} units of a product are in a kit with the kits in it.",
            most=_MOST_WHOLE,
        ),
    ),
    derived=(
        Derived(
            Column("is_of_itself", Type.BOOLEAN, "Whether the kit is its own component.", nullable=True),
            "row.component_id = row.product_id",
        ),
        Derived(
            Column(
                "is_in_cycle",
                Type.BOOLEAN,
                f"Whether its component is made of the kit, itself or by way of {MOST_LEVELS - 1} others at most; a "
                "longer cycle has too many levels.",
                nullable=True,
            ),
            f"row.component_id <> row.product_id and exists (select 1 from {_BELOW} and {_COMES_BACK})",
            needs=("kit_components",),
        ),
        Derived(
            Column(
                "levels",
                Type.INTEGER,
                "How many rows lie on the longest way down from the kit through this one: 1 where its component is no "
                f"kit, {MOST_LEVELS + 1} where there are more than {MOST_LEVELS}. What comes back to the kit is a "
                "cycle, and not counted.",
                nullable=True,
            ),
            f"""
            coalesce((
                select
                    max(
                        2
                        + (three.product_id is not null)::bigint
                        + (four.product_id is not null)::bigint
                        + (five.product_id is not null)::bigint
                    )
                from {_BELOW} and ({_COMES_BACK}) is not true
            ), 1)
            """,
            needs=("kit_components",),
        ),
        Derived(
            Column(
                "whole_units",
                Type.INTEGER,
                "Units of one product that the kit takes through this row, rounded up: the most of any way down.",
                nullable=True,
            ),
            f"""
            least(ceil({_number("row.units_per_kit")} * coalesce((
                select max({_factor("two")} * {_factor("three")} * {_factor("four")} * {_factor("five")})
                from {_BELOW} and ({_COMES_BACK}) is not true
            ), 1)), 1e15)::bigint
            """,
            needs=("kit_components",),
        ),
    ),
)
