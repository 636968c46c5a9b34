"""``features.inventory_risk``: the stock of each shelf at the end of one day, and its risk within a lead time.

The demand of a lead time has mean d·L and deviation √(L·σd² + d²·σL²), with d and σd of the days in stock (see
``transforms.demand``). Stock follows the movements alone: the shop's own count is of today.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import flag, ratio
from transforms.demand import SHELF, lead_time_deviation, moved_stock, shelf_days
from transforms.engines import Frame
from transforms.parameters import PARAMETERS

_LEAD_TIME = f"of {PARAMETERS.lead_time_days} ± {PARAMETERS.lead_time_days_std} days"

TABLE = Table(
    schema="features",
    name="inventory_risk",
    grain="One row per night, and product and warehouse that had a stock movement by then.",
    doc="A window of n days ends with as_of and begins no earlier than the shelf's first movement; a day before "
    "units first came is no stock-out. Demand is units ordered, less void orders, of the 28 days' days in stock: of "
    "the product, and in kits that were sold, as these were made of on the day of the sale.",
    columns=(
        Column("as_of", Type.DAY, "The business day; the row is as known at its end."),
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column("available", Type.UNITS, "Units on the shelf that are not reserved for open orders."),
        Column("is_stocked", Type.BOOLEAN, "Whether units had come to the shelf or left it by the end of the day."),
        Column(
            "days_of_supply",
            Type.RATIO,
            "available / units per day in stock, at least 0; null when nothing was sold in 28 days.",
            nullable=True,
        ),
        *(
            Column(f"stockout_days_{days}", Type.INTEGER, f"Days of {days} that ended with nothing available.")
            for days in (28, 90)
        ),
        Column(
            "lead_time_demand_mean",
            Type.RATIO,
            f"Units expected to be ordered in a lead time {_LEAD_TIME}; null without a day in stock.",
            nullable=True,
        ),
        Column(
            "lead_time_demand_std",
            Type.RATIO,
            "Standard deviation of these units; null with fewer than two days in stock.",
            nullable=True,
        ),
        Column(
            "days_since_receipt",
            Type.INTEGER,
            "Days since units were last received; null when none ever were.",
            nullable=True,
        ),
        Column(
            "reserved_share",
            Type.RATIO,
            "Units reserved for open orders / units on the shelf; above 1 where more is reserved than lies there, on "
            "backorder; null with an empty shelf.",
            nullable=True,
        ),
    ),
    primary_key=("as_of", "product_id", "warehouse_id"),
    rebuild=Rebuild.as_of("as_of"),
    rules=(
        *(
            between(
                f"stockout_days_{days}",
                f"stockout_days_{days}_within_window",
                f"The window has {days} days.",
                least=0,
                most=days,
                severity=Severity.STOP,
            )
            for days in (28, 90)
        ),
        at_most(
            "stockout_days_28",
            "stockout_days_90",
            "stockout_days_28_within_90",
            "90 days include 28.",
            severity=Severity.STOP,
        ),
        *(
            between(name, f"{name}_not_negative", f"{name} is not negative.", least=0, severity=Severity.STOP)
            for name in ("days_of_supply", "lead_time_demand_mean", "lead_time_demand_std", "days_since_receipt")
        ),
        between(
            "reserved_share",
            "reserved_share_not_negative",
            "Reserved units are not negative.",
            least=0,
            severity=Severity.WARN,
        ),
    ),
)


def build(
    inventory_daily: Frame,
    inventory_movements: Frame,
    daily_product_sales: Frame,
    component_demand_daily: Frame,
    as_of: int,
    unit_parts: int,
) -> Frame:
    """Sum the windows of every shelf, then compute each measure from the sums."""
    is_today = flag(nw.col("day") == as_of)
    in_28, in_90 = flag(nw.col("day") > as_of - 28), flag(nw.col("day") > as_of - 90)
    columns = {
        "available": is_today * nw.col("available"),
        "stocked_today": is_today * nw.col("stocked"),
        "closing": is_today * nw.col("closing_units"),
        "reserved": is_today * nw.col("reserved"),
        "days": in_28 * nw.col("in_stock"),
        "units": in_28 * nw.col("units"),
        "squares": in_28 * nw.col("units_squared"),
        "stockout_days_28": in_28 * nw.col("is_empty"),
        "stockout_days_90": in_90 * nw.col("is_empty"),
    }
    received_on = nw.when(nw.col("received") > 0).then(nw.col("day"))
    days, units, available = nw.col("days"), nw.col("units"), nw.col("available")
    return (
        shelf_days(moved_stock(inventory_daily, inventory_movements), daily_product_sales, component_demand_daily)
        .with_columns(received_on=received_on, **columns)
        .group_by(SHELF)
        .agg(*(nw.col(name).sum() for name in columns), nw.col("received_on").max())
        .with_columns(
            as_of=nw.lit(as_of, dtype=nw.Int64),
            is_stocked=nw.col("stocked_today") == 1,
            days_of_supply=ratio(nw.when(available > 0).then(available).otherwise(0) * days, units),
            lead_time_demand_mean=ratio(units * PARAMETERS.lead_time_days, days * unit_parts),
            lead_time_demand_std=lead_time_deviation(days, units, nw.col("squares"), unit_parts),
            days_since_receipt=as_of - nw.col("received_on"),
            reserved_share=ratio(nw.col("reserved"), nw.col("closing")),
        )
        .select(column.lake_name for column in TABLE.columns)
    )
