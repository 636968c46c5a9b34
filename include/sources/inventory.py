"""The source `inventory`."""

from __future__ import annotations

from include.contract import Column, Derived, Severity, Source, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from include.sources.inventory_movements import changes_reserved, is_credible
from include.sources.stock_units import MOST_ON_SHELF

INVENTORY = Source(
    schema="source",
    name="inventory",
    grain="One row per product and warehouse: what lies there now.",
    columns=(
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column("on_hand", Type.INTEGER, "Units on the shelf."),
        Column("reserved", Type.INTEGER, "Units on the shelf that belong to open orders."),
        Column("reorder_point", Type.INTEGER, "When fewer are available, the shop orders more."),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("product_id", "warehouse_id"),
    rules=(
        between("on_hand", "on_hand_not_negative", "A shelf holds nothing or more.", least=0),
        between("reserved", "reserved_not_negative", "Nothing or more is reserved.", least=0),
        between("on_hand", "on_hand_credible", "A shelf holds at most 100 million units.", most=MOST_ON_SHELF),
        between("reserved", "reserved_credible", "At most 100 million are reserved.", most=MOST_ON_SHELF),
        at_most("reserved", "on_hand", "reserved_within_on_hand", "No more is reserved than lies there."),
        between(
            "unexplained_units",
            "stock_explained",
            "What lies there is the sum of its movements.",
            least=0,
            most=0,
            severity=Severity.WARN,
        ),
        between(
            "unexplained_reserved",
            "reserved_explained",
            "What is reserved is the sum of its movements.",
            least=0,
            most=0,
            severity=Severity.WARN,
        ),
    ),
    judged_whole=True,
    derived=(
        Derived(
            Column("unexplained_units", Type.INTEGER, "Units on the shelf that no movement explains.", nullable=True),
            f"""
            row.on_hand::hugeint - coalesce((
                select sum(moved.quantity)
                from inventory_movements as moved
                where moved.product_id = row.product_id and moved.warehouse_id = row.warehouse_id
                    and moved.kind in ('receipt', 'shipment', 'return', 'adjustment') and {is_credible("moved")}
            ), 0)
            """,
            needs=("inventory_movements",),
        ),
        Derived(
            Column("unexplained_reserved", Type.INTEGER, "Reserved units that no movement explains.", nullable=True),
            f"""
            row.reserved::hugeint - coalesce((
                select sum(moved.quantity)
                from inventory_movements as moved
                where moved.product_id = row.product_id and moved.warehouse_id = row.warehouse_id
                    and ({changes_reserved("moved")}) and {is_credible("moved")}
            ), 0)
            """,
            needs=("inventory_movements",),
        ),
    ),
)
