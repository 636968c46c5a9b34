-- One row per order item: its share of the discount by largest remainder, and what came back.
with refunded as (
    select
        order_item_id,
        sum(quantity) as refunded_quantity,
        sum(amount) as returns,
        sum(tax) as tax_refunds
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
        orders.channel,
        orders.ordered_at::date as ordered_on,
        coalesce(item.sold_at, orders.ordered_at)::date as sold_on,
        orders.cancelled_at is not null as is_cancelled,
        orders.cancelled_at::date as cancelled_on,
        item.quantity,
        item.unit_price,
        item.unit_cost,
        item.quantity * item.unit_price as gross_sales,
        coalesce(refunded.refunded_quantity, 0) as refunded_quantity,
        coalesce(refunded.returns, 0) as returns,
        coalesce(refunded.tax_refunds, 0) as tax_refunds,
        coalesce(item.discount, 0) as own_discount,
        item.discount_code,
        item.sku,
        (orders.discount * 100)::bigint
        - sum((coalesce(item.discount, 0) * 100)::bigint) over (partition by item.order_id) as rest,
        ((item.quantity * item.unit_price - coalesce(item.discount, 0)) * 100)::bigint as left_of_item,
        ((item.quantity * item.unit_price - item.discount) * 100)::bigint * (item.discount > 0)::integer
            as left_of_discounted
    from order_items as item
    join orders using (order_id)
    left join refunded using (order_item_id)
),
bearing as (
    select
        *,
        case
            when rest * 2 <= count(*) over (partition by order_id) + 1
                and rest <= sum(coalesce(left_of_discounted, 0)) over (partition by order_id)
                then coalesce(left_of_discounted, 0)
            else left_of_item
        end as left_of_line
    from priced
),
weighed as (
    select *, greatest(sum(left_of_line) over (partition by order_id), 1) as left_of_order
    from bearing
),
shared as (
    select
        *,
        div(rest * left_of_line, left_of_order) as share,
        row_number() over (
            partition by order_id order by mod(rest * left_of_line, left_of_order) desc, order_item_id
        ) as place,
        rest - sum(div(rest * left_of_line, left_of_order)) over (partition by order_id) as left_over
    from weighed
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
    channel,
    ordered_on,
    sold_on,
    null::date as removed_on,
    is_cancelled,
    cancelled_on,
    is_cancelled as is_void,
    quantity,
    unit_price,
    gross_sales,
    discount_allocated,
    own_discount,
    discount_code,
    null::numeric as tax,
    refunded_quantity,
    returns,
    0 as cancelled_quantity,
    0 as cancelled_returns,
    tax_refunds,
    net_sales,
    unit_cost,
    cost,
    returned_cost,
    case when is_cancelled then 0 else net_sales - cost + returned_cost end as gross_margin,
    sku,
    null::text as product_name
from netted
