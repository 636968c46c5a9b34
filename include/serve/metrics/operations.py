"""How fast orders leave, and how far the tables go."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Type
from include.serve.metrics.definition import RANGE, STATUS, Metric

OPERATIONS: Final = (
    Metric(
        name="fulfilment",
        meaning="Hours from order to shipment within which half and nine in ten of the orders that a warehouse "
        "shipped that day left it, and how many were in time. Percentiles of warehouses cannot be added up.",
        unit="hours",
        grain="One row per business day and warehouse, from its first order; by day and warehouse.",
        tables=("reporting.fulfilment_daily",),
        columns=(
            "fulfilment_daily.day",
            "fulfilment_daily.warehouse_id",
            "fulfilment_daily.hours_to_ship_p50",
            "fulfilment_daily.hours_to_ship_p90",
            "fulfilment_daily.on_time_rate",
            "fulfilment_daily.unit_fill_rate",
            "fulfilment_daily.orders_placed",
            "fulfilment_daily.orders_shipped",
            "fulfilment_daily.open_orders",
        ),
        sql="""
select
    day,
    warehouse_id,
    hours_to_ship_p50,
    hours_to_ship_p90,
    on_time_rate,
    unit_fill_rate,
    orders_placed,
    orders_shipped,
    open_orders
from reporting.fulfilment_daily
where day between {first} and {last}
order by day, warehouse_id
""",
        takes=RANGE,
    ),
    Metric(
        name="freshness",
        meaning="How far the published reporting tables go, and how long ago they were published. It is never kept: "
        "it ages.",
        unit="hours",
        grain="One row.",
        tables=(STATUS,),
        columns=(
            Column("last_day", Type.DAY, "The last whole business day that all of them cover."),
            Column("published_at", Type.AT, "When the latest of them was published."),
            Column("age_hours", Type.RATIO, "Hours since published_at."),
            Column("tables", Type.INTEGER, "Reporting tables that are published."),
            Column("incomplete", Type.INTEGER, "Those made from a copy with fewer rows than the shop has."),
            Column("attention", Type.INTEGER, "Those of which something is to be known first; /status says what."),
        ),
        sql="""
select
    min(last_day) as last_day,
    max(published_at) as published_at,
    extract(epoch from now() - max(published_at)) / 3600 as age_hours,
    count(*) as tables,
    count(*) filter (where not complete) as incomplete,
    count(*) filter (where verdict <> 'ok') as attention
from reporting.data_status
where starts_with(published_table, 'reporting.') and publication_id is not null and not starts_with(verdict, 'absent')
having count(*) > 0
""",
        takes=frozenset(),
        ages=True,
    ),
)
