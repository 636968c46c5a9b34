"""``reporting.inventory_health``: the stock of every shelf at the end of a business day, and what to order for it.

Velocity counts only days in stock (see ``transforms.demand``), so that an empty shelf does not look like a slow seller.
Safety stock, reorder point and order-up-to level follow the textbook (Silver, Pyke and Thomas, Inventory and
Production Management in Supply Chains): z·√(L·σd² + d²·σL²), d·L + safety stock, and d·(L + cover) + safety stock. Each
is rounded up to whole units, or to the smallest one of a shop whose units have decimals: how large a pack is, the shop
does not say. What is suggested raises the inventory position to that level: on hand plus on order minus backorders
(Porteus, Stochastic Inventory Theory), which is ``available + on_order_units``.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import between, one_of
from include.contract.table import key
from transforms.arithmetic import flag, ratio, rounded_up
from transforms.demand import SHELF, daily_units, lead_time_deviation, shelf_days
from transforms.engines import Frame
from transforms.incoming import on_order
from transforms.parameters import PARAMETERS
from transforms.uncounted import days_before_count

_STATUSES = ("not_yet_stocked", "ok", "at_risk", "stockout", "overstock", "dead")

TABLE = Table(
    schema="reporting",
    name="inventory_health",
    grain="One row per night, product and warehouse with a known stock.",
    doc="A window of n days ends with the night and begins no earlier than the day on which the shelf was first "
    "stocked; units ordered before that count all the same. A day is in stock if something was available at its end or "
    "sold on it. Units ordered are those of the product and those in kits that were sold "
    "(reporting.component_demand_daily); a kit has no shelf, and no row. Of a shelf that is counted and has no "
    "movements of its own, as in a shop without `inventory_movements`, nobody knows what lay there before "
    "its first count: every day since its first sale counts as in stock, and none as empty.",
    columns=(
        Column("night", Type.DAY, "The business day; the row is as of its end."),
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column(
            "available",
            Type.UNITS,
            "Units on the shelf that are not reserved for open orders; below 0, units that are owed.",
        ),
        Column("units_28d", Type.UNITS, "Units ordered in 28 days, without void orders."),
        Column("in_stock_days_28d", Type.INTEGER, "Days in stock among the 28."),
        Column("velocity", Type.RATIO, "units_28d / in_stock_days_28d; null without a day in stock.", nullable=True),
        Column(
            "days_of_supply",
            Type.RATIO,
            "available / velocity, at least 0; null when nothing was sold.",
            nullable=True,
        ),
        Column(
            "sell_through",
            Type.RATIO,
            "units_28d / (units on the shelf at the start of the 28 days + received in them); above 1 where returned "
            "units were sold again; null without such units.",
            nullable=True,
        ),
        Column(
            "turnover",
            Type.RATIO,
            "Cost of sales of 365 days / mean stock value of its days. Both use one cost per unit, which cancels: "
            "units ordered / mean closing units; null without stock.",
            nullable=True,
        ),
        Column(
            "stockout_rate",
            Type.RATIO,
            "Share of the 28 days that ended with nothing available; null when not yet stocked.",
            nullable=True,
        ),
        Column(
            "safety_stock",
            Type.UNITS,
            f"⌈z·√(L·σd² + d²·σL²)⌉ units, with z = {PARAMETERS.service_level_z}, L = {PARAMETERS.lead_time_days} and "
            f"σL = {PARAMETERS.lead_time_days_std} days, d and σd the mean and sample deviation of the units of a "
            "day in stock; null with fewer than two.",
            nullable=True,
        ),
        Column("reorder_point", Type.UNITS, "⌈d·L⌉ + safety_stock; null when safety_stock is.", nullable=True),
        Column(
            "suggested_order",
            Type.UNITS,
            f"max(0, ⌈d·(L + {PARAMETERS.cover_days} days)⌉ + safety_stock − available − on_order_units); null when "
            "safety_stock is.",
            nullable=True,
        ),
        Column(
            "status",
            Type.TEXT,
            "The first that applies: not_yet_stocked (units never came or lay there), stockout (nothing available), "
            f"dead (nothing sold in {PARAMETERS.dead_stock_days} days), at_risk (available ≤ reorder_point), overstock "
            f"(more than {PARAMETERS.overstock_days} days of supply, of a shelf stocked for 28 days), ok. What is on "
            "order does not count.",
        ),
        Column(
            "on_order_units",
            Type.UNITS,
            "Units of purchase orders that have not come and are not cancelled; 0 where the shop has none. Of a line "
            "whose units come on several days, or that has no days, it is what the shop says when the slice is made: a "
            "past night that runs again sees what has come since.",
        ),
        Column(
            "overdue_units",
            Type.UNITS,
            "Those of them that were expected by the night and have not come.",
        ),
        Column(
            "next_expected_on",
            Type.DAY,
            "The first day after the night on which some of them are expected; null when that is unknown.",
            nullable=True,
        ),
    ),
    primary_key=("night", "product_id", "warehouse_id"),
    rebuild=Rebuild.as_of("night"),
    rules=(
        one_of("status", "status_known", "A status is one of the six.", list(_STATUSES), severity=Severity.STOP),
        between("units_28d", "units_not_negative", "Units are not negative.", least=0, severity=Severity.STOP),
        between(
            "in_stock_days_28d",
            "in_stock_days_within_window",
            "The window has 28 days.",
            least=0,
            most=28,
            severity=Severity.STOP,
        ),
        *(
            between(name, f"{name}_not_negative", f"{name} is not negative.", least=0, severity=Severity.STOP)
            for name in (
                "days_of_supply",
                "safety_stock",
                "reorder_point",
                "suggested_order",
                "on_order_units",
                "overdue_units",
            )
        ),
        between(
            "stockout_rate",
            "stockout_rate_is_share",
            "stockout_rate lies between 0 and 1.",
            least=0,
            most=1,
            severity=Severity.STOP,
        ),
    ),
)


def build(
    inventory_daily: Frame,
    daily_product_sales: Frame,
    component_demand_daily: Frame,
    purchase_order_lines: Frame,
    inventory_movements: Frame,
    calendar: Frame,
    as_of: int,
    unit_parts: int,
) -> Frame:
    """Sum the windows of every shelf, then compute each measure from the sums and what is on order."""
    known = shelf_days(inventory_daily, daily_product_sales, component_demand_daily)
    sales = daily_units(daily_product_sales, component_demand_daily)
    before = days_before_count(known, sales, inventory_movements, calendar, as_of)
    sums = (
        _sums(nw.concat([known.select(before.collect_schema().names()), before]), as_of)
        .join(on_order(purchase_order_lines, as_of), on=SHELF, how="left")
        .with_columns(nw.col("on_order_units", "overdue_units").fill_null(0))
    )
    days, units, available = nw.col("in_stock_days_28d"), nw.col("units_28d"), nw.col("available")
    stocked = nw.when(available > 0).then(available).otherwise(0)
    # Of the lake's units, to be rounded up to one of them.
    spread = lead_time_deviation(days, units, nw.col("squares_28d"), 1)
    target = rounded_up(units * (PARAMETERS.lead_time_days + PARAMETERS.cover_days), days)
    return (
        sums.with_columns(
            night=nw.lit(as_of, dtype=nw.Int64),
            velocity=ratio(units, days * unit_parts),
            days_of_supply=ratio(stocked * days, units),
            sell_through=ratio(units, nw.col("opening_28d") + nw.col("received_28d")),
            turnover=ratio(nw.col("units_365d") * nw.col("days_365d"), nw.col("closing_365d")),
            stockout_rate=ratio(nw.col("empty_28d"), nw.col("days_28d")),
            # Dask casts no null to an integer.
            safety_stock=nw.when(~spread.is_null()).then(
                (spread.fill_null(0.0) * PARAMETERS.service_level_z).ceil().cast(nw.Int64)
            ),
        )
        .with_columns(
            reorder_point=rounded_up(units * PARAMETERS.lead_time_days, days) + nw.col("safety_stock"),
            lacking=target + nw.col("safety_stock") - available - nw.col("on_order_units"),
        )
        .with_columns(
            suggested_order=nw.when(nw.col("lacking") > 0).then(nw.col("lacking")).when(nw.col("lacking") <= 0).then(0)
        )
        .with_columns(status=_status())
        .select(column.lake_name for column in TABLE.columns)
    )


def _sums(days: Frame, as_of: int) -> Frame:
    """The sums of each shelf's windows, and the units available at the end."""
    in_28 = flag(nw.col("day") > as_of - 28)
    in_365 = flag(nw.col("day") > as_of - 365)
    since_dead = flag(nw.col("day") > as_of - PARAMETERS.dead_stock_days)
    columns = {
        "available": flag(nw.col("day") == as_of) * nw.col("available"),
        "stocked_today": flag(nw.col("day") == as_of) * nw.col("stocked"),
        "days_28d": in_28 * nw.col("stocked"),
        "units_28d": in_28 * nw.col("units"),
        # Sales happen in stock, so these are the squares of the days in stock.
        "squares_28d": in_28 * nw.col("units_squared"),
        "in_stock_days_28d": in_28 * nw.col("in_stock"),
        "empty_28d": in_28 * nw.col("is_empty"),
        "opening_28d": flag(nw.col("day") == as_of - 27) * nw.col("opening_units"),
        "received_28d": in_28 * nw.col("received"),
        "days_365d": in_365 * nw.col("stocked"),
        "units_365d": in_365 * nw.col("units"),
        "closing_365d": in_365 * nw.col("closing_units"),
        "dead_days": since_dead * nw.col("stocked"),
        "dead_units": since_dead * nw.col("units"),
    }
    return days.with_columns(**columns).group_by(SHELF).agg(nw.col(name).sum() for name in columns)


def _status() -> nw.Expr:
    """The first status that applies."""
    is_full_window = nw.col("days_28d") == 28
    is_too_much = nw.col("available") * nw.col("in_stock_days_28d") > nw.col("units_28d") * PARAMETERS.overstock_days
    is_unsold = (nw.col("dead_units") == 0) & (nw.col("dead_days") == PARAMETERS.dead_stock_days)
    return (
        nw.when(nw.col("stocked_today") == 0)
        .then(nw.lit("not_yet_stocked"))
        .when(nw.col("available") <= 0)
        .then(nw.lit("stockout"))
        .when(is_unsold)
        .then(nw.lit("dead"))
        .when(nw.col("available") <= nw.col("reorder_point"))
        .then(nw.lit("at_risk"))
        .when(is_full_window & is_too_much)
        .then(nw.lit("overstock"))
        .otherwise(nw.lit("ok"))
    )
