-- One row per order item: its share of the discount by largest remainder, what came back and what left. The lines that
-- are in the order share its discount, in the smallest unit of its currency.
with refunded as (
    select
        order_item_id,
        sum(quantity) as refunded_quantity,
        sum(amount) as returns,
        sum(tax) as tax_refunds
    from refunds
    group by order_item_id
),
shipped as (
    select order_item_id, sum(quantity) as shipped_units
    from shipment_items
    where cancelled_at is null
    group by order_item_id
),
untaxed as (
    -- Some prices have tax in them, the shop's only rate: a tenth.
    select
        order_items.*,
        round(unit_price / case when price_includes_tax then 1.10 else 1 end, 3) as price,
        coalesce(round(discount / case when price_includes_tax then 1.10 else 1 end, 3), 0) as own_discount
    from order_items
),
units as (
    select
        order_id,
        case currency when 'JPY' then 1 when 'KWD' then 0.001 else 0.01 end as unit
    from orders
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
        item.removed_at::date as removed_on,
        item.quantity,
        item.price as unit_price,
        item.unit_cost,
        item.quantity * item.price as gross_sales,
        coalesce(refunded.refunded_quantity, 0) as refunded_quantity,
        coalesce(refunded.returns, 0) as returns,
        coalesce(refunded.tax_refunds, 0) as tax_refunds,
        coalesce(shipped.shipped_units, 0) as shipped_units,
        item.own_discount,
        item.discount_code,
        item.sku,
        units.unit,
        (item.removed_at is null)::integer as in_order,
        (
            (
                orders.discount
                - coalesce(sum(item.own_discount) filter (where item.removed_at is null) over placed, 0)
            ) / units.unit
        )::bigint as rest,
        ((item.quantity * item.price - item.own_discount) / units.unit)::bigint
        * (item.removed_at is null)::integer as left_of_item,
        ((item.quantity * item.price - item.own_discount) / units.unit)::bigint
        * (item.removed_at is null and item.own_discount > 0)::integer as left_of_discounted
    from untaxed as item
    join orders using (order_id)
    join units using (order_id)
    left join refunded using (order_item_id)
    left join shipped using (order_item_id)
    window placed as (partition by item.order_id)
),
bearing as (
    select
        *,
        case
            when rest * 2 <= sum(in_order) over (partition by order_id) + 1
                and rest <= sum(left_of_discounted) over (partition by order_id)
                then left_of_discounted
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
        own_discount + (share + (place <= left_over)::integer) * unit as discount_allocated,
        quantity * unit_cost as cost,
        refunded_quantity * unit_cost as returned_cost
    from shared
),
netted as (
    select
        *,
        is_cancelled or removed_on is not null as is_no_sale,
        case
            when is_cancelled or removed_on is not null then 0 else gross_sales - discount_allocated - returns
        end as net_sales
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
    removed_on,
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
    case when is_no_sale then 0 else net_sales - cost + returned_cost end as gross_margin,
    sku,
    null::text as product_name,
    shipped_units
from netted
