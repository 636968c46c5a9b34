"""``reporting.stockouts``: every stock-out of a shelf, and the sales it cost.

Lost units are the velocity before the episode times its days: the usual estimate where an empty shelf hides demand (see
``transforms.demand``). They are valued at the prices of the same 28 days, so a later price changes no past episode.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import ratio, rounded
from transforms.currencies import main_currency
from transforms.demand import SHELF, shelf_days
from transforms.engines import Frame, by_key

_BEFORE_DAYS = 28

TABLE = Table(
    schema="reporting",
    name="stockouts",
    grain="One row per product, warehouse and consecutive business days that ended with nothing available.",
    doc="A discontinued product is out of stock too; its velocity is low or 0. Where a shop takes backorders, what was "
    "ordered during an episode is lost here all the same. Units ordered are also those in kits that were sold "
    "(reporting.component_demand_daily); lost_sales has them at the product's own price.",
    columns=(
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column("started_on", Type.DAY, "The first business day that ended with nothing available."),
        Column("ended_on", Type.DAY, "The last one; null while the shelf is still empty.", nullable=True),
        Column("days", Type.INTEGER, "Business days in the episode so far."),
        Column("units_before", Type.UNITS, "Units ordered in the 28 days before started_on."),
        Column("in_stock_days_before", Type.INTEGER, "Days of the same 28 on which something was available or sold."),
        Column(
            "lost_units",
            Type.RATIO,
            "units_before / in_stock_days_before × days; null when the shelf was never in stock before.",
            nullable=True,
        ),
        Column(
            "currency",
            Type.TEXT,
            "ISO 4217 code of lost_sales: the one with the most units sold of the product; null when never sold.",
            nullable=True,
        ),
        Column(
            "lost_sales",
            Type.CENTS,
            "lost_units × (gross sales − discounts) / units of the 28 days before in this currency, to the nearest "
            "cent; null when either is unknown.",
            nullable=True,
        ),
    ),
    primary_key=("product_id", "warehouse_id", "started_on"),
    rebuild=Rebuild.by(
        "product_id",
        inventory_daily="product_id",
        daily_product_sales="product_id",
        component_demand_daily="product_id",
        daily=True,
    ),
    rules=(
        between("days", "days_positive", "An episode has at least one day.", least=1, severity=Severity.STOP),
        at_most(
            "started_on",
            "ended_on",
            "started_before_ended",
            "An episode starts before it ends.",
            severity=Severity.STOP,
        ),
        between(
            "lost_units", "lost_units_not_negative", "lost_units is not negative.", least=0, severity=Severity.STOP
        ),
        between(
            "in_stock_days_before",
            "in_stock_days_within_window",
            "The window has 28 days.",
            least=0,
            most=_BEFORE_DAYS,
            severity=Severity.STOP,
        ),
    ),
)

# The measures that are summed over the days before an episode.
_MEASURES = ("units", "in_stock", "paid_units", "paid_cents")


def build(
    inventory_daily: Frame, daily_product_sales: Frame, component_demand_daily: Frame, as_of: int, unit_parts: int
) -> Frame:
    """The episodes of every shelf, each with the sums of the days before it."""
    currencies = main_currency(daily_product_sales, ["product_id"])
    paid = daily_product_sales.join(currencies, on=["product_id", "currency"], how="inner").select(
        "day",
        *SHELF,
        paid_units=nw.col("units"),
        paid_cents=nw.col("gross_sales_cents") - nw.col("discounts_cents"),
    )
    days = (
        shelf_days(inventory_daily, daily_product_sales, component_demand_daily)
        .join(paid, on=["day", *SHELF], how="left")
        .with_columns(nw.col("paid_units", "paid_cents").fill_null(0))
    )
    units, paid_units = nw.col("units_before"), nw.col("paid_units_before")
    lost_cents = rounded(
        units * nw.col("days") * nw.col("paid_cents_before"), nw.col("in_stock_days_before") * paid_units
    )
    return (
        _episodes(by_key(days, SHELF, _mark_episodes))
        .join(currencies, on="product_id", how="left")
        .with_columns(
            ended_on=nw.when(nw.col("last_day") < as_of).then(nw.col("last_day")),
            lost_units=ratio(units * nw.col("days"), nw.col("in_stock_days_before") * unit_parts),
            # Without demand before the episode no sale is lost, whatever the price.
            lost_sales_cents=nw.when(units == 0)
            .then(nw.when(nw.col("in_stock_days_before") > 0).then(0))
            .otherwise(lost_cents),
        )
        .select(column.lake_name for column in TABLE.columns)
    )


def _mark_episodes(days: Frame) -> Frame:
    """Number a shelf's episodes, and add to each day the sums of the 28 days before it."""
    since = {f"{name}_since": nw.col(name).cum_sum().over(SHELF, order_by="day") for name in _MEASURES}
    was_empty = nw.col("is_empty").shift(1).over(SHELF, order_by="day").fill_null(0)
    marked = days.with_columns(**since, starts=nw.col("is_empty") * (1 - was_empty))
    earlier = {
        f"{name}_earlier": nw.col(f"{name}_since").shift(_BEFORE_DAYS + 1).over(SHELF, order_by="day").fill_null(0)
        for name in _MEASURES
    }
    before = {
        f"{name}_before": nw.col(f"{name}_since") - nw.col(name) - nw.col(f"{name}_earlier") for name in _MEASURES
    }
    return marked.with_columns(**earlier, episode=nw.col("starts").cum_sum().over(SHELF, order_by="day")).with_columns(
        **before
    )


def _episodes(days: Frame) -> Frame:
    """One row per episode: its days, and the sums before the first of them."""
    at_start = {f"{name}_before": nw.col("starts") * nw.col(f"{name}_before") for name in _MEASURES}
    return (
        days.filter(nw.col("is_empty") == 1)
        .with_columns(**at_start)
        .group_by([*SHELF, "episode"])
        .agg(
            nw.col("day").min().alias("started_on"),
            nw.col("day").max().alias("last_day"),
            nw.len().alias("days"),
            nw.col("units_before").sum(),
            nw.col("in_stock_before").sum().alias("in_stock_days_before"),
            nw.col("paid_units_before").sum(),
            nw.col("paid_cents_before").sum(),
        )
    )
