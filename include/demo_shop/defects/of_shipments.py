"""Defects of shipments."""

from __future__ import annotations

from typing import Final

from include.demo_shop.defects.defect import MISSING_KEY, Defect

_SIBLING = """exists (
    select from shipment_items as sibling
    where sibling.shipment_number = victim.shipment_number and sibling.shipment_item_id <> victim.shipment_item_id
)"""
_ALONE = """victim.delivered_at is not null and (
    select count(*) from shipment_items join order_items using (order_item_id) where order_id = parent.order_id
) = 1"""
# The oldest: a defect of an order takes the most recent.
_CANCELLED_LINE = """(
    select order_item_id
    from order_items
    join orders using (order_id)
    where orders.status = 'cancelled'
    order by orders.cancelled_at, order_item_id
    limit 1
)"""

SHIPMENT_DEFECTS: Final = (
    Defect(
        name="shipment_of_unknown_item",
        source="shipment_items",
        description="a parcel with a line that does not exist",
        rule="order_item_id is an order item",
        extra={"order_item_id": MISSING_KEY, "shipment_number": "'lost'"},
        where=_ALONE,
        drops=("shipment_items_order_item_id_fkey",),
    ),
    Defect(
        name="more_shipped_than_ordered",
        source="shipment_items",
        description="a line of which more units left than were ordered",
        rule="all parcels of a line hold no more units than it has",
        change={"quantity": "quantity + 100"},
        where=_ALONE,
    ),
    Defect(
        name="nothing_shipped",
        source="shipment_items",
        description="a parcel with 0 units of a line",
        rule="quantity > 0",
        change={"quantity": "0"},
        where=_ALONE,
        drops=("shipment_items_quantity_check",),
    ),
    Defect(
        name="shipment_before_order",
        source="shipment_items",
        description="a parcel that left a year before its line was ordered",
        rule="ordered_at ≤ shipped_at",
        change={"shipped_at": "shipped_at - interval '1 year'"},
        where=_ALONE,
    ),
    Defect(
        name="shipment_arrived_before_it_left",
        source="shipment_items",
        description="a parcel that arrived an hour before it left",
        rule="shipped_at ≤ delivered_at",
        change={"delivered_at": "shipped_at - interval '1 hour'"},
        where=_ALONE,
    ),
    Defect(
        name="shipment_of_cancelled_order",
        source="shipment_items",
        description="a parcel that left of an order that was cancelled before",
        rule="nothing leaves of a cancelled order",
        extra={
            "order_item_id": _CANCELLED_LINE,
            "shipment_number": "'in vain'",
            "quantity": "1",
        },
        where=_ALONE,
    ),
    Defect(
        name="shipment_torn_apart",
        source="shipment_items",
        description="a parcel one line of which left a minute later than the rest",
        rule="a parcel leaves at one time",
        change={"shipped_at": "shipped_at + interval '1 minute'"},
        where=f"victim.delivered_at is not null and {_SIBLING}",
    ),
    Defect(
        name="shipment_in_the_future",
        source="shipment_items",
        description="a parcel that leaves 30 days from now",
        rule="no event lies in the future",
        change={"shipped_at": "now() + interval '30 days'", "delivered_at": "null"},
        where=_ALONE,
    ),
)
SHIPMENT_WARNINGS: Final = (
    Defect(
        name="shipped_without_shipment",
        source="orders",
        description="an order that was shipped without a parcel",
        rule="an order that was shipped has a parcel",
        change={"status": "'shipped'", "shipped_at": "ordered_at + interval '1 minute'"},
        where="victim.status = 'processing' and victim.ordered_at < now() - interval '1 minute'",
        is_warning=True,
    ),
)
