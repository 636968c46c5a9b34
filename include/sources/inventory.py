"""The source `inventory`."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Derived, Severity, Source, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from include.sources.inventory_movements import changes_reserved, is_credible, moves_units
from include.sources.stock_units import MOST_ON_SHELF

# The rule of a shop that sells no more than it has: with backorders, more may be reserved than lies there.
NOT_WITH_BACKORDERS: Final = "reserved_within_on_hand"

INVENTORY = Source(
    schema="source",
    name="inventory",
    grain="One row per product and warehouse: what lies there now.",
    columns=(
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column("on_hand", Type.UNITS, "Units on the shelf."),
        Column(
            "reserved",
            Type.UNITS,
            "Units that belong to open orders; more than on_hand only where a shop takes backorders.",
        ),
        Column("reorder_point", Type.UNITS, "When fewer are available, the shop orders more."),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("product_id", "warehouse_id"),
    rules=(
        between("on_hand", "on_hand_not_negative", "A shelf holds nothing or more.", least=0),
        between("reserved", "reserved_not_negative", "Nothing or more is reserved.", least=0),
        between(
            "on_hand", "on_hand_credible", "A shelf holds at most 100 million units.", most=MOST_ON_SHELF, in_units=True
        ),
        between(
            "reserved", "reserved_credible", "At most 100 million are reserved.", most=MOST_ON_SHELF, in_units=True
        ),
        at_most("reserved", "on_hand", NOT_WITH_BACKORDERS, "No more is reserved than lies there."),
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
            Column(
                "known_on",
                Type.DAY,
                "Business day from which the shelf is known: that of its first movement; where it has none or does not"
                " begin empty, the day its product was listed, if earlier; null when that is unknown.",
                nullable=True,
            ),
            f"""
            business_day((
                select
                    case
                        when row.on_hand = coalesce(moved.units, 0) then coalesce(moved.first_at, listed.listed_at)
                        when listed.listed_at is not null then least(listed.listed_at, moved.first_at)
                    end
                from (
                    select
                        sum(moved.quantity) filter ({moves_units("moved")}) as units,
                        min(moved.moved_at) as first_at
                    from inventory_movements as moved
                    where moved.product_id = row.product_id and moved.warehouse_id = row.warehouse_id
                        and {is_credible("moved")}
                ) as moved
                cross join (
                    select min(product.created_at) as listed_at
                    from products as product
                    where product.product_id = row.product_id
                ) as listed
            ))
            """,
            needs=("inventory_movements", "products"),
        ),
        Derived(
            Column("unexplained_units", Type.UNITS, "Units on the shelf that no movement explains.", nullable=True),
            f"""
            row.on_hand::hugeint - coalesce((
                select sum(moved.quantity)
                from inventory_movements as moved
                where moved.product_id = row.product_id and moved.warehouse_id = row.warehouse_id
                    and {moves_units("moved")} and {is_credible("moved")}
            ), 0)
            """,
            needs=("inventory_movements",),
        ),
        Derived(
            Column("unexplained_reserved", Type.UNITS, "Reserved units that no movement explains.", nullable=True),
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
