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
        coalesce(item.discount, 0) as own_discount,
        item.discount_code,
        (orders.discount * 100)::bigint
        - sum((coalesce(item.discount, 0) * 100)::bigint) over (partition by item.order_id) as rest,
        ((item.quantity * item.unit_price - coalesce(item.discount, 0)) * 100)::bigint as left_of_line,
        greatest(
            sum(((item.quantity * item.unit_price - coalesce(item.discount, 0)) * 100)::bigint) over (
                partition by item.order_id
            ),
            1
        ) as left_of_order
    from order_items as item
    join orders using (order_id)
    left join refunded using (order_item_id)
),
shared as (
    select
        *,
        div(rest * left_of_line, left_of_order) as share,
        row_number() over (
            partition by order_id order by mod(rest * left_of_line, left_of_order) desc, order_item_id
        ) as place,
        rest - sum(div(rest * left_of_line, left_of_order)) over (partition by order_id) as left_over
    from priced
),
allocated as (
    select
        *,
        own_discount + (share + (place <= left_over)::integer) * 0.01 as discount_allocated,
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
    own_discount,
    discount_code,
    null::numeric as tax,
    refunded_quantity,
    returns,
    net_sales,
    unit_cost,
    cost,
    returned_cost,
    case when is_cancelled then 0 else net_sales - cost + returned_cost end as gross_margin
from netted
