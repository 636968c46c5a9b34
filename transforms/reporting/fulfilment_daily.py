"""``reporting.fulfilment_daily``: orders that every warehouse shipped each day, how fast, and orders still open.

Every event counts on its own day. An order with lines from two warehouses is one order in each of them. The fill rate
is by units, as in inventory textbooks: of the units shipped or cancelled for lack of stock that day, the share shipped.
Percentiles are nearest-rank: the ⌈p·n⌉-th smallest, so that each is the time of an actual order.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import ONE, ZERO, flag, ratio
from transforms.engines import Frame, by_key
from transforms.parameters import PARAMETERS
from transforms.percentiles import nearest_rank

_KEY = ["day", "warehouse_id"]
_SECONDS_PER_HOUR = 3600
_REASONS = ", ".join(PARAMETERS.out_of_stock_reasons)

TABLE = Table(
    schema="reporting",
    name="fulfilment_daily",
    grain="One row per business day and warehouse, from its first order through the data-through date.",
    doc="An order counts as shipped when it leaves the warehouse, or when it is delivered without a shipment.",
    columns=(
        Column("day", Type.DAY, "The business day."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column("orders_placed", Type.INTEGER, "Orders placed that day with a line from here."),
        Column("orders_shipped", Type.INTEGER, "Orders shipped that day with a line from here."),
        Column("units_shipped", Type.UNITS, "Units of their lines from here."),
        Column("orders_cancelled", Type.INTEGER, "Orders cancelled that day before they were shipped."),
        Column("cancelled_for_stock", Type.INTEGER, f"Orders of orders_cancelled with the reason {_REASONS}."),
        Column("units_cancelled_for_stock", Type.UNITS, "Units of their lines from here."),
        Column(
            "unit_fill_rate",
            Type.RATIO,
            "units_shipped / (units_shipped + units_cancelled_for_stock); null on a day without either.",
            nullable=True,
        ),
        *(
            Column(
                f"hours_to_ship_p{percent}",
                Type.RATIO,
                f"Hours from ordered_at to shipped_at within which {percent} % of the orders shipped that day were "
                "shipped; null without one.",
                nullable=True,
            )
            for percent in (50, 90)
        ),
        Column(
            "on_time_rate",
            Type.RATIO,
            f"Share of the orders shipped that day within {PARAMETERS.on_time_hours} hours; null without one.",
            nullable=True,
        ),
        Column("open_orders", Type.INTEGER, "Orders neither shipped nor cancelled when the day ended."),
    ),
    primary_key=("day", "warehouse_id"),
    rebuild=Rebuild.full(),
    rules=(
        *(
            between(name, f"{name}_not_negative", f"{name} is not negative.", least=0, severity=Severity.STOP)
            for name in ("orders_placed", "orders_shipped", "units_shipped", "orders_cancelled", "open_orders")
        ),
        *(
            between(name, f"{name}_is_share", f"{name} lies between 0 and 1.", least=0, most=1, severity=Severity.STOP)
            for name in ("unit_fill_rate", "on_time_rate")
        ),
        at_most(
            "cancelled_for_stock",
            "orders_cancelled",
            "cancelled_for_stock_within_cancelled",
            "An order cancelled for lack of stock is a cancelled one.",
            severity=Severity.STOP,
        ),
        at_most(
            "hours_to_ship_p50",
            "hours_to_ship_p90",
            "p50_within_p90",
            "Half of the orders take no longer than nine in ten.",
            severity=Severity.STOP,
        ),
    ),
)

_COUNTS = [
    "orders_placed",
    "orders_shipped",
    "units_shipped",
    "orders_cancelled",
    "cancelled_for_stock",
    "units_cancelled_for_stock",
    "timed",
    "on_time",
]


def build(orders: Frame, order_items: Frame, calendar: Frame) -> Frame:
    """Stack orders placed, shipped and cancelled and sum them by day."""
    parcels = _parcels(orders, order_items)
    rows = (
        _days(calendar, parcels)
        .join(_events(parcels), on=_KEY, how="left")
        .join(_hours(parcels), on=_KEY, how="left")
        .with_columns(nw.col(*_COUNTS).fill_null(0))
        .with_columns(change=nw.col("orders_placed") - nw.col("orders_shipped") - nw.col("orders_cancelled"))
    )
    return (
        by_key(rows, ["warehouse_id"], _count_open)
        .with_columns(
            unit_fill_rate=ratio(
                nw.col("units_shipped"), nw.col("units_shipped") + nw.col("units_cancelled_for_stock")
            ),
            on_time_rate=ratio(nw.col("on_time"), nw.col("timed")),
            hours_to_ship_p50=nw.col("seconds_to_ship_p50") / _SECONDS_PER_HOUR,
            hours_to_ship_p90=nw.col("seconds_to_ship_p90") / _SECONDS_PER_HOUR,
        )
        .select(column.lake_name for column in TABLE.columns)
    )


def _parcels(orders: Frame, order_items: Frame) -> Frame:
    """One row per order and warehouse, however many lines the order has there."""
    headers = orders.select(
        "order_id",
        "ordered_on",
        "seconds_to_ship",
        shipped_on=nw.coalesce("shipped_on", "delivered_on"),
        cancelled_on=nw.col("cancelled_on"),
        is_for_stock=flag(nw.col("cancellation_reason").is_in(PARAMETERS.out_of_stock_reasons)),
    ).with_columns(cancelled_on=nw.when(nw.col("shipped_on").is_null()).then(nw.col("cancelled_on")))
    # What was added after an order left is not in the parcels of that day.
    lines = order_items.join(headers.select("order_id", "shipped_on"), on="order_id", how="inner")
    in_time = (nw.col("sold_on") <= nw.col("shipped_on")).fill_null(True)
    lines = lines.filter(nw.col("removed_on").is_null() & in_time)
    parts = lines.group_by(["order_id", "warehouse_id"]).agg(nw.col("quantity").sum().alias("units"))
    # Some engines widen a sum, and only frames of one type can be stacked.
    parts = parts.with_columns(nw.col("units").cast(nw.Int64))
    return parts.join(headers, on="order_id", how="inner")


def _days(calendar: Frame, parcels: Frame) -> Frame:
    """Each warehouse's days, from its first order on."""
    first = parcels.group_by("warehouse_id").agg(nw.col("ordered_on").min().alias("first_day"))
    days = calendar.select("day").join(first, how="cross")
    return days.filter(nw.col("day") >= nw.col("first_day")).drop("first_day")


def _events(parcels: Frame) -> Frame:
    """The events of the parcels, by day."""
    nothing = dict.fromkeys(_COUNTS, ZERO)
    is_timed = ~nw.col("seconds_to_ship").is_null()
    is_on_time = nw.col("seconds_to_ship") <= PARAMETERS.on_time_hours * _SECONDS_PER_HOUR
    placed = parcels.select("warehouse_id", day=nw.col("ordered_on"), **(nothing | {"orders_placed": ONE}))
    shipped = parcels.filter(~nw.col("shipped_on").is_null()).select(
        "warehouse_id",
        day=nw.col("shipped_on"),
        **(
            nothing
            | {
                "orders_shipped": ONE,
                "units_shipped": nw.col("units"),
                "timed": flag(is_timed),
                "on_time": flag(is_on_time),
            }
        ),
    )
    cancelled = parcels.filter(~nw.col("cancelled_on").is_null()).select(
        "warehouse_id",
        day=nw.col("cancelled_on"),
        **(
            nothing
            | {
                "orders_cancelled": ONE,
                "cancelled_for_stock": nw.col("is_for_stock"),
                "units_cancelled_for_stock": nw.col("is_for_stock") * nw.col("units"),
            }
        ),
    )
    return nw.concat([placed, shipped, cancelled]).group_by(_KEY).agg(nw.col(name).sum() for name in _COUNTS)


def _hours(parcels: Frame) -> Frame:
    """The 50th and 90th percentile of the seconds to ship, by day."""
    timed = parcels.with_columns(day=nw.col("shipped_on"))
    return nearest_rank(timed, _KEY, "seconds_to_ship", ["order_id"], (50, 90))


def _count_open(rows: Frame) -> Frame:
    """The open orders after each day."""
    return rows.with_columns(open_orders=nw.col("change").cum_sum().over("warehouse_id", order_by="day"))
