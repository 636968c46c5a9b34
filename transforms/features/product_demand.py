"""``features.product_demand``: the sales history of each product and warehouse up to one day, for a forecaster.

Lags, rolling sums, means and deviations, zero ratios, price moves and calendar are the features of the winning M5
competition solutions (https://github.com/Mcompetitions/M5-methods). ADI and CV² are those of Syntetos, Boylan and
Croston (Journal of the Operational Research Society 56, 2005), over days. Stock-outs censor demand, so
there is also the velocity of the days in stock (see ``transforms.demand``).

Prices are those of the orders (before discount), not of the shop's price list, which only has the current ones.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import flag, ratio, relative_variance
from transforms.currencies import main_currency
from transforms.demand import SHELF, daily_units, deviation, first_days, moved_stock
from transforms.engines import Frame

LAGS = (1, 7, 14, 28)
WINDOWS = (7, 14, 28, 56)  # days back from as_of, that day included
_ZERO_WINDOWS = (7, 28)
_LONGEST = 180

TABLE = Table(
    schema="features",
    name="product_demand",
    grain="One row per night, and product and warehouse that had a stock movement or an order by then.",
    doc="Units are those ordered, without void orders: of the product, and in kits that were sold, as these were made "
    "of on the day of the sale (reporting.component_demand_daily). A kit is a product with orders too. A window of n "
    "days ends with as_of and begins no earlier than the shelf's first movement or order. Stock follows the movements "
    "alone; a day before units first came to the shelf is neither in stock nor a stock-out.",
    columns=(
        Column("as_of", Type.DAY, "The business day; the row is as known at its end."),
        key("products", "product_id", "The product."),
        key("warehouses", "warehouse_id", "The warehouse."),
        Column("units", Type.UNITS, "Units of as_of itself."),
        *(
            Column(
                f"lag_{days}",
                Type.UNITS,
                f"Units of the day {days} days before as_of; null before the first.",
                nullable=True,
            )
            for days in LAGS
        ),
        *(Column(f"sum_{days}", Type.UNITS, f"Units of {days} days.") for days in WINDOWS),
        *(Column(f"mean_{days}", Type.RATIO, f"Mean daily units of {days} days.") for days in WINDOWS),
        *(
            Column(
                f"std_{days}",
                Type.RATIO,
                f"Sample standard deviation of the daily units of {days} days; null with fewer than two.",
                nullable=True,
            )
            for days in WINDOWS
        ),
        *(
            Column(f"zero_ratio_{days}", Type.RATIO, f"Share of {days} days without a unit ordered.")
            for days in _ZERO_WINDOWS
        ),
        Column(
            "days_since_last_sale",
            Type.INTEGER,
            "Days since the last unit was ordered; 0 on that day; null when never sold. "
            "A sale in a kit counts also before the shelf's first day, which windows do not.",
            nullable=True,
        ),
        Column("adi_180", Type.RATIO, "Days / days with a unit ordered, of 180; null without one.", nullable=True),
        Column(
            "cv2_180",
            Type.RATIO,
            "(Sample standard deviation / mean)² of the units of the days with any, of 180; null with fewer than two.",
            nullable=True,
        ),
        Column("in_stock_days_28", Type.INTEGER, "Days of 28 that ended with units available or on which some sold."),
        Column("is_censored", Type.BOOLEAN, "Whether a day of 28 ended in a stock-out, so that demand was hidden."),
        Column(
            "in_stock_velocity_28",
            Type.RATIO,
            "sum_28 / in_stock_days_28; null without a day in stock.",
            nullable=True,
        ),
        Column(
            "currency",
            Type.TEXT,
            "ISO 4217 code of price: the one with the most units sold; null when never sold.",
            nullable=True,
        ),
        Column(
            "price",
            Type.RATIO,
            "Gross sales / units of the latest day with a sale in currency, in major units; null when never sold.",
            nullable=True,
        ),
        Column(
            "price_change_28",
            Type.RATIO,
            "price / the price as of 28 days before − 1; null where there was none or it was 0.",
            nullable=True,
        ),
        Column(
            "discount_depth_28",
            Type.RATIO,
            "Discounts / gross sales of 28 days in currency; null without any.",
            nullable=True,
        ),
        Column("day_of_week", Type.INTEGER, "Day of the week of as_of; 1 = Monday … 7 = Sunday."),
        Column("week", Type.INTEGER, "ISO week of as_of."),
        Column("month", Type.INTEGER, "Month of as_of, 1 to 12."),
        Column("days_since_launch", Type.INTEGER, "Days since the product's first movement or order in any warehouse."),
    ),
    primary_key=("as_of", "product_id", "warehouse_id"),
    rebuild=Rebuild.as_of("as_of"),
    rules=(
        between("units", "units_not_negative", "Units are not negative.", least=0, severity=Severity.STOP),
        at_most("units", "sum_7", "units_within_7", "The window includes the day.", severity=Severity.STOP),
        at_most(
            "sum_7", "sum_14", "sum_7_within_14", "A longer window includes the shorter one.", severity=Severity.STOP
        ),
        at_most(
            "sum_14", "sum_28", "sum_14_within_28", "A longer window includes the shorter one.", severity=Severity.STOP
        ),
        at_most(
            "sum_28", "sum_56", "sum_28_within_56", "A longer window includes the shorter one.", severity=Severity.STOP
        ),
        *(
            between(name, f"{name}_is_share", f"{name} lies between 0 and 1.", least=0, most=1, severity=Severity.STOP)
            for name in ("zero_ratio_7", "zero_ratio_28", "discount_depth_28")
        ),
        between(
            "adi_180", "adi_at_least_one", "Days with sales are no more than days.", least=1, severity=Severity.STOP
        ),
        between(
            "in_stock_days_28",
            "in_stock_days_within_window",
            "The window has 28 days.",
            least=0,
            most=28,
            severity=Severity.STOP,
        ),
        between(
            "days_since_last_sale", "last_sale_not_later", "No sale is after as_of.", least=0, severity=Severity.STOP
        ),
        between("days_since_launch", "launch_not_later", "No launch is after as_of.", least=0, severity=Severity.STOP),
    ),
)


def build(
    inventory_daily: Frame,
    inventory_movements: Frame,
    daily_product_sales: Frame,
    component_demand_daily: Frame,
    order_lines: Frame,
    calendar: Frame,
    as_of: int,
    minor_units: int,
    unit_parts: int,
) -> Frame:
    """Every shelf's last 180 days, summed by window, with prices and calendar columns."""
    first = first_days(inventory_movements, order_lines)
    launched = first.group_by("product_id").agg(nw.col("first_day").min().alias("launched_on"))
    today = calendar.filter(nw.col("day") == as_of).select("day_of_week", "month", week=nw.col("iso_week"))
    stock = moved_stock(inventory_daily, inventory_movements)
    demand = daily_units(daily_product_sales, component_demand_daily)
    rows = (
        _windows(_days(first, stock, demand, calendar, as_of), as_of)
        .join(first, on=SHELF, how="left")
        .join(launched, on="product_id", how="left")
        .join(_last_sold(demand), on=SHELF, how="left")
        .join(_prices(daily_product_sales, as_of), on=SHELF, how="left")
        .join(today, how="cross")
    )
    return _measured(rows, as_of, minor_units, unit_parts).select(column.lake_name for column in TABLE.columns)


def _days(first: Frame, stock: Frame, demand: Frame, calendar: Frame, as_of: int) -> Frame:
    """Every day of every shelf since its first, within the longest window; unknown stock counts as not empty."""
    key = ["day", *SHELF]
    return (
        calendar.select("day")
        .filter(nw.col("day") > as_of - _LONGEST)
        .join(first, how="cross")
        .filter(nw.col("day") >= nw.col("first_day"))
        .join(demand, on=key, how="left")
        .join(stock.select(*key, "available", stocked=flag(nw.col("is_stocked"))), on=key, how="left")
        .with_columns(nw.col("units", "stocked").fill_null(0), is_unavailable=flag(nw.col("available") <= 0))
        .with_columns(
            squares=nw.col("units") * nw.col("units"),
            is_sold=flag(nw.col("units") > 0),
            is_empty=nw.col("is_unavailable") * nw.col("stocked"),
            in_stock=flag((nw.col("is_unavailable") == 0) | (nw.col("units") > 0)),
        )
    )


def _windows(days: Frame, as_of: int) -> Frame:
    """Integers per shelf: of single days, and summed over windows."""
    columns = {"units_today": flag(nw.col("day") == as_of) * nw.col("units")}
    columns |= {f"lag_{lag}": flag(nw.col("day") == as_of - lag) * nw.col("units") for lag in LAGS}
    for length in (*WINDOWS, _LONGEST):
        within = flag(nw.col("day") > as_of - length)
        columns |= {
            f"days_{length}": within,
            f"sum_{length}": within * nw.col("units"),
            f"squares_{length}": within * nw.col("squares"),
            f"sold_{length}": within * nw.col("is_sold"),
        }
    in_28 = flag(nw.col("day") > as_of - 28)
    columns |= {"in_stock_days_28": in_28 * nw.col("in_stock"), "empty_28": in_28 * nw.col("is_empty")}
    sums = days.with_columns(**columns).group_by(SHELF).agg(nw.col(name).sum() for name in columns)
    return sums.rename({"units_today": "units"})


def _last_sold(demand: Frame) -> Frame:
    """The latest day on which units of each shelf were sold."""
    sold = demand.filter(nw.col("units") > 0)
    return sold.group_by(SHELF).agg(nw.col("day").max().alias("last_sold_on"))


def _prices(sales: Frame, as_of: int) -> Frame:
    """In each shelf's main currency: the latest sale, the latest as of 28 days before, and the discounts since."""
    main = main_currency(sales, SHELF)
    in_main = sales.join(main, on=[*SHELF, "currency"], how="inner")
    window = (
        in_main.filter(nw.col("day") > as_of - 28)
        .group_by(SHELF)
        .agg(nw.col("gross_sales_cents").sum().alias("gross_28"), nw.col("discounts_cents").sum().alias("discounts_28"))
    )
    return (
        main.join(_latest(in_main, as_of, "now"), on=SHELF, how="left")
        .join(_latest(in_main, as_of - 28, "then"), on=SHELF, how="left")
        .join(window, on=SHELF, how="left")
    )


def _latest(in_main: Frame, until: int, name: str) -> Frame:
    """Gross sales and units of each shelf's latest day with a sale."""
    sold = in_main.filter((nw.col("units") > 0) & (nw.col("day") <= until))
    latest = sold.group_by(SHELF).agg(nw.col("day").max())
    return sold.join(latest, on=["day", *SHELF], how="inner").select(
        *SHELF, nw.col("gross_sales_cents").alias(f"gross_{name}"), nw.col("units").alias(f"units_{name}")
    )


def _measured(rows: Frame, as_of: int, minor_units: int, unit_parts: int) -> Frame:
    """Every ratio, as one division."""

    def days(length: int) -> nw.Expr:
        return nw.col(f"days_{length}")

    lags = {f"lag_{lag}": nw.when(nw.col("first_day") <= as_of - lag).then(nw.col(f"lag_{lag}")) for lag in LAGS}
    means = {f"mean_{length}": ratio(nw.col(f"sum_{length}"), days(length) * unit_parts) for length in WINDOWS}
    spreads = {
        f"std_{length}": deviation(days(length), nw.col(f"sum_{length}"), nw.col(f"squares_{length}"), unit_parts)
        for length in WINDOWS
    }
    zeros = {
        f"zero_ratio_{length}": ratio(days(length) - nw.col(f"sold_{length}"), days(length)) for length in _ZERO_WINDOWS
    }
    sold, units, squares = (nw.col(f"{name}_{_LONGEST}") for name in ("sold", "sum", "squares"))
    price_then = nw.col("gross_then") * nw.col("units_now")
    return rows.with_columns(**lags, **means, **spreads, **zeros).with_columns(
        as_of=nw.lit(as_of, dtype=nw.Int64),
        days_since_last_sale=as_of - nw.col("last_sold_on"),
        adi_180=ratio(days(_LONGEST), sold),
        cv2_180=relative_variance(sold, units, squares),
        is_censored=nw.col("empty_28") > 0,
        in_stock_velocity_28=ratio(nw.col("sum_28"), nw.col("in_stock_days_28") * unit_parts),
        price=ratio(nw.col("gross_now") * unit_parts, nw.col("units_now") * minor_units),
        price_change_28=ratio(nw.col("gross_now") * nw.col("units_then") - price_then, price_then),
        discount_depth_28=ratio(nw.col("discounts_28"), nw.col("gross_28")),
        days_since_launch=as_of - nw.col("launched_on"),
    )
