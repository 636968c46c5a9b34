"""``features.demand_labels``: units of each product and warehouse in the 28 days after a day, once these have closed.

The rows are those of ``features.product_demand`` as of the same day. Where a shelf was empty in the window, the units
are a lower bound of the demand, and the label is marked as censored.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import flag
from transforms.demand import SHELF, daily_units, first_days, moved_stock
from transforms.engines import Frame

WINDOWS: Final = (7, 14, 28)  # days after as_of

TABLE = Table(
    schema="features",
    name="demand_labels",
    grain="One row per day whose next 28 days have closed, and product and warehouse that had a stock movement or an "
    "order by then.",
    doc="A window of n days begins the day after as_of. Units are those of the product, and those in kits that were "
    "sold, as these were made of on the day of the sale. Orders void by the end of the longest do not count. Stock "
    "follows the movements alone.",
    columns=(
        Column("as_of", Type.DAY, "The business day; the windows begin at its end."),
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse."),
        *(Column(f"units_next_{days}", Type.UNITS, f"Units ordered in the next {days} days.") for days in WINDOWS),
        *(
            Column(
                f"is_censored_{days}",
                Type.BOOLEAN,
                f"Whether one of these {days} days ended in a stock-out, so that demand was hidden.",
            )
            for days in WINDOWS
        ),
    ),
    primary_key=("as_of", "product_id", "warehouse_id"),
    rebuild=Rebuild.as_of("as_of", lag_days=WINDOWS[-1]),
    rules=(
        between("units_next_7", "units_not_negative", "Units are not negative.", least=0, severity=Severity.STOP),
        *(
            at_most(
                f"units_next_{shorter}",
                f"units_next_{longer}",
                f"units_next_{shorter}_within_{longer}",
                "A longer window includes the shorter one's units.",
                severity=Severity.STOP,
            )
            for shorter, longer in pairwise(WINDOWS)
        ),
    ),
)


def build(
    inventory_daily: Frame,
    inventory_movements: Frame,
    daily_product_sales: Frame,
    component_demand_daily: Frame,
    order_lines: Frame,
    as_of: int,
) -> Frame:
    """Every shelf known before the windows, with its units in them.

    Args:
        inventory_daily: as of the longest window's end.
        inventory_movements: the source.
        daily_product_sales: as inventory_daily.
        component_demand_daily: the same.
        order_lines: the same.
        as_of: the last day of the longest window; the labels are as of the day 28 days earlier.
    """
    start = as_of - WINDOWS[-1]
    stock = moved_stock(inventory_daily, inventory_movements).with_columns(
        is_empty=flag(nw.col("is_stocked") & (nw.col("available") <= 0))
    )
    return (
        first_days(inventory_movements, order_lines)
        .filter(nw.col("first_day") <= start)
        .join(_sums(daily_units(daily_product_sales, component_demand_daily), "units", start), on=SHELF, how="left")
        .join(_sums(stock, "is_empty", start), on=SHELF, how="left")
        .with_columns(nw.col(f"{name}_{days}").fill_null(0) for name in ("units", "is_empty") for days in WINDOWS)
        .with_columns(
            *(nw.col(f"units_{days}").alias(f"units_next_{days}") for days in WINDOWS),
            *((nw.col(f"is_empty_{days}") > 0).alias(f"is_censored_{days}") for days in WINDOWS),
            as_of=nw.lit(start, dtype=nw.Int64),
        )
        .select(column.lake_name for column in TABLE.columns)
    )


def _sums(days: Frame, name: str, start: int) -> Frame:
    """A column of the days after the start, added up over each window."""
    columns = {f"{name}_{length}": flag(nw.col("day") <= start + length) * nw.col(name) for length in WINDOWS}
    after = days.filter(nw.col("day") > start)
    return after.with_columns(**columns).group_by(SHELF).agg(nw.col(column).sum() for column in columns)
