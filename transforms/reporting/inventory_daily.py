"""``reporting.inventory_daily``: the stock of every product in every warehouse at the end of every day.

Perpetual inventory: opening + received − shipped + returned + adjusted = closing, and a day opens with the
closing of the day before. The shop's own count is the truth of the last day, of what lies there and of what is
reserved; what no movement explains of it appears on that day, as ``unexplained_units`` and ``unexplained_reserved``.

A shop that keeps no movements is counted every night, and what lies between two counts is unexplained, on the day of
the later one: its history begins with the first night (see ``include.contract.counted``).
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Carried, Column, Rebuild, Severity, Table, Type
from include.contract.counted import OF_RESERVED, OF_UNITS
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import flag, with_worth
from transforms.engines import Frame, by_key

_SHELF = ["product_id", "warehouse_id"]
_KEY = ["day", *_SHELF]
_UNEXPLAINED = ("unexplained_units", "unexplained_reserved")

TABLE = Table(
    schema="reporting",
    name="inventory_daily",
    grain="One row per business day, product and warehouse, from its first movement through the data-through date.",
    doc="A shelf without movements has one row, on the last day, if its product was listed by then. Before a shelf is "
    "first stocked it is no stock-out. A shop without `inventory_movements` is counted every night: a shelf's days "
    "begin with its first count, which opens it, and what changed between two counts is in the unexplained columns.",
    columns=(
        Column("day", Type.DAY, "The business day."),
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column("opening_units", Type.UNITS, "Units on the shelf at the start of the day."),
        Column("received", Type.UNITS, "Units received, less those sent back to the vendor."),
        Column("shipped", Type.UNITS, "Units shipped to customers, less shipments taken back."),
        Column("returned", Type.UNITS, "Units returned by customers, less returns taken back."),
        Column("adjusted", Type.UNITS, "Units corrected after a stock count; negative when some were missing."),
        Column(
            "unexplained_units",
            Type.UNITS,
            "Units on the shelf that no movement explains: 0 in a healthy shop, and on every day but the last. In a"
            " shop without movements, what its count differs by from the one before.",
        ),
        Column(
            "closing_units",
            Type.UNITS,
            "opening_units + received − shipped + returned + adjusted + unexplained_units.",
        ),
        Column(
            "unexplained_reserved",
            Type.UNITS,
            "Units of reserved that no movement explains: 0 in a shop whose reservations are movements, and on any day"
            " but the last. In a shop without movements, what its count differs by from the one before.",
        ),
        Column(
            "reserved",
            Type.UNITS,
            "Units of closing_units that are reserved for open orders: reservations − releases − shipments of reserved"
            " lines + unexplained_reserved, of all days so far.",
        ),
        Column("available", Type.UNITS, "closing_units − reserved; below 0, units that are owed."),
        Column("is_stocked", Type.BOOLEAN, "Whether units lie there, or had come or gone by the end of the day."),
        Column("is_stockout", Type.BOOLEAN, "Whether available is 0 or less, on a shelf that is_stocked."),
        Column(
            "closing_value",
            Type.CENTS,
            "closing_units × the newest cost of a unit, of all days alike, in currency; null when unknown.",
            nullable=True,
        ),
        Column(
            "currency",
            Type.TEXT,
            "ISO 4217 code of closing_value, as the product's cost has it now; null: the shop's only one, or unknown. "
            "Values of different currencies cannot be added.",
            nullable=True,
        ),
    ),
    primary_key=("day", "product_id", "warehouse_id"),
    rebuild=Rebuild.by(
        "product_id",
        inventory="product_id",
        inventory_movements="product_id",
        products="product_id",
        daily=True,
        carried=Carried(
            "day",
            "inventory_movements",
            "moved_on",
            (*_SHELF, "kind", "changes_reserved", "moves_units"),
            "quantity",
            last_day=("inventory",),
        ),
    ),
    rules=(
        at_most(
            "available",
            "closing_units",
            "reserved_not_negative",
            "Reserved units are not negative.",
            severity=Severity.WARN,
        ),
        between(
            "unexplained_units",
            "stock_explained",
            "The units on the shelf are the sum of its movements.",
            least=0,
            most=0,
            severity=Severity.WARN,
        ),
        between(
            "unexplained_reserved",
            "reserved_explained",
            "The units that are reserved are the sum of its movements.",
            least=0,
            most=0,
            severity=Severity.WARN,
        ),
    ),
)

# Which kinds of movement change which column, and their sign.
_EFFECTS = {
    "received": (("receipt",), 1),
    "shipped": (("shipment",), -1),
    "returned": (("return",), 1),
    "adjusted": (("adjustment",), 1),
    "counted_units": ((OF_UNITS,), 1),
    "counted_reserved": ((OF_RESERVED,), 1),
    "change": (("receipt", "shipment", "return", "adjustment", OF_UNITS), 1),
}
_MOVED = (*_EFFECTS, "reserved_change", "stockings")


def build(
    inventory: Frame, inventory_movements: Frame, products: Frame, calendar: Frame, as_of: int, unit_parts: int
) -> Frame:
    """Movements by day, for every day of every shelf, summed from the first."""
    inventory = inventory.filter(nw.col("known_on").is_null() | (nw.col("known_on") <= as_of))
    rows = (
        _days(calendar, inventory_movements, inventory, as_of)
        .join(_moved(inventory_movements), on=_KEY, how="left")
        .join(inventory.select(*_SHELF, *_UNEXPLAINED), on=_SHELF, how="left")
        .join(_costs(products), on="product_id", how="left")
        .with_columns((flag(nw.col("day") == as_of) * nw.col(name)).alias(name) for name in _UNEXPLAINED)
        .with_columns(nw.col(*_MOVED, *_UNEXPLAINED).fill_null(0))
    )
    rows = (
        by_key(rows, _SHELF, _add_up)
        .with_columns(
            opening_units=nw.col("explained_units") - nw.col("change"),
            closing_units=nw.col("explained_units") + nw.col("unexplained_units"),
            reserved=nw.col("explained_reserved") + nw.col("unexplained_reserved"),
        )
        .with_columns(
            unexplained_units=nw.col("unexplained_units") + nw.col("counted_units"),
            unexplained_reserved=nw.col("unexplained_reserved") + nw.col("counted_reserved"),
            available=nw.col("closing_units") - nw.col("reserved"),
        )
    )
    return (
        with_worth(rows, unit_parts, closing_value_cents=("closing_units", "unit_cost_cents"))
        .with_columns(is_stocked=(nw.col("stockings") > 0) | (nw.col("closing_units") > 0))
        .with_columns(is_stockout=nw.col("is_stocked") & (nw.col("available") <= 0))
        .select(column.lake_name for column in TABLE.columns)
    )


def _costs(products: Frame) -> Frame:
    """What a unit of each product costs, and in which currency; one that names none costs in that of its price."""
    return products.select(
        "product_id", "unit_cost_cents", currency=nw.coalesce(nw.col("cost_currency"), nw.col("price_currency"))
    )


def _days(calendar: Frame, inventory_movements: Frame, inventory: Frame, as_of: int) -> Frame:
    """Each shelf's days: from its first movement on, or the last day alone; none before it is first counted."""
    moved = inventory_movements.select(*_SHELF, first_day=nw.col("moved_on"))
    # In a shop without movements counts stand for them, and nothing else says what a shelf holds: before its first
    # count it is unknown, and ``unexplained_units`` is null.
    known = inventory.filter(~nw.col("unexplained_units").is_null())
    lying = known.select(*_SHELF, first_day=nw.lit(as_of, dtype=nw.Int64))
    shelves = nw.concat([moved, lying]).group_by(_SHELF).agg(nw.col("first_day").min())
    days = calendar.select("day").join(shelves, how="cross")
    return days.filter(nw.col("day") >= nw.col("first_day")).drop("first_day")


def _moved(inventory_movements: Frame) -> Frame:
    """The effects of a day's movements on a shelf."""
    effects = {
        name: nw.when(nw.col("kind").is_in(kinds)).then(nw.col("quantity") * sign).otherwise(0)
        for name, (kinds, sign) in _EFFECTS.items()
    }
    reserved_change = nw.when(nw.col("changes_reserved")).then(nw.col("quantity")).otherwise(0)
    return (
        inventory_movements.with_columns(
            **effects,
            reserved_change=reserved_change,
            stockings=flag(nw.col("moves_units")),
            day=nw.col("moved_on"),
        )
        .group_by(_KEY)
        .agg(nw.col(name).sum() for name in _MOVED)
    )


def _add_up(rows: Frame) -> Frame:
    """Units on the shelf, reserved units and movements of units after each day."""
    return rows.with_columns(
        explained_units=nw.col("change").cum_sum().over(_SHELF, order_by="day"),
        explained_reserved=nw.col("reserved_change").cum_sum().over(_SHELF, order_by="day"),
        stockings=nw.col("stockings").cum_sum().over(_SHELF, order_by="day"),
    )
