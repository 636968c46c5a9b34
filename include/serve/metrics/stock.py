"""What lies on the shelves, what is missing there, and what to order."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Type
from include.serve.metrics.definition import IN_CURRENCY, RANGE, Metric, Parameter
from transforms.parameters import PARAMETERS

_AS_OF: Final = "as of the last published night that is no later than `to`"

STOCK: Final = (
    Metric(
        name="stockouts",
        meaning="Shelves (a product in a warehouse) that ended a day with nothing available, and what that cost. The "
        "cost is reporting.stockouts' lost_sales (lost_units at the price paid in the 28 days before) and lost_units "
        "(units_before / in_stock_days_before × days), each day of an episode with an equal share, to the nearest "
        "of the shop's smallest units. A day without one is 0.",
        unit="shelves",
        grain="One row per business day, from the first with a stock, and currency of products that had been out of "
        "stock by `to`; by day and currency. Products that were never sold have no currency.",
        tables=("reporting.stockouts", "reporting.inventory_daily"),
        columns=(
            "inventory_daily.day",
            "stockouts.currency",
            Column("shelves", Type.INTEGER, "Shelves with nothing available at the end of the day."),
            Column("started", Type.INTEGER, "Those of them that had something the day before, or no stock yet."),
            Column("lost_units", Type.RATIO, "Units lost that day; null when that of all shelves is unknown.", True),
            Column("lost_sales", Type.CENTS, "Sales lost that day; null when that of all shelves is unknown.", True),
            Column("unknown", Type.INTEGER, "Shelves of which lost_sales is unknown, and not in the sum."),
        ),
        sql="""
with empty as (
    select
        day::date as day,
        stockouts.currency,
        started_on,
        lost_units / days as lost_units,
        lost_sales / days as lost_sales,
        scale(lost_sales) as decimals
    from reporting.stockouts
    cross join generate_series(
        greatest(started_on, {first})::timestamp, least(coalesce(ended_on, {last}), {last}), interval '1 day'
    ) as day
    where started_on <= {last} and coalesce(ended_on, {last}) >= {first}
),

summed as (
    select
        day,
        currency,
        count(*) as shelves,
        count(*) filter (where started_on = day) as started,
        sum(lost_units) as lost_units,
        round(sum(lost_sales), max(decimals)) as lost_sales,
        count(*) - count(lost_sales) as unknown
    from empty
    group by day, currency
),

calendar as (
    select day::date as day, currency
    from generate_series(
        greatest({first}, (select min(day) from reporting.inventory_daily))::timestamp, {last}, interval '1 day'
    ) as day
    cross join (
        select distinct currency
        from reporting.stockouts
        where started_on <= {last}{of_currency}
    ) as currencies
)

select
    calendar.day,
    calendar.currency,
    coalesce(shelves, 0) as shelves,
    coalesce(started, 0) as started,
    case when shelves is null then 0 else lost_units end as lost_units,
    case when shelves is null then 0 else lost_sales end as lost_sales,
    coalesce(unknown, 0) as unknown
from calendar
left join summed on summed.day = calendar.day and summed.currency is not distinct from calendar.currency
order by calendar.day, calendar.currency
""",
        takes=IN_CURRENCY,
    ),
    Metric(
        name="stock_health",
        meaning="Shelves (a product in a warehouse) by status, each published night. A status of no shelf has no row.",
        unit="shelves",
        grain="One row per night and status; by night and status.",
        tables=("reporting.inventory_health",),
        columns=(
            "inventory_health.night",
            "inventory_health.status",
            Column("shelves", Type.INTEGER, "Shelves with the status."),
            Column("available", Type.UNITS, "Σ available units of them; below 0, units that are owed."),
            Column("on_order_units", Type.UNITS, "Σ units on order for them."),
        ),
        sql="""
select
    night,
    status,
    count(*) as shelves,
    sum(available) as available,
    sum(on_order_units) as on_order_units
from reporting.inventory_health
where night between {first} and {last}
group by night, status
order by night, status
""",
        takes=RANGE,
    ),
    Metric(
        name="days_of_supply",
        meaning=f"For how long the shelves last at the velocity of 28 days, in bands, {_AS_OF}. A band without a "
        "shelf is 0.",
        unit="shelves",
        grain="One row per band; the emptiest first, those of which nothing was sold last.",
        tables=("reporting.inventory_health",),
        columns=(
            Column("from_days", Type.INTEGER, "The band's least days of supply; null: nothing was sold.", True),
            Column("below_days", Type.INTEGER, "Its days are fewer than these; null: it has no end.", True),
            Column("shelves", Type.INTEGER, "Shelves in it."),
            Column("available", Type.UNITS, "Σ available units of them; below 0, units that are owed."),
        ),
        sql="""
with bands (place, from_days, below_days) as (
    values (1, 0, 1), (2, 1, 7), (3, 7, 14), (4, 14, 28), (5, 28, 60), (6, 60, 120), (7, 120, null), (8, null, null)
),

shelves as (
    select
        available,
        case
            when days_of_supply is null then 8
            else width_bucket(days_of_supply, array[0, 1, 7, 14, 28, 60, 120]::double precision[])
        end as place
    from reporting.inventory_health
    where night = (select max(night) from reporting.inventory_health where night <= {last})
)

select from_days, below_days, count(shelves.place) as shelves, coalesce(sum(available), 0) as available
from bands
left join shelves using (place)
group by place, from_days, below_days
order by place
""",
        takes=frozenset({Parameter.TO}),
    ),
    Metric(
        name="suggested_orders",
        meaning=f"What to order, and why: the suggested orders, {_AS_OF}. An order fills a shelf up to what sells in "
        f"{PARAMETERS.lead_time_days + PARAMETERS.cover_days} days, and its safety stock. Those that are due come "
        "first; the others can wait, and can go along with them. Products that can be ordered no longer are left out.",
        unit="units",
        grain="One row per product and warehouse; those that are due first, then the greatest suggested_order.",
        tables=("reporting.inventory_health", "reporting.products"),
        columns=(
            "inventory_health.night",
            "inventory_health.product_id",
            "products.sku",
            "products.name",
            "inventory_health.warehouse_id",
            "inventory_health.suggested_order",
            Column(
                "is_due",
                Type.BOOLEAN,
                "Whether available + on_order_units ≤ reorder_point: what is ordered later comes late.",
            ),
            "inventory_health.status",
            "inventory_health.available",
            "inventory_health.on_order_units",
            "inventory_health.next_expected_on",
            "inventory_health.velocity",
            "inventory_health.days_of_supply",
            "inventory_health.reorder_point",
            "inventory_health.safety_stock",
        ),
        sql="""
select
    night,
    product_id,
    sku,
    name,
    warehouse_id,
    suggested_order,
    available + on_order_units <= reorder_point as is_due,
    status,
    available,
    on_order_units,
    next_expected_on,
    velocity,
    days_of_supply,
    reorder_point,
    safety_stock
from reporting.inventory_health
left join reporting.products using (product_id)
where night = (select max(night) from reporting.inventory_health where night <= {last})
    and suggested_order > 0
    and is_active is not false
order by is_due desc, suggested_order desc, product_id, warehouse_id
limit {limit}
""",
        takes=frozenset({Parameter.TO, Parameter.LIMIT}),
    ),
)
