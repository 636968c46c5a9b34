"""``reporting.warehouses_history``: what a warehouse was called and what it was like, and from when to when.

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
    name="warehouses_history",
    grain="One row per warehouse and version: of its code, name and country.",
    doc="A version begins with the last day that was over when a night found the change, whatever day that night was "
    "of, and however long before the shop made it. Of a day, the version that held is the one with valid_from <= day "
    "and (valid_to > day or valid_to is null). "
    "A deleted warehouse keeps its versions; the last one has ended.",
    columns=(
        key("warehouses", "warehouse_id", "The warehouse."),
        *VALID,
        Column("code", Type.TEXT, "The shop's short name for it.", nullable=True),
        Column("name", Type.TEXT, "What people call it; null where the shop has no name.", nullable=True),
        Column("country", Type.TEXT, "ISO 3166 code of where it stands; null when unknown.", nullable=True),
    ),
    primary_key=("warehouse_id", "valid_from"),
    rebuild=Rebuild.full(),
    rules=(ENDS_LATER,),
)


def build(warehouses_versions: Frame) -> Frame:
    """Every version, as it is kept."""
    return warehouses_versions.select(column.lake_name for column in TABLE.columns)
