"""Sales of shelves of which nobody knows the stock yet: of days before the first count, where no movement tells it."""

from __future__ import annotations

import narwhals as nw

from include.contract.counted import OF_RESERVED, OF_UNITS
from transforms.arithmetic import ONE, ZERO
from transforms.demand import SHELF
from transforms.engines import Frame

_LONGEST_WINDOW = 365


def days_before_count(
    days: Frame, daily_units: Frame, inventory_movements: Frame, calendar: Frame, as_of: int
) -> Frame:
    """The days from a shelf's first sale up to the one before it was first counted, as ``shelf_days`` has others.

    A shelf that has a movement of its own has none. What lay there is unknown: no day is ``stocked`` or ``is_empty``,
    and every one counts as in stock, so that what sold well is not taken for what nobody wanted.

    Args:
        days: what ``shelf_days`` gives.
        daily_units: what ``demand.daily_units`` gives.
        inventory_movements: the source.
        calendar: the days.
        as_of: the last day; days more than a year before it are left out.
    """
    moved = inventory_movements.filter(~nw.col("kind").is_in([OF_UNITS, OF_RESERVED]))
    moved = moved.group_by(SHELF).agg(nw.len().alias("movements"))
    counted = days.group_by(SHELF).agg(nw.col("day").min().alias("counted_on"))
    sales = daily_units.filter(nw.col("units") > 0)
    first = sales.group_by(SHELF).agg(nw.col("day").min().alias("sold_on"))
    shelves = counted.join(moved, on=SHELF, how="anti").join(first, on=SHELF, how="inner")
    before = calendar.select("day").filter(nw.col("day") > as_of - _LONGEST_WINDOW).join(shelves, how="cross")
    before = before.filter((nw.col("day") >= nw.col("sold_on")) & (nw.col("day") < nw.col("counted_on")))
    return (
        before.join(sales, on=["day", *SHELF], how="left")
        .with_columns(nw.col("units").fill_null(0))
        .select(
            "day",
            *SHELF,
            "units",
            units_squared=nw.col("units") * nw.col("units"),
            in_stock=ONE,
            **dict.fromkeys(("available", "opening_units", "closing_units", "received", "stocked", "is_empty"), ZERO),
        )
    )
