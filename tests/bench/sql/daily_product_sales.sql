-- One row per business day, product, warehouse and currency in which something was sold or given back.
with flows as (
    select
        sold_on as day,
        product_id,
        warehouse_id,
        currency,
        quantity as units,
        0 as refunded_units,
        gross_sales,
        discount_allocated as discounts,
        0 as returns,
        cost,
        0 as returned_cost
    from plain.order_lines
    where not is_cancelled
    union all
    select
        refunds.refunded_at::date,
        lines.product_id,
        lines.warehouse_id,
        lines.currency,
        0,
        refunds.quantity,
        0,
        0,
        refunds.amount,
        0,
        refunds.quantity * lines.unit_cost
    from refunds
    join plain.order_lines as lines using (order_item_id)
    where not lines.is_cancelled and lines.removed_on is null
    union all
    -- What was taken out of its order comes back whole that day.
    select
        removed_on,
        product_id,
        warehouse_id,
        currency,
        0,
        quantity,
        0,
        0,
        gross_sales - discount_allocated,
        0,
        cost
    from plain.order_lines
    where not is_cancelled and removed_on is not null
),
summed as (
    select
        day,
        product_id,
        warehouse_id,
        currency,
        sum(units) as units,
        sum(refunded_units) as refunded_units,
        sum(gross_sales) as gross_sales,
        sum(discounts) as discounts,
        sum(returns) as returns,
        case when count(*) = count(cost) then sum(cost) end as cost,
        case when count(*) = count(returned_cost) then sum(returned_cost) end as returned_cost
    from flows
    group by day, product_id, warehouse_id, currency
)
select
    *,
    gross_sales - discounts - returns as net_sales,
    gross_sales - discounts - returns - cost + returned_cost as gross_margin,
    case
        when units > 0
            then ((gross_sales - discounts) * 1000)::bigint::double precision / (units * 1000)::double precision
    end as average_price
from summed
