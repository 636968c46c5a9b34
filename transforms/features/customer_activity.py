"""``features.customer_activity``: what each customer did up to the end of one day.

Frequency, tenure and monetary follow BTYD and lifetimes
(https://lifetimes.readthedocs.io/en/latest/Quickstart.html): frequency counts the distinct days
with an order after the first one, tenure is the T of those models, monetary the mean value of those repeat days: these
models leave the first purchase out, because it is not one of those that they predict. Their "recency" (age at the last
order) is tenure_days − recency_days here. A day is worth the net sales of its orders, as reporting.orders has them: a
refund lowers the day that was bought on, whenever it is given, where net_sales_…d, like Shopify, counts it on its own.

The deviation of the gaps between order days is the sample's: √((n·Σx² − (Σx)²) / (n·(n − 1))), in integers up to
the one division, so that every engine gives the same bits.
"""

from __future__ import annotations

from itertools import pairwise

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import ONE, ZERO, flag, ratio
from transforms.engines import Frame, by_key
from transforms.known_customers import of_known_customers
from transforms.sales_lines import counted_orders, kept_lines, refunded_lines
from transforms.versions import holding

WINDOWS = (7, 28, 90, 365)  # days back from as_of, that day included
_SATURDAY = 6


def _share(name: str, doc: str) -> Column:
    return Column(name, Type.RATIO, f"{doc}; null without any.", nullable=True)


TABLE = Table(
    schema="features",
    name="customer_activity",
    grain="One row per night and customer who had placed an order by then.",
    doc="Void orders count only in cancel_rate_365d, guests' nowhere. A window of n days ends with as_of. "
    "Amounts are of currency.",
    columns=(
        Column("as_of", Type.DAY, "The business day; the row is as known at its end."),
        key("customers", "customer_id", "The customer."),
        Column(
            "currency",
            Type.TEXT,
            "ISO 4217 code of every amount of the row: that of most of the customer's orders; null when all are void.",
            nullable=True,
        ),
        Column("recency_days", Type.INTEGER, "Days since the last order; null when all are void.", nullable=True),
        Column("tenure_days", Type.INTEGER, "Days since the first order; null when all are void.", nullable=True),
        Column("frequency", Type.INTEGER, "Distinct days with an order, minus the first."),
        Column(
            "monetary",
            Type.RATIO,
            "Mean net sales of the later order days, in major units: the net_sales of the orders in currency (with all "
            "their refunds so far), of the days after the customer's first order in any currency, / these days; null "
            "without one.",
            nullable=True,
        ),
        *(Column(f"orders_{days}d", Type.INTEGER, f"Orders of the last {days} days.") for days in WINDOWS),
        *(
            Column(
                f"net_sales_{days}d",
                Type.CENTS,
                f"Sales minus discounts of the orders of the last {days} days, minus refunds given in these days.",
            )
            for days in WINDOWS
        ),
        _share("average_order_value_90d", "(gross sales − discounts) / orders of the last 90 days, in major units"),
        Column("interpurchase_days_mean", Type.RATIO, "Mean gap between order days; null without one.", nullable=True),
        Column(
            "interpurchase_days_std",
            Type.RATIO,
            "Sample standard deviation of the gaps between order days; null with fewer than two.",
            nullable=True,
        ),
        Column(
            "interpurchase_days_last",
            Type.INTEGER,
            "The latest gap between order days; null without one.",
            nullable=True,
        ),
        Column(
            "overdue_ratio", Type.RATIO, "recency_days / interpurchase_days_mean; null without a gap.", nullable=True
        ),
        _share("cancel_rate_365d", "Share of the orders of the last 365 days that were cancelled"),
        _share("return_rate_365d", "Share of the units ordered in the last 365 days that were refunded"),
        _share("discount_share_365d", "Discounts / gross sales of the orders of the last 365 days"),
        Column("distinct_products_365d", Type.INTEGER, "Distinct products ordered in the last 365 days."),
        Column(
            "distinct_categories_365d",
            Type.INTEGER,
            "Distinct categories of these products, as they were known on as_of; 0 where the shop has none.",
        ),
        _share("top_category_share", "Share of the units of the last 365 days in the category most bought"),
        _share("weekend_share", "Share of the orders of the last 365 days on a Saturday or Sunday"),
    ),
    primary_key=("as_of", "customer_id"),
    rebuild=Rebuild.as_of("as_of"),
    rules=(
        between("recency_days", "recency_not_negative", "No order is after as_of.", least=0, severity=Severity.STOP),
        between("frequency", "frequency_not_negative", "frequency is not negative.", least=0, severity=Severity.STOP),
        at_most(
            "recency_days",
            "tenure_days",
            "recency_within_tenure",
            "The last order follows the first.",
            severity=Severity.STOP,
        ),
        at_most("frequency", "tenure_days", "frequency_within_tenure", "A day counts once.", severity=Severity.STOP),
        *(
            at_most(
                f"orders_{shorter}d",
                f"orders_{longer}d",
                f"orders_{shorter}d_within_{longer}d",
                "A longer window includes the shorter one's orders.",
                severity=Severity.STOP,
            )
            for shorter, longer in pairwise(WINDOWS)
        ),
        *(
            between(name, f"{name}_is_share", f"{name} lies between 0 and 1.", least=0, most=1, severity=Severity.STOP)
            for name in (
                "cancel_rate_365d",
                "return_rate_365d",
                "discount_share_365d",
                "top_category_share",
                "weekend_share",
            )
        ),
    ),
)

_WINDOW_SUMS = [
    *(f"{measure}_{days}d{unit}" for measure, unit in (("orders", ""), ("net_sales", "_cents")) for days in WINDOWS),
    "paid_90d",
    "paid_orders_90d",
]
_YEAR_SUMS = [
    "placed_365d",
    "cancelled_365d",
    "kept_365d",
    "weekend_365d",
    "units_365d",
    "refunded_365d",
    "gross_365d",
    "discounts_365d",
]
_ZERO_WITHOUT_ORDERS = [*_WINDOW_SUMS, "distinct_products_365d", "distinct_categories_365d", "frequency"]


def build(
    reporting_customers: Frame,
    reporting_orders: Frame,
    order_lines: Frame,
    refunds: Frame,
    products_versions: Frame,
    calendar: Frame,
    as_of: int,
    minor_units: int,
) -> Frame:
    """Every customer with an order: sums over windows first, then every ratio as one division."""
    owners = reporting_customers.select("customer_id", "first_ordered_on", "last_ordered_on", main=nw.col("currency"))
    orders = (
        of_known_customers(reporting_orders)
        .with_columns(day=nw.col("ordered_on"))
        .join(owners, on="customer_id", how="inner")
        .with_columns(in_main=flag(nw.col("currency") == nw.col("main")))
    )
    kept = counted_orders(orders)
    lines = of_known_customers(order_lines)
    refunded = refunded_lines(refunds, lines).join(owners, on="customer_id", how="inner")
    bought = kept_lines(lines).filter(nw.col("ordered_on") > as_of - 365)
    sums = (
        _year(orders, calendar, as_of)
        .join(owners, on="customer_id", how="inner")
        .join(_windows(kept, refunded, as_of), on="customer_id", how="left")
        .join(_repeats(kept), on="customer_id", how="left")
        .join(by_key(_order_days(kept), ["customer_id"], _gaps), on="customer_id", how="left")
        .join(_products(bought), on="customer_id", how="left")
        .join(_categories(bought, holding(products_versions)), on="customer_id", how="left")
        .with_columns(nw.col(*_ZERO_WITHOUT_ORDERS).fill_null(0))
    )
    return _ratios(sums, as_of, minor_units).select(column.lake_name for column in TABLE.columns)


def _year(orders: Frame, calendar: Frame, as_of: int) -> Frame:
    """Counts over the orders of the last 365 days; one row per customer who ever placed one."""
    in_year = flag(nw.col("day") > as_of - 365)
    is_kept = flag(nw.col("voided_on").is_null())
    is_weekend = flag(nw.col("day_of_week") >= _SATURDAY)
    return (
        orders.join(calendar.select("day", "day_of_week"), on="day", how="left")
        .with_columns(placed_365d=in_year, kept_365d=in_year * is_kept)
        .with_columns(
            cancelled_365d=in_year * flag(~nw.col("cancelled_on").is_null()),
            weekend_365d=nw.col("kept_365d") * is_weekend,
            units_365d=nw.col("kept_365d") * nw.col("units"),
            refunded_365d=nw.col("kept_365d") * nw.col("refunded_units"),
            gross_365d=nw.col("kept_365d") * nw.col("in_main") * nw.col("gross_sales_cents"),
            discounts_365d=nw.col("kept_365d") * nw.col("in_main") * nw.col("discount_cents"),
        )
        .group_by("customer_id")
        .agg(nw.col(name).sum() for name in _YEAR_SUMS)
    )


def _windows(kept: Frame, refunded: Frame, as_of: int) -> Frame:
    """Orders and refunds, each on its own day, summed over each window."""
    in_main = flag(nw.col("currency") == nw.col("main"))
    sold = kept.select(
        "customer_id",
        "day",
        orders=ONE,
        paid_orders=nw.col("in_main"),
        paid=nw.col("in_main") * (nw.col("gross_sales_cents") - nw.col("discount_cents")),
        returns=ZERO,
    )
    given_back = refunded.select(
        "customer_id",
        "day",
        orders=ZERO,
        paid_orders=ZERO,
        paid=ZERO,
        returns=in_main * nw.col("returns_cents"),
    )
    within = {days: flag(nw.col("day") > as_of - days) for days in WINDOWS}
    columns = {f"orders_{days}d": within[days] * nw.col("orders") for days in WINDOWS}
    columns |= {f"net_sales_{days}d_cents": within[days] * (nw.col("paid") - nw.col("returns")) for days in WINDOWS}
    columns |= {"paid_90d": within[90] * nw.col("paid"), "paid_orders_90d": within[90] * nw.col("paid_orders")}
    return (
        nw.concat([sold, given_back])
        .with_columns(**columns)
        .group_by("customer_id")
        .agg(nw.col(name).sum() for name in _WINDOW_SUMS)
    )


def _repeats(kept: Frame) -> Frame:
    """Net sales and number of the days with an order after the first, in the customer's currency."""
    repeat = kept.filter((nw.col("day") > nw.col("first_ordered_on")) & (nw.col("in_main") == 1))
    by_day = repeat.group_by(["customer_id", "day"]).agg(nw.col("net_sales_cents").sum().alias("repeat_cents"))
    return by_day.group_by("customer_id").agg(nw.col("repeat_cents").sum(), nw.len().alias("repeat_days"))


def _order_days(kept: Frame) -> Frame:
    """One row per customer and day with an order."""
    days = kept.group_by(["customer_id", "day"]).agg(nw.len().alias("orders"))
    return days.select("customer_id", "day")


def _gaps(order_days: Frame) -> Frame:
    """Per customer: the number of gaps between order days, the sum of their squares, and the latest gap."""
    return (
        order_days.with_columns(
            gap=nw.col("day") - nw.col("day").shift(1).over("customer_id", order_by="day"),
            last_day=nw.col("day").max().over("customer_id"),
        )
        .with_columns(
            square=nw.col("gap") * nw.col("gap"),
            latest=nw.when(nw.col("day") == nw.col("last_day")).then(nw.col("gap")),
        )
        .group_by("customer_id")
        .agg(
            nw.col("gap").count().alias("frequency"),
            nw.col("square").sum().alias("gap_squares"),
            nw.col("latest").max().alias("interpurchase_days_last"),
        )
    )


def _products(bought: Frame) -> Frame:
    """The number of distinct products per customer."""
    one_each = bought.group_by(["customer_id", "product_id"]).agg(nw.len().alias("lines"))
    return one_each.group_by("customer_id").agg(nw.len().alias("distinct_products_365d"))


def _categories(bought: Frame, products: Frame) -> Frame:
    """The number of distinct categories per customer, and the units of the most bought one."""
    one_each = (
        bought.join(products.select("product_id", "category"), on="product_id", how="left")
        .filter(~nw.col("category").is_null())
        .group_by(["customer_id", "category"])
        .agg(nw.col("quantity").sum().alias("category_units"))
    )
    return one_each.group_by("customer_id").agg(
        nw.len().alias("distinct_categories_365d"), nw.col("category_units").max().alias("top_category_units")
    )


def _ratios(sums: Frame, as_of: int, minor_units: int) -> Frame:
    """Every ratio, as one division of two integers."""
    gaps, span = nw.col("frequency"), nw.col("last_ordered_on") - nw.col("first_ordered_on")
    spread = gaps * nw.col("gap_squares") - span * span
    return sums.with_columns(
        as_of=nw.lit(as_of, dtype=nw.Int64),
        currency=nw.col("main"),
        recency_days=as_of - nw.col("last_ordered_on"),
        tenure_days=as_of - nw.col("first_ordered_on"),
        monetary=ratio(nw.col("repeat_cents"), nw.col("repeat_days") * minor_units),
        average_order_value_90d=ratio(nw.col("paid_90d"), nw.col("paid_orders_90d") * minor_units),
        interpurchase_days_mean=ratio(span, gaps),
        interpurchase_days_std=ratio(spread, gaps * (gaps - 1)).sqrt(),
        overdue_ratio=ratio((as_of - nw.col("last_ordered_on")) * gaps, span),
        cancel_rate_365d=ratio(nw.col("cancelled_365d"), nw.col("placed_365d")),
        return_rate_365d=ratio(nw.col("refunded_365d"), nw.col("units_365d")),
        discount_share_365d=ratio(nw.col("discounts_365d"), nw.col("gross_365d")),
        top_category_share=ratio(nw.col("top_category_units"), nw.col("units_365d")),
        weekend_share=ratio(nw.col("weekend_365d"), nw.col("kept_365d")),
    )
