"""``reporting.kit_components_history``: what a kit was made of, and from when to when.

A type 2 slowly changing dimension (Kimball and Ross, The Data Warehouse Toolkit). The shop has no history: its versions
are what the nights found (``transforms.versions``).
"""

from __future__ import annotations

from include.contract import Column, Rebuild, Table, Type
from include.contract.table import key
from transforms.engines import Frame
from transforms.versions import ENDS_LATER, VALID

TABLE = Table(
    schema="reporting",
    name="kit_components_history",
    grain="One row per component of a kit and version: of how many units of it are in the kit.",
    doc="A version begins with the last day that was over when a night found the change, whatever day that night was "
    "of, and however long before the shop made it. Of a day, the version that held is the one with valid_from <= day "
    "and (valid_to > day or valid_to is null). "
    "A component that was taken out of its kit keeps its versions; the last one has ended. Empty where the shop's "
    "folder has no kit_components.sql.",
    columns=(
        key("products", "product_id", "The kit."),
        key("products", "component_id", "The product that was in it; it may be a kit again."),
        *VALID,
        Column("units_per_kit", Type.UNITS, "Units of the component in one unit of the kit.", nullable=True),
    ),
    primary_key=("product_id", "component_id", "valid_from"),
    rebuild=Rebuild.full(),
    rules=(ENDS_LATER,),
)


def build(kit_components_versions: Frame) -> Frame:
    """Every version, as it is kept."""
    return kit_components_versions.select(column.lake_name for column in TABLE.columns)
