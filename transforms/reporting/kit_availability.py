"""``reporting.kit_availability``: how many units of each kit the stock of its components is enough for.

As Odoo counts kits and Medusa variants of several inventory items: the least of its components, each available //
units per kit.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import ZERO, flag, quotient
from transforms.engines import Frame
from transforms.kits import exploded

TABLE = Table(
    schema="reporting",
    name="kit_availability",
    grain="One row per night, kit and warehouse in which some of its components have a known stock.",
    doc="What the kit is made of at the night's end, kits in it exploded. A component without a shelf in the warehouse "
    "leaves no kit to sell there; one without a shelf in any is not kept in stock, and limits nothing. Kits that share "
    "a component are each counted as if there were no other. Empty where the shop's folder has no kit_components.sql.",
    columns=(
        Column("night", Type.DAY, "The business day; the row is as of its end."),
        key("products", "product_id", "The kit."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column(
            "available_kits",
            Type.INTEGER,
            "Whole kits that can be sold: the least over its components of available // units per kit; 0 where units "
            "are owed.",
        ),
        key("products", "limiting_product_id", "The component that is the least; of several, the first by its key."),
        Column("limiting_available", Type.UNITS, "Units of it that are available there; 0 without a shelf."),
        Column("components", Type.INTEGER, "How many products the kit is made of."),
        Column("unstocked_components", Type.INTEGER, "How many of them have a shelf in no warehouse."),
    ),
    primary_key=("night", "product_id", "warehouse_id"),
    rebuild=Rebuild.as_of("night"),
    rules=(
        between("available_kits", "kits_not_negative", "Kits are not negative.", least=0, severity=Severity.STOP),
        at_most(
            "unstocked_components",
            "components",
            "unstocked_within_components",
            "Not more components lack a shelf than there are.",
            severity=Severity.STOP,
        ),
    ),
)


def build(inventory_daily: Frame, kit_components_versions: Frame, as_of: int, unit_parts: int) -> Frame:
    """Divide what is available of every component by what one kit takes of it."""
    today = nw.lit(as_of, dtype=nw.Int64)
    one_of_each = (
        kit_components_versions.group_by("product_id")
        .agg(nw.len())
        .select("product_id", day=today, units=nw.lit(unit_parts, dtype=nw.Int64))
    )
    parts = exploded(one_of_each, kit_components_versions, unit_parts).filter(nw.col("units") > 0)
    stock = inventory_daily.filter(nw.col("day") == as_of).select("product_id", "warehouse_id", "available")
    shelved = stock.group_by("product_id").agg(nw.len()).select("product_id", is_shelved=flag(nw.col("len") > 0))
    parts = parts.join(shelved, on="product_id", how="left").with_columns(nw.col("is_shelved").fill_null(0))
    counted = (
        parts.group_by("kit_id")
        .agg(nw.len().alias("components"), nw.col("is_shelved").sum())
        .with_columns(unstocked_components=nw.col("components") - nw.col("is_shelved"))
    )
    places = (
        parts.join(stock, on="product_id", how="inner")
        .group_by("kit_id", "warehouse_id")
        .agg(nw.len())
        .select("kit_id", "warehouse_id")
    )
    available = nw.col("available").fill_null(0)
    enough = (
        places.join(parts.filter(nw.col("is_shelved") == 1), on="kit_id", how="inner")
        .join(stock, on=["product_id", "warehouse_id"], how="left")
        .with_columns(available=available, usable=nw.when(available > 0).then(available).otherwise(ZERO))
        .with_columns(kits=quotient(nw.col("usable"), nw.col("units")))
    )
    least = enough.group_by("kit_id", "warehouse_id").agg(nw.col("kits").min().alias("available_kits"))
    limiting = (
        enough.join(least, on=["kit_id", "warehouse_id"], how="inner")
        .filter(nw.col("kits") == nw.col("available_kits"))
        .group_by("kit_id", "warehouse_id")
        .agg(nw.col("product_id").min().alias("limiting_product_id"))
    )
    return (
        least.join(limiting, on=["kit_id", "warehouse_id"], how="inner")
        .join(
            enough.select("kit_id", "warehouse_id", "available", limiting_product_id=nw.col("product_id")),
            on=["kit_id", "warehouse_id", "limiting_product_id"],
            how="inner",
        )
        .join(counted, on="kit_id", how="inner")
        .with_columns(night=today, product_id=nw.col("kit_id"), limiting_available=nw.col("available"))
        .select(column.lake_name for column in TABLE.columns)
    )
