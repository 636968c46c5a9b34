"""``reporting.customer_cohorts``: customers by the month of their first order, and their sales in the months after.

Cohorts as in Shopify's customer cohort analysis
(https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/default-reports/customers-reports):
customers by the month of their first order, which is month 0. Here a cohort also has one currency, that of the first
order, and keeps it: amounts of different currencies are never added.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import at_most, between
from transforms.arithmetic import ONE, ZERO, flag, ratio
from transforms.engines import Frame, by_key
from transforms.known_customers import of_known_customers
from transforms.parameters import PARAMETERS
from transforms.sales_lines import counted_orders, refunded_lines

_COHORT = ["cohort_month", "currency"]
_KEY = [*_COHORT, "month_number"]

TABLE = Table(
    schema="reporting",
    name="customer_cohorts",
    grain="One row per month of the first order, its currency, and month since, through the data-through month.",
    doc="Void orders and guests' do not count. Refunds count in the month they were given. A cohort is followed "
    f"for {PARAMETERS.cohort_months} months after its first.",
    columns=(
        Column("cohort_month", Type.MONTH, "Month of the customers' first order."),
        Column("currency", Type.TEXT, "ISO 4217 code of the first orders, and of every amount of the row."),
        Column("months_since", Type.INTEGER, "Calendar months after cohort_month; 0 is cohort_month itself."),
        Column("month", Type.MONTH, "cohort_month + months_since."),
        Column("is_past", Type.BOOLEAN, "Whether month is complete: before the data-through month."),
        Column("customers", Type.INTEGER, "Customers in the cohort."),
        Column("active_customers", Type.INTEGER, "Customers with an order in month, in any currency."),
        Column("retention_rate", Type.RATIO, "active_customers / customers."),
        Column("orders", Type.INTEGER, "Orders of the cohort in month, in any currency."),
        Column("other_currency_orders", Type.INTEGER, "Orders in other currencies; their amounts are not in the row."),
        Column("net_sales", Type.CENTS, "Sales minus discounts of the orders, minus refunds given in month."),
        Column("cumulative_net_sales", Type.CENTS, "net_sales from month 0 to this one."),
        Column(
            "cumulative_net_sales_per_customer",
            Type.RATIO,
            "cumulative_net_sales / customers, in major units: the value of a customer so far.",
        ),
    ),
    primary_key=("cohort_month", "currency", "months_since"),
    rebuild=Rebuild.full(),
    rules=(
        between("customers", "customers_positive", "A cohort has a customer.", least=1, severity=Severity.STOP),
        between(
            "months_since", "months_not_negative", "No month is before the cohort's.", least=0, severity=Severity.STOP
        ),
        at_most(
            "active_customers",
            "customers",
            "active_within_cohort",
            "Only customers of the cohort are active in it.",
            severity=Severity.STOP,
        ),
        at_most(
            "active_customers",
            "orders",
            "active_within_orders",
            "An active customer has an order.",
            severity=Severity.STOP,
        ),
        at_most(
            "other_currency_orders", "orders", "other_within_orders", "They are some of orders.", severity=Severity.STOP
        ),
    ),
)

_SUMS = ["orders", "other_currency_orders", "net_sales_cents"]


def build(
    reporting_orders: Frame, order_lines: Frame, refunds: Frame, calendar: Frame, as_of: int, minor_units: int
) -> Frame:
    """Every month of every cohort, with orders and refunds summed by their month."""
    months = calendar.select("day", "month_number")
    kept = counted_orders(of_known_customers(reporting_orders))
    cohorts = _cohorts(kept, months)
    orders = (
        kept.with_columns(day=nw.col("ordered_on"), paid_in=nw.col("currency"))
        .drop("currency")
        .join(cohorts, on="customer_id", how="inner")
        .join(months, on="day", how="inner")
    )
    refunded = (
        refunded_lines(refunds, of_known_customers(order_lines))
        .with_columns(paid_in=nw.col("currency"))
        .drop("currency")
        .join(cohorts, on="customer_id", how="inner")
        .join(months, on="day", how="inner")
    )
    rows = (
        _months(cohorts, months, as_of)
        .join(_sums(orders, refunded), on=_KEY, how="left")
        .join(_active(orders), on=_KEY, how="left")
        .with_columns(nw.col(*_SUMS, "active_customers").fill_null(0))
    )
    return (
        by_key(rows, _COHORT, _add_up)
        .with_columns(
            month=nw.col("month_number"),
            retention_rate=ratio(nw.col("active_customers"), nw.col("customers")),
            cumulative_net_sales_per_customer=ratio(
                nw.col("cumulative_net_sales_cents"), nw.col("customers") * minor_units
            ),
        )
        .select(column.lake_name for column in TABLE.columns)
    )


def _cohorts(kept: Frame, months: Frame) -> Frame:
    """Each customer's cohort: the month and the currency of the first order."""
    first = kept.filter(nw.col("is_first_order")).select("customer_id", "currency", day=nw.col("ordered_on"))
    return first.join(months, on="day", how="inner").select(
        "customer_id", "currency", cohort_month=nw.col("month_number")
    )


def _months(cohorts: Frame, months: Frame, as_of: int) -> Frame:
    """Each cohort's size, for every month from its first on."""
    sizes = cohorts.group_by(_COHORT).agg(nw.len().alias("customers"))
    ends = months.group_by("month_number").agg(nw.col("day").max().alias("last_day"))
    return (
        ends.join(sizes, how="cross")
        .with_columns(months_since=nw.col("month_number") - nw.col("cohort_month"), is_past=nw.col("last_day") < as_of)
        .filter((nw.col("months_since") >= 0) & (nw.col("months_since") <= PARAMETERS.cohort_months))
        .drop("last_day")
    )


def _sums(orders: Frame, refunded: Frame) -> Frame:
    """Stack orders and refunds and sum them; a join would fan out money."""
    in_currency = flag(nw.col("paid_in") == nw.col("currency"))
    sold = orders.select(
        *_KEY,
        orders=ONE,
        other_currency_orders=ONE - in_currency,
        net_sales_cents=in_currency * (nw.col("gross_sales_cents") - nw.col("discount_cents")),
    )
    given_back = refunded.select(
        *_KEY, orders=ZERO, other_currency_orders=ZERO, net_sales_cents=-in_currency * nw.col("returns_cents")
    )
    return nw.concat([sold, given_back]).group_by(_KEY).agg(nw.col(name).sum() for name in _SUMS)


def _active(orders: Frame) -> Frame:
    """Distinct customers with an order, counted as rows of one per customer."""
    one_each = orders.group_by([*_KEY, "customer_id"]).agg(nw.len().alias("orders_of_customer"))
    return one_each.group_by(_KEY).agg(nw.len().alias("active_customers"))


def _add_up(rows: Frame) -> Frame:
    """Net sales of a cohort up to and including each month."""
    cumulative = nw.col("net_sales_cents").cum_sum().over(_COHORT, order_by="months_since")
    return rows.with_columns(cumulative_net_sales_cents=cumulative)
