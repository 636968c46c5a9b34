"""The counts of a shop that keeps no movements: its history of stock, which nobody else has."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Table, Type
from include.contract.table import key

INVENTORY_COUNTS: Final = Table(
    schema="source",
    name="inventory_counts",
    grain="One row per business day, product and warehouse whose stock was another one than at the count before.",
    doc="A day's count is the shop's stock in the last snapshot that was taken before the next day was over. The first"
    " count of a shelf is always there. A shelf that is gone from the shop is counted with nothing, one in quarantine"
    " not at all.",
    columns=(
        Column("counted_on", Type.DAY, "The last whole business day at the snapshot."),
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column("on_hand", Type.UNITS, "Units on the shelf."),
        Column("reserved", Type.UNITS, "Units that belong to open orders."),
        Column("counted_at", Type.AT, "The shop's clock at the snapshot."),
    ),
    primary_key=("counted_on", "product_id", "warehouse_id"),
)
