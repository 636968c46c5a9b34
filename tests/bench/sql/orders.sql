-- One row per order: the sums of its lines, and its number among its customer's orders.
with sums as (
    select
        order_id,
        count(*) as item_count,
        count(*) = count(cost) as is_cost_known,
        sum(quantity) as units,
        sum(refunded_quantity) as refunded_units,
        sum(gross_sales) as gross_sales,
        sum(discount_allocated) as discount,
        sum(returns) as returns,
        sum(tax_refunds) as tax_refunds,
        sum(net_sales) as net_sales,
        sum(cost) as cost,
        sum(returned_cost) as returned_cost,
        sum(gross_margin) as gross_margin
    from plain.order_lines
    where removed_on is null
    group by order_id
),
given_back as (
    select
        order_id,
        sum(amount) as other_refunds,
        sum(shipping) as shipping_refunds,
        sum(tax) as tax_refunds
    from order_refunds
    where order_id is not null
    group by order_id
),
numbered as (
    select
        *,
        count(*) filter (where cancelled_at is null) over (
            partition by customer_id order by ordered_at, order_id
        ) as number
    from orders
)
select
    orders.order_id,
    orders.customer_id,
    orders.currency,
    orders.status,
    orders.channel,
    orders.ordered_at::date as ordered_on,
    orders.shipped_at::date as shipped_on,
    orders.delivered_at::date as delivered_on,
    orders.cancelled_at::date as cancelled_on,
    orders.cancelled_at::date as voided_on,
    orders.ordered_at,
    orders.shipped_at,
    orders.delivered_at,
    orders.cancelled_at,
    coalesce(sums.item_count, 0) as item_count,
    coalesce(sums.units, 0) as units,
    coalesce(sums.refunded_units, 0) as refunded_units,
    coalesce(sums.gross_sales, 0) as gross_sales,
    coalesce(sums.discount, 0) as discount,
    orders.discount_code,
    orders.shipping - orders.shipping_discount as shipping,
    orders.tax,
    orders.shipping_tax,
    coalesce(sums.returns, 0) as returns,
    coalesce(given_back.other_refunds, 0) as other_refunds,
    coalesce(given_back.shipping_refunds, 0) as shipping_refunds,
    0 as cancelled_shipping,
    0 as cancelled_tax,
    0 as cancelled_refunds,
    coalesce(sums.tax_refunds, 0) + coalesce(given_back.tax_refunds, 0) as tax_refunds,
    coalesce(sums.net_sales, 0) as net_sales,
    orders.total,
    orders.total - (
        coalesce(sums.gross_sales, 0) - coalesce(sums.discount, 0) + orders.shipping - orders.shipping_discount + orders.tax
    ) as rounding,
    case when coalesce(sums.is_cost_known, true) then coalesce(sums.cost, 0) end as cost,
    case when coalesce(sums.is_cost_known, true) then coalesce(sums.returned_cost, 0) end as returned_cost,
    case
        when orders.cancelled_at is not null or coalesce(sums.is_cost_known, true) then coalesce(sums.gross_margin, 0)
    end as gross_margin,
    case
        when orders.cancelled_at is null and orders.customer_id is not null then orders.number
    end as customer_order_number,
    orders.cancelled_at is null and orders.customer_id is not null and orders.number = 1 as is_first_order,
    floor(extract(epoch from orders.shipped_at) - extract(epoch from orders.ordered_at))::double precision
    / 3600 as hours_to_ship,
    floor(extract(epoch from orders.delivered_at) - extract(epoch from orders.shipped_at))::double precision
    / 3600 as hours_to_deliver
from numbered as orders
left join sums using (order_id)
left join given_back using (order_id)
