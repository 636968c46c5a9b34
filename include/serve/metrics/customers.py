"""How customers come back, and who they are."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Type
from include.serve.metrics.definition import IN_CURRENCY, Metric, Parameter

CUSTOMERS: Final = (
    Metric(
        name="cohorts",
        meaning="Of the customers whose first order was in a month, the share that ordered again in each month since: "
        "the rows of a heat map. The months of `from` and `to` count as a whole.",
        unit="share of the cohort's customers",
        grain="One row per cohort month, currency of the first orders and month since; in this order.",
        tables=("reporting.customer_cohorts",),
        columns=(
            "customer_cohorts.cohort_month",
            "customer_cohorts.currency",
            "customer_cohorts.months_since",
            "customer_cohorts.is_past",
            "customer_cohorts.customers",
            "customer_cohorts.active_customers",
            "customer_cohorts.retention_rate",
            "customer_cohorts.net_sales",
            "customer_cohorts.cumulative_net_sales_per_customer",
        ),
        sql="""
select
    cohort_month,
    currency,
    months_since,
    is_past,
    customers,
    active_customers,
    retention_rate,
    net_sales,
    cumulative_net_sales_per_customer
from reporting.customer_cohorts
where cohort_month between date_trunc('month', {first}::timestamp)::date and {last}{of_currency}
order by cohort_month, currency, months_since
""",
        takes=IN_CURRENCY,
        days=365,
    ),
    Metric(
        name="rfm_segments",
        meaning="Customers with an order by segment, as of the last published night that is no later than `to`. A "
        "segment of nobody has no row.",
        unit="customers",
        grain="One row per segment and currency; by currency, the segment with the most customers first.",
        tables=("reporting.customer_rfm",),
        columns=(
            "customer_rfm.night",
            "customer_rfm.currency",
            "customer_rfm.segment",
            Column("customers", Type.INTEGER, "Customers in the segment whose orders are mostly in the currency."),
            Column("monetary", Type.CENTS, "Σ net sales of their orders in the currency, up to the night."),
            Column("mean_recency_days", Type.RATIO, "Mean days since their last order."),
        ),
        sql="""
select
    night,
    currency,
    segment,
    count(*) as customers,
    sum(monetary) as monetary,
    avg(recency_days) as mean_recency_days
from reporting.customer_rfm
where night = (select max(night) from reporting.customer_rfm where night <= {last}){of_currency}
group by night, currency, segment
order by currency, customers desc, segment
""",
        takes=frozenset({Parameter.TO, Parameter.CURRENCY}),
    ),
)
