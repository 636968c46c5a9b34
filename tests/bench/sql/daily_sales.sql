-- One row per business day and currency, from the currency's first order on, without gaps.
with days as (
    select
        day::date as day,
        first.currency
    from (select currency, min(ordered_on) as first_day from plain.orders group by currency) as first
    cross join lateral generate_series(first.first_day, %(as_of)s::date, interval '1 day') as day
),
placed as (
    select
        ordered_on as day,
        currency,
        count(*) filter (where status <> 'cancelled') as orders,
        count(*) filter (where status = 'cancelled') as cancelled_orders,
        count(distinct customer_id) filter (where status <> 'cancelled') as customers,
        count(*) filter (where is_first_order) as new_customers,
        count(*) filter (where customer_id is null and status <> 'cancelled') as guest_orders,
        sum(shipping) filter (where status <> 'cancelled') as shipping,
        sum(tax) filter (where status <> 'cancelled') as tax
    from plain.orders
    group by ordered_on, currency
),
sold as (
    select
        sold_on as day,
        currency,
        sum(quantity) as units,
        sum(gross_sales) as gross_sales,
        sum(discount_allocated) as discounts
    from plain.order_lines
    where not is_cancelled
    group by sold_on, currency
),
given_back as (
    select
        refunds.refunded_at::date as day,
        lines.currency,
        sum(refunds.quantity) as refunded_units,
        sum(refunds.amount) as returns
    from refunds
    join plain.order_lines as lines using (order_item_id)
    where not lines.is_cancelled
    group by 1, 2
),
summed as (
    select
        day,
        currency,
        coalesce(orders, 0) as orders,
        coalesce(cancelled_orders, 0) as cancelled_orders,
        coalesce(customers, 0) as customers,
        coalesce(new_customers, 0) as new_customers,
        coalesce(guest_orders, 0) as guest_orders,
        coalesce(units, 0) as units,
        coalesce(refunded_units, 0) as refunded_units,
        coalesce(gross_sales, 0) as gross_sales,
        coalesce(discounts, 0) as discounts,
        coalesce(returns, 0) as returns,
        coalesce(shipping, 0) as shipping,
        coalesce(tax, 0) as tax
    from days
    left join placed using (day, currency)
    left join sold using (day, currency)
    left join given_back using (day, currency)
)
select
    day,
    currency,
    orders,
    cancelled_orders,
    customers,
    new_customers,
    customers - new_customers as returning_customers,
    guest_orders,
    units,
    refunded_units,
    gross_sales,
    discounts,
    returns,
    gross_sales - discounts - returns as net_sales,
    shipping,
    tax,
    gross_sales - discounts - returns + shipping + tax as total_sales,
    case
        when orders > 0
            then ((gross_sales - discounts) * 100)::bigint::double precision / (orders * 100)::double precision
    end as average_order_value
from summed
