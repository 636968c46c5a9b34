"""``reporting.products``: one row per product, with its sales of 28 days, of a year and of all time.

Sales count on the order's day and refunds on their own, as in ``reporting.daily_product_sales``, which this table sums.
Amounts of different currencies are never added: sales are in the currency with the most units sold. The price of the
price list has a currency of its own, may be with tax where sales are without, and is in no sum.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from transforms.arithmetic import flag, ratio
from transforms.currencies import main_currency
from transforms.engines import Frame

TABLE = Table(
    schema="reporting",
    name="products",
    grain="One row per product, also without any sale, and also when sold but no longer listed.",
    doc="Void orders do not count. A window of n days ends with the data-through date. The columns from the "
    "shop's product list are of the newest version; earlier ones are in reporting.products_history.",
    columns=(
        key("products", "product_id", "The product."),
        Column("sku", Type.TEXT, "The shop's own article number; null when no longer listed.", nullable=True),
        Column("name", Type.TEXT, "The product's name; null where the shop has none.", nullable=True),
        Column("category", Type.TEXT, "The shop's category; null where it has none.", nullable=True),
        Column("is_active", Type.BOOLEAN, "Whether it can be ordered; null when no longer listed.", nullable=True),
        Column(
            "currency",
            Type.TEXT,
            "ISO 4217 code of the row's sales and margin: the one with the most units sold, ties to the first by "
            "name; null when never sold.",
            nullable=True,
        ),
        Column("first_sold_on", Type.DAY, "Business day of the first sale; null when never sold.", nullable=True),
        Column("last_sold_on", Type.DAY, "Business day of the latest sale; null when never sold.", nullable=True),
        Column(
            "days_since_last_sale",
            Type.INTEGER,
            "Days from last_sold_on to the data-through date; null when never sold.",
            nullable=True,
        ),
        Column("units_28d", Type.UNITS, "Units ordered in the last 28 days, in any currency."),
        Column("units_365d", Type.UNITS, "Units ordered in the last 365 days, in any currency."),
        Column("lifetime_units", Type.UNITS, "Units ordered ever, in any currency."),
        Column("other_currency_units", Type.UNITS, "Units in other currencies; their amounts are not in the row."),
        Column("refunded_units", Type.UNITS, "Units refunded, or taken out of orders, ever, in any currency."),
        Column("net_sales_28d", Type.CENTS, "Sales minus discounts of 28 days, minus refunds given in them."),
        Column("net_sales_365d", Type.CENTS, "Sales minus discounts of 365 days, minus refunds given in them."),
        Column("lifetime_net_sales", Type.CENTS, "Sales minus discounts and refunds, ever."),
        Column(
            "lifetime_gross_margin",
            Type.CENTS,
            "lifetime_net_sales minus the cost of the units kept; null when a cost is unknown.",
            nullable=True,
        ),
        Column(
            "return_rate", Type.RATIO, "refunded_units / lifetime_units; null when nothing was sold.", nullable=True
        ),
        Column(
            "margin_rate",
            Type.RATIO,
            "lifetime_gross_margin / lifetime_net_sales; null when the margin is unknown or nothing was earned.",
            nullable=True,
        ),
        Column(
            "product_group_id",
            Type.TEXT,
            "What it is a variant of; null where it is none, or no longer listed.",
            nullable=True,
        ),
        Column("product_group_name", Type.TEXT, "What that is called; null where it has no name.", nullable=True),
        Column("unit_price", Type.CENTS, "What one unit sells for now; null when unknown.", nullable=True),
        Column(
            "price_currency", Type.TEXT, "ISO 4217 code of unit_price; null: the only one of the shop.", nullable=True
        ),
        Column("price_includes_tax", Type.BOOLEAN, "Whether unit_price is with tax; null when unknown.", nullable=True),
        Column("listed_on", Type.DAY, "Business day on which the shop listed it; null when unknown.", nullable=True),
    ),
    primary_key=("product_id",),
    rebuild=Rebuild.full(),
    rules=(
        between("units_28d", "units_28d_not_negative", "Units are not negative.", least=0, severity=Severity.STOP),
        at_most("units_28d", "units_365d", "units_28d_within_365d", "365 days include 28.", severity=Severity.STOP),
        at_most(
            "units_365d",
            "lifetime_units",
            "units_365d_within_lifetime",
            "All time includes 365 days.",
            severity=Severity.STOP,
        ),
        at_most(
            "refunded_units",
            "lifetime_units",
            "refunded_within_sold",
            "Refunded units are no more than those sold.",
            severity=Severity.STOP,
        ),
        at_most(
            "first_sold_on",
            "last_sold_on",
            "first_before_last",
            "The first sale is not after the latest.",
            severity=Severity.STOP,
        ),
        between(
            "days_since_last_sale",
            "last_sale_not_later",
            "No sale is after the data-through date.",
            least=0,
            severity=Severity.STOP,
        ),
    ),
)

_COUNTS = ["units_28d", "units_365d", "lifetime_units", "refunded_units"]
_AMOUNTS = ["net_sales_28d_cents", "net_sales_365d_cents", "lifetime_net_sales_cents"]


def build(products: Frame, daily_product_sales: Frame, as_of: int) -> Frame:
    """Every product listed or sold, with units in all currencies and amounts in one."""
    sold = daily_product_sales.select("product_id")
    everything = nw.concat([products.select("product_id"), sold]).unique()
    listed = products.select(
        *("product_id", "sku", "name", "category", "is_active", "product_group_id", "product_group_name"),
        *("unit_price_cents", "price_currency", "price_includes_tax"),
        listed_on=nw.col("created_on"),
    )
    main = main_currency(daily_product_sales, ["product_id"])
    in_main = daily_product_sales.join(main, on=["product_id", "currency"], how="inner")
    return (
        everything.join(listed, on="product_id", how="left")
        .join(main, on="product_id", how="left")
        .join(_units(daily_product_sales, as_of), on="product_id", how="left")
        .join(_amounts(in_main, as_of), on="product_id", how="left")
        .with_columns(nw.col(*_COUNTS, *_AMOUNTS, "main_units").fill_null(0))
        .with_columns(
            other_currency_units=nw.col("lifetime_units") - nw.col("main_units"),
            days_since_last_sale=as_of - nw.col("last_sold_on"),
            return_rate=ratio(nw.col("refunded_units"), nw.col("lifetime_units")),
            margin_rate=ratio(nw.col("lifetime_gross_margin_cents"), nw.col("lifetime_net_sales_cents")),
        )
        .select(column.lake_name for column in TABLE.columns)
    )


def _units(sales: Frame, as_of: int) -> Frame:
    """Units over all currencies; a day with only refunds is no day of a sale."""
    return (
        sales.with_columns(
            units_28d=flag(nw.col("day") > as_of - 28) * nw.col("units"),
            units_365d=flag(nw.col("day") > as_of - 365) * nw.col("units"),
            sold_on=nw.when(nw.col("units") > 0).then(nw.col("day")),
        )
        .group_by("product_id")
        .agg(
            nw.col("sold_on").min().alias("first_sold_on"),
            nw.col("sold_on").max().alias("last_sold_on"),
            nw.col("units_28d").sum(),
            nw.col("units_365d").sum(),
            nw.col("units").sum().alias("lifetime_units"),
            nw.col("refunded_units").sum(),
        )
    )


def _amounts(in_main: Frame, as_of: int) -> Frame:
    """Sums of one currency."""
    return (
        in_main.with_columns(
            net_sales_28d_cents=flag(nw.col("day") > as_of - 28) * nw.col("net_sales_cents"),
            net_sales_365d_cents=flag(nw.col("day") > as_of - 365) * nw.col("net_sales_cents"),
            unknown=flag(nw.col("gross_margin_cents").is_null()),
        )
        .group_by("product_id")
        .agg(
            nw.col("units").sum().alias("main_units"),
            nw.col("net_sales_28d_cents").sum(),
            nw.col("net_sales_365d_cents").sum(),
            nw.col("net_sales_cents").sum().alias("lifetime_net_sales_cents"),
            nw.col("gross_margin_cents").sum().alias("margin_cents"),
            nw.col("unknown").sum(),
        )
        .with_columns(lifetime_gross_margin_cents=nw.when(nw.col("unknown") == 0).then(nw.col("margin_cents")))
        .drop("margin_cents", "unknown")
    )
