"""The source `warehouses`."""

from __future__ import annotations

from include.contract import Column, Source, Type

WAREHOUSES = Source(
    schema="source",
    name="warehouses",
    grain="One row per warehouse.",
    columns=(
        Column("warehouse_id", Type.INTEGER, "The warehouse; a shop that sells over the counter has its stores here."),
        Column("code", Type.TEXT, "The shop's short name for it."),
        Column("name", Type.TEXT, "What people call it; null where the shop has no name.", nullable=True),
        Column("country", Type.TEXT, "ISO 3166 code of where it stands; null when unknown.", nullable=True),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("warehouse_id",),
    history=("code", "name", "country"),
)
