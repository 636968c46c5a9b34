"""``reporting.component_demand_daily``: what sales of kits took from the shelves of their components, day by day."""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import between
from include.contract.table import key
from transforms.demand import SHELF
from transforms.engines import Frame
from transforms.kits import exploded

TABLE = Table(
    schema="reporting",
    name="component_demand_daily",
    grain="One row per business day, product, kit and warehouse, where units of the kit were sold that hold the "
    "product.",
    doc="A kit in a kit is exploded, so that no product here was a kit on its day. A sale takes what its kit was made "
    "of on the day of the sale (reporting.kit_components_history). Void orders do not count, and what came back is not "
    "subtracted. This and the units of reporting.daily_product_sales are the demand of a shelf. Empty where the shop's "
    "folder has no kit_components.sql.",
    columns=(
        Column("day", Type.DAY, "The business day of the sales."),
        key("products", "product_id", "The product that the kits hold."),
        key("products", "kit_id", "The kit that was sold.", called="product_id"),
        key("warehouses", "warehouse_id", "The warehouse that ships the kit."),
        Column("kits", Type.UNITS, "Units of the kit sold that day."),
        Column(
            "units",
            Type.UNITS,
            "kits × units of the product in one; where units have decimals, to the nearest of the shop's smallest, at "
            "every level.",
        ),
    ),
    primary_key=("day", "product_id", "kit_id", "warehouse_id"),
    rebuild=Rebuild.by("day"),
    rules=(between("units", "units_not_negative", "Units are not negative.", least=0, severity=Severity.STOP),),
)


def build(daily_product_sales: Frame, kit_components_versions: Frame, unit_parts: int) -> Frame:
    """Explode the units that were sold of each kit, over all currencies."""
    sold = daily_product_sales.group_by(["day", *SHELF]).agg(nw.col("units").sum()).filter(nw.col("units") > 0)
    kits = sold.select("day", "warehouse_id", kit_id=nw.col("product_id"), kits=nw.col("units"))
    return (
        exploded(sold, kit_components_versions, unit_parts, per=["warehouse_id"])
        .join(kits, on=["day", "kit_id", "warehouse_id"], how="inner")
        .select(column.lake_name for column in TABLE.columns)
    )
