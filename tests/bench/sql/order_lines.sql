-- One row per order item: its share of the discount by largest remainder, and what came back.
with refunded as (
    select
        order_item_id,
        sum(quantity) as refunded_quantity,
        sum(amount) as returns
    from refunds
    group by order_item_id
),
priced as (
    select
        item.order_item_id,
        item.order_id,
        orders.customer_id,
        item.product_id,
        item.warehouse_id,
        orders.currency,
        orders.ordered_at::date as ordered_on,
        orders.cancelled_at is not null as is_cancelled,
        item.quantity,
        item.unit_price,
        item.unit_cost,
        item.quantity * item.unit_price as gross_sales,
        coalesce(refunded.refunded_quantity, 0) as refunded_quantity,
        coalesce(refunded.returns, 0) as returns,
        (orders.discount * 100)::bigint as discount_cents,
        (orders.discount * 100)::bigint * (item.quantity * item.unit_price * 100)::bigint as portion,
        greatest((orders.subtotal * 100)::bigint, 1) as subtotal_cents
    from order_items as item
    join orders using (order_id)
    left join refunded using (order_item_id)
),
shared as (
    select
        *,
        portion / subtotal_cents as share,
        row_number() over (
            partition by order_id order by mod(portion, subtotal_cents) desc, order_item_id
        ) as place,
        discount_cents - sum(portion / subtotal_cents) over (partition by order_id) as left_over
    from priced
),
allocated as (
    select
        *,
        (share + (place <= left_over)::integer) * 0.01 as discount_allocated,
        quantity * unit_cost as cost,
        refunded_quantity * unit_cost as returned_cost
    from shared
),
netted as (
    select
        *,
        case when is_cancelled then 0 else gross_sales - discount_allocated - returns end as net_sales
    from allocated
)
select
    order_item_id,
    order_id,
    customer_id,
    product_id,
    warehouse_id,
    currency,
    ordered_on,
    is_cancelled,
    quantity,
    unit_price,
    gross_sales,
    discount_allocated,
    refunded_quantity,
    returns,
    net_sales,
    unit_cost,
    cost,
    returned_cost,
    case when is_cancelled then 0 else net_sales - cost + returned_cost end as gross_margin
from netted
