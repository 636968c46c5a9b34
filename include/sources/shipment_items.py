"""The source `shipment_items`."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from include.contract import Column, Derived, Lookup, Source, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from include.sources.time import in_our_time

_ITS_LINE: Final = Lookup(
    "its_line",
    "order_items as line join orders as parent using (order_id)",
    {"line.order_item_id": "order_item_id"},
    {
        "quantity": "min(line.quantity)",
        "ordered_at": "min(parent.ordered_at)",
        "sold_at": "min(coalesce(line.sold_at, parent.ordered_at))",
        "ended_at": "min(least(line.removed_at, parent.cancelled_at))",
    },
)
# All rows of the line that count.
_ITS_SHARES: Final = Lookup(
    "its_shares",
    "shipment_items as sibling",
    {"sibling.order_item_id": "order_item_id"},
    {"units": "sum(sibling.quantity)"},
    where="sibling.cancelled_at is null",
)
_SAID: Final = """
    hash(
        sibling.shipped_at,
        sibling.delivered_at,
        sibling.cancelled_at,
        coalesce(sibling.warehouse_id, other.warehouse_id)
    )
"""
# All rows of the shipment that are of the line's order. Of what they say hashes of 64 bits are compared: what DuckDB
# counts the distinct values of, it keeps in memory, which 8 M rows do not fit into.
_ITS_SHIPMENT: Final = Lookup(
    "its_shipment",
    """
        order_items as line
        join order_items as other using (order_id)
        join shipment_items as sibling on sibling.order_item_id = other.order_item_id
    """,
    {"line.order_item_id": "order_item_id", "sibling.shipment_id": "shipment_id"},
    {"says": f"case when min({_SAID}) = max({_SAID}) then 1 when count(*) > 0 then 2 end"},
)


def _of_line(name: str, kind: Type, doc: str, sql: str) -> Derived:
    """A figure of the line or its order."""
    return Derived(Column(name, kind, doc, nullable=True), sql, needs=("order_items", "orders"), lookups=(_ITS_LINE,))


def _day(instant: str) -> Derived:
    name = instant.replace("_at", "_on")
    return Derived(Column(name, Type.DAY, f"Business day of {instant}.", nullable=True), f"business_day(row.{instant})")


SHIPMENT_ITEMS = Source(
    schema="source",
    name="shipment_items",
    grain="One row per order line in a shipment: a parcel that left with some units of it.",
    doc="An order may leave in several shipments, from several warehouses, and a line in parts. What was only packed "
    "has not left, and has no row. Every row says what its shipment says, which must be the same on all its rows of an "
    "order. It has no table of its own: a row is part of one thing alone, here of its order line. A parcel with goods "
    "of two orders is one shipment of each.",
    columns=(
        Column("shipment_item_id", Type.INTEGER, "The line in the shipment."),
        Column("shipment_id", Type.TEXT, "The shipment, as the shop numbers it."),
        key("order_items", "order_item_id", "The order line of which units left.", part_of=True),
        Column("quantity", Type.UNITS, "Units of the line in this shipment."),
        replace(
            key(
                "warehouses",
                "warehouse_id",
                "Where the shipment left from; null where that is the line's warehouse.",
                nullable=True,
            ),
            optional=True,
        ),
        Column("carrier", Type.TEXT, "Who carries it; null where the shop does not say.", nullable=True, optional=True),
        Column(
            "tracking_number",
            Type.TEXT,
            "The carrier's number; null where the shop does not say.",
            nullable=True,
            optional=True,
        ),
        Column("shipped_at", Type.AT, "When the shipment left."),
        Column("delivered_at", Type.AT, "When it arrived; null before.", nullable=True),
        Column(
            "cancelled_at",
            Type.AT,
            "When it was cancelled, so that it counts as never shipped; null when it was not.",
            nullable=True,
            optional=True,
        ),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("shipment_item_id",),
    optional=True,
    rules=(
        between("quantity", "quantity_positive", "A line in a shipment has one unit, or a part of one.", least=1),
        between("quantity", "quantity_credible", "It has at most a million units.", most=1_000_000, in_units=True),
        at_most("shipped_units", "line_quantity", "shipped_within_line", "No more units leave than were ordered."),
        between(
            "said_of_shipment",
            "one_shipment",
            "A shipment leaves, arrives and is cancelled at one time, and leaves from one place.",
            most=1,
        ),
        at_most("line_sold_at", "shipped_at", "shipped_after_ordered", "A line is ordered before it leaves."),
        at_most(
            "shipped_at",
            "line_ended_at",
            "shipped_before_cancelled",
            "Nothing leaves of a line that was taken out, or of an order that was cancelled.",
        ),
        at_most("shipped_at", "delivered_at", "shipped_before_delivered", "A shipment leaves before it arrives."),
        in_our_time("shipped_on", "shipment"),
        at_most("shipped_at", "_snapshot_at", "shipped_not_in_future", "No shipment leaves in the future."),
        at_most("delivered_at", "_snapshot_at", "delivered_not_in_future", "No shipment arrives in the future."),
        at_most("cancelled_at", "_snapshot_at", "cancelled_not_in_future", "None is cancelled in the future."),
    ),
    begins="shipped_on",
    # Not cancelled_at: what was cancelled since then was never shipped, on no day; another may have left in its place.
    later={"delivered_on": ("delivered_at",)},
    derived=(
        _day("shipped_at"),
        _day("delivered_at"),
        _day("cancelled_at"),
        _of_line(
            "seconds_to_ship",
            Type.INTEGER,
            "Seconds from the order's ordered_at to shipped_at; a fraction of one is dropped.",
            "(epoch_us(row.shipped_at) - epoch_us(its_line.ordered_at)) // 1000000",
        ),
        _of_line("line_quantity", Type.UNITS, "Units of the order line.", "its_line.quantity"),
        Derived(
            Column(
                "shipped_units",
                Type.UNITS,
                "Units of the order line over all shipments that were not cancelled; null of one that was.",
                nullable=True,
            ),
            "case when row.cancelled_at is null then its_shares.units end",
            lookups=(_ITS_SHARES,),
        ),
        Derived(
            Column(
                "said_of_shipment",
                Type.INTEGER,
                "Whether the shipment's rows of the order say the same of it: 1 where they do, otherwise 2.",
                nullable=True,
            ),
            "its_shipment.says",
            needs=("order_items",),
            lookups=(_ITS_SHIPMENT,),
        ),
        _of_line(
            "line_sold_at",
            Type.AT,
            "When the line was ordered, or added to its order.",
            "its_line.sold_at",
        ),
        _of_line(
            "line_ended_at",
            Type.AT,
            "When the line was taken out or its order cancelled, whatever was first; null while neither was, or of a "
            "shipment that was cancelled.",
            "case when row.cancelled_at is null then its_line.ended_at end",
        ),
    ),
)
