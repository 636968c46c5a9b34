"""The source `inventory_movements`."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Derived, Lookup, Severity, Source, Type
from include.contract.rules import at_most, between, one_of
from include.contract.table import key
from include.contract.units import units
from include.sources.stock_units import MOST_MOVED
from include.sources.time import in_our_time

_RESERVED: Final = "reserving.kind = 'reservation'"
_OF_ITS_LINE: Final = ("order_item_id", "product_id", "warehouse_id")
_ITS_RESERVATIONS: Final = Lookup(
    "its_reservations",
    "inventory_movements as reserving",
    {f"reserving.{column}": column for column in _OF_ITS_LINE},
    {"movements": "nullif(count(*), 0)"},
    where=_RESERVED,
)


def changes_reserved(movement: str) -> str:
    """A DuckDB predicate: a movement changes what is reserved on its shelf.

    Reservations and releases do. A shipment does where its line was reserved on that shelf: a shop may ship what it
    never reserved, or keep no reservations as movements at all.
    """
    same = " and ".join(f"reserving.{column} = {movement}.{column}" for column in _OF_ITS_LINE)
    return _changes_reserved(
        movement, f"exists (select 1 from inventory_movements as reserving where {_RESERVED} and {same})"
    )


def _changes_reserved(movement: str, was_reserved: str) -> str:
    return f"{movement}.kind in ('reservation', 'release') or {movement}.kind = 'shipment' and {was_reserved}"


def moves_units(movement: str) -> str:
    """A DuckDB predicate: a movement brings units to its shelf or takes some away; a reservation leaves them there."""
    return f"{movement}.kind in ('receipt', 'shipment', 'return', 'adjustment') and {movement}.quantity <> 0"


def is_credible(movement: str) -> str:
    """A DuckDB predicate: a movement is of a number of units that a shop can move; what is not explains no stock."""
    return f"{movement}.quantity between {units(-MOST_MOVED)} and {units(MOST_MOVED)}"


INVENTORY_MOVEMENTS = Source(
    schema="source",
    name="inventory_movements",
    grain="One row per change of a stock level; never changed once written.",
    columns=(
        Column("movement_id", Type.INTEGER, "The movement."),
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column("kind", Type.TEXT, "receipt, reservation, release, shipment, return or adjustment."),
        Column(
            "quantity",
            Type.UNITS,
            "Signed units: shipment and release are negative, an adjustment is either. The other sign takes one back.",
        ),
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
        one_of(
            "is_reversal",
            "movement_not_reversed",
            "A receipt, a reservation and a return add units, a shipment and a release take some; the other sign takes"
            " back.",
            [False],
            severity=Severity.WARN,
        ),
        between(
            "quantity",
            "quantity_credible",
            "A movement is of at most 10 million units.",
            least=-MOST_MOVED,
            most=MOST_MOVED,
            in_units=True,
        ),
        in_our_time("moved_on", "movement"),
        at_most("moved_at", "_snapshot_at", "moved_not_in_future", "No movement lies in the future."),
    ),
    begins="moved_on",
    opens_calendar=True,
    derived=(
        Derived(Column("moved_on", Type.DAY, "Business day of moved_at.", nullable=True), "business_day(row.moved_at)"),
        Derived(
            Column(
                "changes_reserved",
                Type.BOOLEAN,
                "Whether it changes what is reserved: a reservation, a release, the shipment of a reserved line.",
                nullable=True,
            ),
            _changes_reserved("row", "its_reservations.movements is not null"),
            needs=("inventory_movements",),
            through={"inventory_movements": "order_item_id"},
            lookups=(_ITS_RESERVATIONS,),
        ),
        Derived(
            Column("moves_units", Type.BOOLEAN, "Whether units came to its shelf or left it.", nullable=True),
            moves_units("row"),
        ),
        Derived(
            Column("is_credible", Type.BOOLEAN, "Whether a shop can move so many units at once.", nullable=True),
            is_credible("row"),
        ),
        Derived(
            Column("is_reversal", Type.BOOLEAN, "Whether it takes back a movement of its kind.", nullable=True),
            """
            row.kind in ('receipt', 'reservation', 'return') and row.quantity < 0
            or row.kind in ('shipment', 'release') and row.quantity > 0
            """,
        ),
    ),
)
