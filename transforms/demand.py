"""Demand of a shelf: units sold of its product, and those that kits took which were sold.

A kit is sold as one and taken from the shelves of its components, so its sales are demand of theirs
(``reporting.component_demand_daily``). An empty shelf hides demand (it is censored), so its days are left out of the
mean.

A day counts as in stock unless it ended with nothing available and nothing was sold on it: the day on which the last
unit goes is a day of demand, the empty ones after it are not. A shelf that was never stocked is not empty: it has no
stock-out, and no day in stock either. Velocity = units / days in stock; its spread and the
demand of a lead time follow from the same days.
"""

from __future__ import annotations

import narwhals as nw

from include.contract.counted import OF_RESERVED, OF_UNITS
from transforms.arithmetic import flag, ratio, spread
from transforms.engines import Frame
from transforms.parameters import PARAMETERS

SHELF = ["product_id", "warehouse_id"]


def daily_units(daily_product_sales: Frame, component_demand_daily: Frame) -> Frame:
    """Units ordered per ``day`` and shelf, over all currencies and kits; joining their rows would multiply days."""
    columns = ["day", *SHELF, "units"]
    demand = nw.concat([daily_product_sales.select(columns), component_demand_daily.select(columns)])
    return demand.group_by(["day", *SHELF]).agg(nw.col("units").sum())


def shelf_days(inventory_daily: Frame, daily_product_sales: Frame, component_demand_daily: Frame) -> Frame:
    """The days of ``reporting.inventory_daily`` with what was ordered on them, also in kits.

    It adds ``units``, ``units_squared``, ``stocked`` (1 from the day on which the shelf is first stocked), ``is_empty``
    (1 where such a day ended with nothing available) and ``in_stock`` (1 where something was available or sold). Sales
    of a shelf before its first known day are left out.
    """
    return (
        inventory_daily.join(daily_units(daily_product_sales, component_demand_daily), on=["day", *SHELF], how="left")
        .with_columns(nw.col("units").fill_null(0), stocked=flag(nw.col("is_stocked")))
        .with_columns(
            units_squared=nw.col("units") * nw.col("units"),
            is_empty=flag(nw.col("available") <= 0) * nw.col("stocked"),
            in_stock=flag((nw.col("available") > 0) | (nw.col("units") > 0)),
        )
    )


def deviation(days: nw.Expr, units: nw.Expr, squares: nw.Expr, unit_parts: int) -> nw.Expr:
    """The sample's standard deviation of daily units: √((n·Σx² − (Σx)²) / (n·(n − 1))); null below two days.

    Args:
        days: n.
        units: Σx, in the lake's units, of which ``unit_parts`` are one unit.
        squares: Σx² of the same.
        unit_parts: see there.
    """
    return ratio(spread(days, units, squares), days * (days - 1) * unit_parts**2).sqrt()


def lead_time_deviation(days: nw.Expr, units: nw.Expr, squares: nw.Expr, unit_parts: int) -> nw.Expr:
    """The standard deviation of the demand of a lead time, √(L·σd² + d²·σL²); null with fewer than two days.

    The textbook formula for demand and lead time that vary independently (Silver, Pyke and Thomas, Inventory and
    Production Management in Supply Chains, on variable lead times), with d = Σx / n, the sample's σd², and L and σL as
    parameters, over the common denominator n²·(n − 1).

    Args:
        days: n.
        units: Σx, in the lake's units.
        squares: Σx² of the same.
        unit_parts: how many of the lake's units are one that the result is in.
    """
    mean, deviation = PARAMETERS.lead_time_days, PARAMETERS.lead_time_days_std
    of_demand = spread(days, units, squares) * (days * mean)
    of_lead_time = units.cast(nw.Float64) * units.cast(nw.Float64) * ((days - 1) * deviation**2)
    return ratio(of_demand + of_lead_time, days * days * (days - 1) * unit_parts**2).sqrt()


def moved_stock(inventory_daily: Frame, inventory_movements: Frame) -> Frame:
    """``reporting.inventory_daily`` by movements alone, for shelves that had one.

    What is unexplained comes from a count made now: a slice of an earlier day must not know it. What was counted on its
    own day, in a shop that keeps no movements, was known on that day.
    """
    stocked_on = nw.when(nw.col("moves_units")).then(nw.col("moved_on"))
    moved = inventory_movements.with_columns(stocked_on=stocked_on).group_by(SHELF).agg(nw.col("stocked_on").min())
    return (
        inventory_daily.join(moved, on=SHELF, how="inner")
        .join(_counted(inventory_movements), on=["day", *SHELF], how="left")
        .with_columns(nw.col("counted_units", "counted_reserved").fill_null(0))
        .with_columns(
            now_units=nw.col("unexplained_units") - nw.col("counted_units"),
            now_reserved=nw.col("unexplained_reserved") - nw.col("counted_reserved"),
        )
        .with_columns(
            is_stocked=flag(nw.col("day") >= nw.col("stocked_on")) == 1,
            closing_units=nw.col("closing_units") - nw.col("now_units"),
            reserved=nw.col("reserved") - nw.col("now_reserved"),
            available=nw.col("available") - nw.col("now_units") + nw.col("now_reserved"),
        )
    )


def _counted(inventory_movements: Frame) -> Frame:
    """What was counted of a shelf on a day, in a shop that keeps no movements."""
    columns = {
        "counted_units": flag(nw.col("kind") == OF_UNITS) * nw.col("quantity"),
        "counted_reserved": flag(nw.col("kind") == OF_RESERVED) * nw.col("quantity"),
    }
    return (
        inventory_movements.filter(nw.col("kind").is_in([OF_UNITS, OF_RESERVED]))
        .with_columns(day=nw.col("moved_on"), **columns)
        .group_by(["day", *SHELF])
        .agg(nw.col(name).sum() for name in columns)
    )


def first_days(inventory_movements: Frame, order_lines: Frame) -> Frame:
    """Every shelf with a movement or an order (cancelled or not), and the ``first_day`` of either."""
    moved = inventory_movements.select(*SHELF, first_day=nw.col("moved_on"))
    ordered = order_lines.select(*SHELF, first_day=nw.col("sold_on"))
    return nw.concat([moved, ordered]).group_by(SHELF).agg(nw.col("first_day").min())
