"""``reporting.customers``: one row per customer, with their orders so far and the time since the last.

New versus returning follows the first order, as in Shopify's customer reports. Amounts of different currencies are
never added: amounts are in the currency of most of the customer's orders.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between, one_of
from include.contract.table import key
from transforms.arithmetic import numbered, ratio
from transforms.engines import Frame, by_key
from transforms.known_customers import of_known_customers
from transforms.parameters import PARAMETERS
from transforms.sales_lines import counted_orders

TABLE = Table(
    schema="reporting",
    name="customers",
    grain="One row per customer, also without any order.",
    doc="Void orders do not count. Guests' orders, which name no customer, are in no row.",
    columns=(
        key("customers", "customer_id", "The customer."),
        Column(
            "currency",
            Type.TEXT,
            "ISO 4217 code of every amount of the row: that of most of the customer's orders, ties to the first by "
            "name; null without orders.",
            nullable=True,
        ),
        Column("first_ordered_on", Type.DAY, "Business day of the first order; null without one.", nullable=True),
        Column("last_ordered_on", Type.DAY, "Business day of the latest order; null without one.", nullable=True),
        Column("lifetime_orders", Type.INTEGER, "Orders, in any currency."),
        Column("other_currency_orders", Type.INTEGER, "Orders in other currencies; their amounts are not in the row."),
        Column("lifetime_units", Type.UNITS, "Units ordered, in any currency."),
        Column(
            "returned_units", Type.UNITS, "Units refunded so far, or of orders that came back whole, in any currency."
        ),
        Column("lifetime_gross_sales", Type.CENTS, "Σ gross sales of the orders."),
        Column("lifetime_discounts", Type.CENTS, "Σ discounts of the orders."),
        Column("returns", Type.CENTS, "Returns of lines so far, before tax; no other money given back."),
        Column("lifetime_net_sales", Type.CENTS, "lifetime_gross_sales − lifetime_discounts − returns."),
        Column(
            "average_order_value",
            Type.RATIO,
            "(lifetime_gross_sales − lifetime_discounts) / (lifetime_orders − other_currency_orders), in major units; "
            "null without orders.",
            nullable=True,
        ),
        Column(
            "days_since_last_order",
            Type.INTEGER,
            "Days from last_ordered_on to the data-through date; null without orders.",
            nullable=True,
        ),
        Column(
            "stage",
            Type.TEXT,
            f"By days_since_last_order: up to {PARAMETERS.active_days} active (new when it is the only order), up to "
            f"{PARAMETERS.lapsed_days} at_risk, then lapsed; null without orders.",
            nullable=True,
        ),
    ),
    primary_key=("customer_id",),
    rebuild=Rebuild.full(),
    rules=(
        *(
            between(name, f"{name}_not_negative", f"{name} is not negative.", least=0, severity=Severity.STOP)
            for name in ("lifetime_orders", "other_currency_orders", "lifetime_units", "lifetime_gross_sales_cents")
        ),
        between(
            "days_since_last_order",
            "last_order_not_later",
            "No order is after the data-through date.",
            least=0,
            severity=Severity.STOP,
        ),
        at_most(
            "first_ordered_on",
            "last_ordered_on",
            "first_before_last",
            "The first order is not after the latest.",
            severity=Severity.STOP,
        ),
        one_of(
            "stage",
            "stage_known",
            "A stage is one of the four.",
            ["new", "active", "at_risk", "lapsed"],
            severity=Severity.STOP,
        ),
    ),
)

_COUNTS = ["lifetime_orders", "lifetime_units", "returned_units"]
_AMOUNTS = ["lifetime_gross_sales_cents", "lifetime_discounts_cents", "returns_cents", "lifetime_net_sales_cents"]


def build(customers: Frame, reporting_orders: Frame, as_of: int, minor_units: int) -> Frame:
    """Every customer, with orders counted in all currencies and amounts summed in one."""
    orders = of_known_customers(reporting_orders)
    everyone = nw.concat([customers.select("customer_id"), orders.select("customer_id")]).unique()
    by_currency = _by_currency(counted_orders(orders))
    ranked = by_key(by_currency, ["customer_id"], _rank_currencies)
    main = ranked.filter(nw.col("rank") == 1).select(
        "customer_id", "currency", *_AMOUNTS, main_orders=nw.col("lifetime_orders")
    )
    paid = nw.col("lifetime_gross_sales_cents") - nw.col("lifetime_discounts_cents")
    return (
        everyone.join(_over_currencies(by_currency), on="customer_id", how="left")
        .join(main, on="customer_id", how="left")
        .with_columns(nw.col(*_COUNTS, "main_orders", *_AMOUNTS).fill_null(0))
        .with_columns(
            other_currency_orders=nw.col("lifetime_orders") - nw.col("main_orders"),
            average_order_value=ratio(paid, nw.col("main_orders") * minor_units),
            days_since_last_order=as_of - nw.col("last_ordered_on"),
        )
        .with_columns(stage=_stage())
        .drop("main_orders")
    )


def _by_currency(kept: Frame) -> Frame:
    """One row per customer and currency."""
    return kept.group_by(["customer_id", "currency"]).agg(
        nw.col("ordered_on").min().alias("first_ordered_on"),
        nw.col("ordered_on").max().alias("last_ordered_on"),
        nw.len().alias("lifetime_orders"),
        nw.col("units").sum().alias("lifetime_units"),
        nw.col("refunded_units").sum().alias("returned_units"),
        nw.col("gross_sales_cents").sum().alias("lifetime_gross_sales_cents"),
        nw.col("discount_cents").sum().alias("lifetime_discounts_cents"),
        nw.col("returns_cents").sum(),
        nw.col("net_sales_cents").sum().alias("lifetime_net_sales_cents"),
    )


def _over_currencies(by_currency: Frame) -> Frame:
    """One row per customer, with the counts over all currencies."""
    return by_currency.group_by("customer_id").agg(
        nw.col("first_ordered_on").min(), nw.col("last_ordered_on").max(), *(nw.col(name).sum() for name in _COUNTS)
    )


def _rank_currencies(by_currency: Frame) -> Frame:
    """Number each customer's currencies: most orders first, ties by name."""
    fewest_first = by_currency.with_columns(fewer=-nw.col("lifetime_orders"))
    return numbered(fewest_first, "rank", "customer_id", ["fewer", "currency"])


def _stage() -> nw.Expr:
    """The stage of a customer; null without orders."""
    days = nw.col("days_since_last_order")
    return (
        nw.when((days <= PARAMETERS.active_days) & (nw.col("lifetime_orders") == 1))
        .then(nw.lit("new"))
        .when(days <= PARAMETERS.active_days)
        .then(nw.lit("active"))
        .when(days <= PARAMETERS.lapsed_days)
        .then(nw.lit("at_risk"))
        .when(days > PARAMETERS.lapsed_days)
        .then(nw.lit("lapsed"))
    )
