"""``reporting.shipments_daily``: shipments that every warehouse sent each day, how fast, and how much of orders.

Each shipment counts on the day it left, whatever its order's other shipments do. Fill rates are first-time fill rates
by order, line and unit (RightChain, "Fill Rate": https://www.rckb.rightchain.ai/Fill_Rate.htm): of what was ordered,
the share that left at the first attempt, which here is the day on which the order's first shipment left. What leaves
later is no fill of any day, so a shipment of tomorrow changes no published day. ``fulfilment_daily`` counts orders, by
their own shipped_at, also of a shop that records no shipments. Percentiles are nearest-rank.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import ONE, ZERO, flag, numbered, ratio
from transforms.engines import Frame, by_key
from transforms.percentiles import nearest_rank

_KEY = ["day", "warehouse_id"]
_SECONDS_PER_HOUR = 3600
_PARTS = {"order": "orders", "line": "lines", "unit": "units"}
_COUNTS = [
    "shipments",
    "later_shipments",
    "units_shipped",
    "shipments_delivered",
    *(f"{things}_started" for things in _PARTS.values()),
    *(f"{things}_filled" for things in _PARTS.values()),
]

TABLE = Table(
    schema="reporting",
    name="shipments_daily",
    grain="One row per business day and warehouse on which one of its shipments left or arrived.",
    doc="Empty where the shop records no shipments. One that was cancelled counts nowhere. A shipment is its order's; "
    "one whose warehouse the shop does not say is one of each warehouse of its lines.",
    columns=(
        Column("day", Type.DAY, "The business day."),
        key("warehouses", "warehouse_id", "The warehouse that it left from."),
        Column("shipments", Type.INTEGER, "Shipments that left that day."),
        Column(
            "later_shipments",
            Type.INTEGER,
            "Those of shipments a second or more before which another of their order had left: the order was split, or "
            "a line of it exchanged.",
        ),
        Column("units_shipped", Type.UNITS, "Units in shipments."),
        Column("shipments_delivered", Type.INTEGER, "Shipments from here that arrived that day."),
        *(
            Column(
                f"hours_to_ship_p{percent}",
                Type.RATIO,
                f"Hours from the order's ordered_at to shipped_at within which {percent} % of shipments left; null "
                "without one.",
                nullable=True,
            )
            for percent in (50, 90)
        ),
        Column("orders_started", Type.INTEGER, "Orders whose first shipment left that day, from here."),
        Column(
            "lines_started",
            Type.INTEGER,
            "Lines of orders_started, whatever their warehouse; one that is taken out later is no longer one of them.",
        ),
        Column("units_started", Type.UNITS, "Units ordered of them."),
        Column("orders_filled", Type.INTEGER, "Those of orders_started all of whose units left that day."),
        Column("lines_filled", Type.INTEGER, "Those of lines_started all of whose units left that day."),
        Column("units_filled", Type.UNITS, "Those of units_started that left that day, from any warehouse."),
        *(
            Column(
                f"{thing}_fill_rate",
                Type.RATIO,
                f"{things}_filled / {things}_started; null on a day without any.",
                nullable=True,
            )
            for thing, things in _PARTS.items()
        ),
    ),
    primary_key=("day", "warehouse_id"),
    rebuild=Rebuild.full(),
    rules=(
        *(
            between(name, f"{name}_not_negative", f"{name} is not negative.", least=0, severity=Severity.STOP)
            for name in _COUNTS
        ),
        *(
            at_most(
                f"{things}_filled",
                f"{things}_started",
                f"{things}_filled_within_started",
                f"No more {things} leave than were ordered.",
                severity=Severity.STOP,
            )
            for things in _PARTS.values()
        ),
        at_most(
            "later_shipments",
            "shipments",
            "later_within_shipments",
            "A later shipment is a shipment.",
            severity=Severity.STOP,
        ),
        at_most(
            "hours_to_ship_p50",
            "hours_to_ship_p90",
            "p50_within_p90",
            "Half of the shipments take no longer than nine in ten.",
            severity=Severity.STOP,
        ),
    ),
)


def build(order_items: Frame, shipment_items: Frame) -> Frame:
    """Stack what left, what arrived and the orders that began to leave, and sum them by day."""
    rows = _rows(order_items, shipment_items)
    shipments = _shipments(rows)
    events = [_left(shipments), _arrived(shipments), _started(order_items, rows, shipments)]
    seconds = nearest_rank(shipments, _KEY, "seconds_to_ship", ["order_id", "shipment_id"], (50, 90))
    return (
        nw.concat(events)
        .group_by(_KEY)
        .agg(nw.col(name).sum() for name in _COUNTS)
        .join(seconds, on=_KEY, how="left")
        .with_columns(
            *(
                ratio(nw.col(f"{many}_filled"), nw.col(f"{many}_started")).alias(f"{one}_fill_rate")
                for one, many in _PARTS.items()
            ),
            *(
                (nw.col(f"seconds_to_ship_p{percent}") / _SECONDS_PER_HOUR).alias(f"hours_to_ship_p{percent}")
                for percent in (50, 90)
            ),
        )
        .select(column.lake_name for column in TABLE.columns)
    )


def _rows(order_items: Frame, shipment_items: Frame) -> Frame:
    """The lines in shipments that count, with their order and the warehouse that they left from."""
    lines = order_items.select("order_item_id", "order_id", from_warehouse=nw.col("warehouse_id"))
    rows = shipment_items.filter(nw.col("cancelled_on").is_null()).select(
        *("order_item_id", "shipment_id", "quantity", "seconds_to_ship", "delivered_on"),
        of_warehouse=nw.col("warehouse_id"),
        day=nw.col("shipped_on"),
    )
    return (
        rows.join(lines, on="order_item_id", how="inner")
        .with_columns(warehouse_id=nw.coalesce("of_warehouse", "from_warehouse"))
        .drop("of_warehouse", "from_warehouse")
    )


def _shipments(rows: Frame) -> Frame:
    """One row per shipment of an order, numbered in the order in which they left."""
    together = rows.group_by(["order_id", "shipment_id", "warehouse_id"]).agg(
        # The gate lets those pass only whose rows agree.
        nw.col("day", "delivered_on", "seconds_to_ship").min(),
        nw.col("quantity").sum().alias("units"),
    )
    # Some engines widen a sum, and only frames of one type can be stacked.
    together = together.with_columns(nw.col("units").cast(nw.Int64))
    return by_key(together, ["order_id"], _number)


def _number(shipments: Frame) -> Frame:
    shipments = shipments.with_columns(first_left=nw.col("seconds_to_ship").min().over("order_id"))
    return numbered(shipments, "place", "order_id", ["seconds_to_ship", "shipment_id", "warehouse_id"])


def _left(shipments: Frame) -> Frame:
    # One that left from two warehouses, and two that left together, are of one moment.
    is_later = nw.col("seconds_to_ship") > nw.col("first_left")
    counts = {"shipments": ONE, "later_shipments": flag(is_later), "units_shipped": nw.col("units")}
    return shipments.select(*_KEY, **(dict.fromkeys(_COUNTS, ZERO) | counts))


def _arrived(shipments: Frame) -> Frame:
    counts = dict.fromkeys(_COUNTS, ZERO) | {"shipments_delivered": ONE}
    return shipments.filter(~nw.col("delivered_on").is_null()).select(
        day=nw.col("delivered_on"), warehouse_id=nw.col("warehouse_id"), **counts
    )


def _started(order_items: Frame, rows: Frame, shipments: Frame) -> Frame:
    """The orders whose first shipment left, with how much of them left on that day."""
    first = shipments.filter(nw.col("place") == 1).select("order_id", "warehouse_id", first_day=nw.col("day"))
    days = first.select("order_id", "first_day")
    at_once = rows.join(days, on="order_id", how="inner").filter(nw.col("day") == nw.col("first_day"))
    filled = at_once.group_by("order_item_id").agg(nw.col("quantity").sum().alias("filled"))
    # What was added to an order after that day was not to leave on it.
    lines = (
        order_items.filter(nw.col("removed_on").is_null())
        .select("order_item_id", "order_id", "quantity", "sold_on")
        .join(days, on="order_id", how="inner")
        .filter(nw.col("sold_on") <= nw.col("first_day"))
        .join(filled, on="order_item_id", how="left")
        .with_columns(filled=nw.col("filled").fill_null(0), line=ONE)
        .with_columns(line_filled=flag(nw.col("filled") >= nw.col("quantity")))
    )
    orders = lines.group_by("order_id").agg(
        nw.col("line").sum().alias("lines_started"),
        nw.col("quantity").sum().alias("units_started"),
        nw.col("line_filled").sum().alias("lines_filled"),
        nw.col("filled").sum().alias("units_filled"),
    )
    orders = orders.with_columns(
        nw.col(name).cast(nw.Int64) for name in ("lines_started", "units_started", "lines_filled", "units_filled")
    )
    counts = {name: nw.col(name) for name in ("lines_started", "units_started", "lines_filled", "units_filled")}
    counts |= {"orders_started": ONE, "orders_filled": flag(nw.col("lines_filled") == nw.col("lines_started"))}
    return first.join(orders, on="order_id", how="inner").select(
        day=nw.col("first_day"),
        warehouse_id=nw.col("warehouse_id"),
        **(dict.fromkeys(_COUNTS, ZERO) | counts),
    )
