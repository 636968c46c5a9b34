"""``reporting.product_abc_xyz``: which products matter, and how steadily and how often they sell.

ABC: products by net sales of 365 days, largest first; A those that begin within the first 80 % of the total, B within
95 %, C the rest. The product that crosses a limit belongs to the better class, so the best seller is always A. XYZ: by
the coefficient of variation of weekly units. The demand class has the limits of Syntetos, Boylan and Croston (On the
categorization of demand patterns, Journal of the Operational Research Society 56, 2005) for the average demand interval
(ADI) and the squared variation of the sizes (CV²).

Weeks are the 52 seven-day spans that end with the night, from the week of the product's first sale on, so that a new
product does not count as unsteady. Variations are the sample's.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import between, one_of
from include.contract.table import key
from transforms.arithmetic import flag, quotient, ratio, relative_variance
from transforms.engines import Frame, by_key
from transforms.parameters import PARAMETERS

_WEEKS = 52
_DAYS_PER_WEEK = 7
_DEMAND = ("smooth", "intermittent", "erratic", "lumpy")

TABLE = Table(
    schema="reporting",
    name="product_abc_xyz",
    grain="One row per night and product, also without any sale.",
    doc="A product that was listed after the night, and not sold by then, has no row. Void orders do not count. Shares "
    "are among the products of one currency.",
    columns=(
        Column("night", Type.DAY, "The business day; the row is as of its end."),
        key("products", "product_id", "The product."),
        Column(
            "currency",
            Type.TEXT,
            "ISO 4217 code of net_sales_365d: the one with the most units sold; null when never sold.",
            nullable=True,
        ),
        Column("net_sales_365d", Type.CENTS, "Sales minus discounts of 365 days, minus refunds given in them."),
        Column(
            "cumulative_share",
            Type.RATIO,
            "Share of this product and all with more in the currency's net_sales_365d (ties by product_id), negative "
            "ones counting as 0; null where the currency has none.",
            nullable=True,
        ),
        Column(
            "abc",
            Type.TEXT,
            f"A where products with more have less than {PARAMETERS.abc_a_percent} % of the total, B less than "
            f"{PARAMETERS.abc_b_percent} %, else C; C without net sales.",
        ),
        Column("weeks", Type.INTEGER, "Weeks since the first sale, with its own week, at most 52; 0 when never sold."),
        Column("weeks_with_sales", Type.INTEGER, "Weeks of these with a unit ordered."),
        Column("units", Type.UNITS, "Units ordered in these weeks, in any currency."),
        Column(
            "weekly_variation",
            Type.RATIO,
            "Standard deviation / mean of weekly units; null with fewer than two weeks or no units.",
            nullable=True,
        ),
        Column(
            "xyz",
            Type.TEXT,
            f"X up to a weekly_variation of {PARAMETERS.xyz_x}, Y up to {PARAMETERS.xyz_y}, else Z; null without one.",
            nullable=True,
        ),
        Column("adi", Type.RATIO, "weeks / weeks_with_sales; null without units.", nullable=True),
        Column(
            "cv2",
            Type.RATIO,
            "(Standard deviation / mean)² of the units of the weeks with sales; null with fewer than two.",
            nullable=True,
        ),
        Column(
            "demand_class",
            Type.TEXT,
            f"By adi (from {PARAMETERS.adi_cut} on) and cv2 (from {PARAMETERS.cv2_cut} on; one week with sales has no "
            "variation): smooth (neither), intermittent (adi), erratic (cv2), lumpy (both); null without units.",
            nullable=True,
        ),
    ),
    primary_key=("night", "product_id"),
    rebuild=Rebuild.as_of("night"),
    rules=(
        one_of("abc", "abc_known", "A class is A, B or C.", ["A", "B", "C"], severity=Severity.STOP),
        one_of("xyz", "xyz_known", "A class is X, Y or Z.", ["X", "Y", "Z"], severity=Severity.STOP),
        one_of(
            "demand_class", "demand_class_known", "A class is one of the four.", list(_DEMAND), severity=Severity.STOP
        ),
        between(
            "cumulative_share",
            "cumulative_share_is_share",
            "A share lies between 0 and 1.",
            least=0,
            most=1,
            severity=Severity.STOP,
        ),
        between("weeks", "weeks_in_range", "A year has 52 weeks.", least=0, most=_WEEKS, severity=Severity.STOP),
        between("adi", "adi_at_least_one", "weeks_with_sales is no more than weeks.", least=1, severity=Severity.STOP),
    ),
)


def build(reporting_products: Frame, daily_product_sales: Frame, as_of: int) -> Frame:
    """Every product that was there, ranked by money within its currency, and measured by its weeks."""
    was_there = nw.col("listed_on").is_null() | (nw.col("listed_on") <= as_of) | ~nw.col("first_sold_on").is_null()
    since_first = quotient(as_of - nw.col("first_sold_on"), _DAYS_PER_WEEK) + 1
    products = reporting_products.filter(was_there).select(
        "product_id",
        "currency",
        "net_sales_365d_cents",
        night=nw.lit(as_of, dtype=nw.Int64),
        earned=nw.when(nw.col("net_sales_365d_cents") > 0).then(nw.col("net_sales_365d_cents")).otherwise(0),
        weeks=nw.when(since_first <= _WEEKS).then(since_first).otherwise(_WEEKS),
        is_sold=~nw.col("first_sold_on").is_null(),
    )
    # Products that never sold have no currency; they form a group of their own.
    products = products.with_columns(group=nw.col("currency").fill_null(""))
    ranked = by_key(products, ["group"], _accumulate)
    rows = ranked.join(_weekly(daily_product_sales, as_of), on="product_id", how="left").with_columns(
        nw.col("weeks_with_sales", "units", "squares").fill_null(0),
        weeks=nw.when(nw.col("is_sold")).then(nw.col("weeks")).otherwise(0),
    )
    return _measured(rows).with_columns(**_classes()).select(column.lake_name for column in TABLE.columns)


def _accumulate(products: Frame) -> Frame:
    """The net sales of each product and those with more, and of all."""
    by_earnings = products.with_columns(less=-nw.col("earned"))
    return by_earnings.with_columns(
        cumulative=nw.col("earned").cum_sum().over("group", order_by=["less", "product_id"]),
        total=nw.col("earned").sum().over("group"),
    )


def _weekly(sales: Frame, as_of: int) -> Frame:
    """Per product: weeks with sales, units, and the sum of the squared weekly units."""
    weeks = (
        sales.filter((nw.col("day") > as_of - 7 * _WEEKS) & (nw.col("units") > 0))
        .with_columns(week=quotient(as_of - nw.col("day"), _DAYS_PER_WEEK))
        .group_by(["product_id", "week"])
        .agg(nw.col("units").sum())
    )
    return (
        weeks.with_columns(squares=nw.col("units") * nw.col("units"))
        .group_by("product_id")
        .agg(nw.len().alias("weeks_with_sales"), nw.col("units").sum(), nw.col("squares").sum())
    )


def _measured(rows: Frame) -> Frame:
    """The ratios; weeks without a sale add to the number of weeks, and nothing to the sums."""
    units, squares, sold = nw.col("units"), nw.col("squares"), nw.col("weeks_with_sales")
    return rows.with_columns(
        cumulative_share=ratio(nw.col("cumulative"), nw.col("total")),
        weekly_variation=relative_variance(nw.col("weeks"), units, squares).sqrt(),
        adi=ratio(nw.col("weeks"), sold),
        cv2=relative_variance(sold, units, squares),
    )


def _classes() -> dict[str, nw.Expr]:
    """The three classes of a measured row."""
    before = (nw.col("cumulative") - nw.col("earned")) * 100
    varies = nw.col("weekly_variation")
    is_rare = nw.col("adi") >= PARAMETERS.adi_cut
    is_erratic = flag(nw.col("cv2") >= PARAMETERS.cv2_cut) == 1
    return {
        "abc": nw.when((nw.col("earned") > 0) & (before < nw.col("total") * PARAMETERS.abc_a_percent))
        .then(nw.lit("A"))
        .when((nw.col("earned") > 0) & (before < nw.col("total") * PARAMETERS.abc_b_percent))
        .then(nw.lit("B"))
        .otherwise(nw.lit("C")),
        "xyz": nw.when(varies <= PARAMETERS.xyz_x)
        .then(nw.lit("X"))
        .when(varies <= PARAMETERS.xyz_y)
        .then(nw.lit("Y"))
        .when(~varies.is_null())
        .then(nw.lit("Z")),
        "demand_class": nw.when(is_rare & is_erratic)
        .then(nw.lit("lumpy"))
        .when(is_rare)
        .then(nw.lit("intermittent"))
        .when(is_erratic)
        .then(nw.lit("erratic"))
        .when(nw.col("units") > 0)
        .then(nw.lit("smooth")),
    }
