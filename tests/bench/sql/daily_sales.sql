-- One row per business day and currency, from the currency's first order or refund of no line on, without gaps.
with days as (
    select
        day::date as day,
        first.currency
    from (
        select
            currency,
            min(day) as first_day
        from (
            select currency, ordered_on as day from plain.orders
            union all
            select currency, refunded_at::date from order_refunds
        ) as dated
        group by currency
    ) as first
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
        sum(gross_sales - discount) filter (where status <> 'cancelled') as order_value,
        sum(shipping) filter (where status <> 'cancelled') as shipping,
        sum(tax) filter (where status <> 'cancelled') as tax,
        sum(rounding) filter (where status <> 'cancelled') as rounding
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
returned as (
    select
        refunds.refunded_at::date as day,
        lines.currency,
        refunds.quantity as refunded_units,
        refunds.amount as returns,
        refunds.tax as tax_refunds
    from refunds
    join plain.order_lines as lines using (order_item_id)
    where not lines.is_cancelled and lines.removed_on is null
    union all
    -- What was taken out of its order comes back whole that day.
    select
        removed_on,
        currency,
        quantity,
        gross_sales - discount_allocated,
        0
    from plain.order_lines
    where not is_cancelled and removed_on is not null
),
given_back as (
    select
        day,
        currency,
        sum(refunded_units) as refunded_units,
        sum(returns) as returns,
        sum(tax_refunds) as tax_refunds
    from returned
    group by day, currency
),
came_back as (
    select
        refunds.returned_at::date as day,
        lines.currency,
        sum(refunds.quantity) as returned_units
    from refunds
    join plain.order_lines as lines using (order_item_id)
    where not lines.is_cancelled
        and lines.removed_on is null
        and refunds.returned_at is not null
    group by 1, 2
),
of_no_line as (
    select
        refund.refunded_at::date as day,
        refund.currency,
        sum(refund.amount) as other_refunds,
        sum(refund.shipping) as shipping_refunds,
        sum(refund.tax) as tax_refunds
    from order_refunds as refund
    left join orders using (order_id)
    where orders.cancelled_at is null
    group by 1, 2
),
summed as (
    select
        day,
        currency,
        coalesce(orders, 0) as orders,
        order_value,
        coalesce(cancelled_orders, 0) as cancelled_orders,
        coalesce(customers, 0) as customers,
        coalesce(new_customers, 0) as new_customers,
        coalesce(guest_orders, 0) as guest_orders,
        coalesce(units, 0) as units,
        coalesce(refunded_units, 0) as refunded_units,
        coalesce(gross_sales, 0) as gross_sales,
        coalesce(discounts, 0) as discounts,
        coalesce(returned_units, 0) as returned_units,
        coalesce(returns, 0) as returns,
        coalesce(shipping, 0) as shipping,
        coalesce(shipping_refunds, 0) as shipping_refunds,
        coalesce(tax, 0) as tax,
        coalesce(given_back.tax_refunds, 0) + coalesce(of_no_line.tax_refunds, 0) as tax_refunds,
        coalesce(other_refunds, 0) as other_refunds,
        coalesce(rounding, 0) as rounding
    from days
    left join placed using (day, currency)
    left join sold using (day, currency)
    left join given_back using (day, currency)
    left join came_back using (day, currency)
    left join of_no_line using (day, currency)
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
    returned_units,
    gross_sales,
    discounts,
    returns,
    gross_sales - discounts - returns as net_sales,
    shipping,
    shipping_refunds,
    tax,
    tax_refunds,
    other_refunds,
    gross_sales - discounts - returns - other_refunds
    + shipping - shipping_refunds + tax - tax_refunds as total_sales,
    case
        when orders > 0
            then (order_value * 1000)::bigint::double precision / (orders * 1000)::double precision
    end as average_order_value,
    rounding
from summed
