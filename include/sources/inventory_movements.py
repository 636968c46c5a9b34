"""The source `inventory_movements`."""

from __future__ import annotations

from include.contract import Column, Derived, Source, Type
from include.contract.rules import at_most, between, one_of
from include.contract.table import key
from include.sources.time import FIRST_DAY

INVENTORY_MOVEMENTS = Source(
    schema="source",
    name="inventory_movements",
    grain="One row per change of a stock level; never changed once written.",
    columns=(
        Column("movement_id", Type.INTEGER, "The movement."),
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column("kind", Type.TEXT, "receipt, reservation, release, shipment, return or adjustment."),
        Column("quantity", Type.INTEGER, "Signed units: shipment and release are negative, an adjustment is either."),
        key(
            "order_items", "order_item_id", "The line it belongs to; null for receipts and adjustments.", nullable=True
        ),
        Column("moved_at", Type.AT, "When it happened."),
        Column("updated_at", Type.AT, "When the shop wrote this row."),
    ),
    primary_key=("movement_id",),
    rules=(
        one_of(
            "kind",
            "kind_known",
            "A movement is one of the six kinds.",
            ["receipt", "reservation", "release", "shipment", "return", "adjustment"],
        ),
        between("moved_on", "moved_in_our_time", "No movement is older than 1995.", least=FIRST_DAY),
        at_most("moved_at", "_snapshot_at", "moved_not_in_future", "No movement lies in the future."),
    ),
    begins="moved_on",
    opens_calendar=True,
    derived=(
        Derived(Column("moved_on", Type.DAY, "Business day of moved_at.", nullable=True), "business_day(row.moved_at)"),
    ),
)
