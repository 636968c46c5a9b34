-- One order per row of "order" that is not a draft. README.md beside this file says what no column takes yet.
--
-- Version: Medusa writes lines, shipping and adjustments again for every version of an order (an edit, a parcel, a
-- return). Amounts are those of the current version, so an edit changes what the order sold for.
--
-- Money: Medusa never rounds an amount. Here it is rounded, half up, to as many digits as its currency has; shop.toml says that it is, so that parts may differ from their sum.
-- Medusa's own total is what is left after returns and credits (a gift card, goodwill). Here total is what the order
-- sold for: all units of the current version, but for gift cards.
--
-- Status: Medusa's own says pending until an order is cancelled, archived or completed, so it is read from what was
-- captured, packed, shipped and delivered. An order is shipped when the last unit of a version left, and stays so when
-- an exchange adds a line later.
--
-- Time: there is no time of placing. A draft that became an order keeps the time at which the draft was made.
with placed as (
    select
        id,
        version,
        customer_id,
        currency_code,
        shipping_address_id,
        sales_channel_id,
        created_at,
        updated_at,
        canceled_at
    from "order"
    where not is_draft_order and deleted_at is null
),
line_rates as (
    select item_id, sum(rate) / 100 as rate
    from order_line_item_tax_line
    where deleted_at is null
    group by item_id
),
priced_lines as (
    select
        placed.id as order_id,
        placed.version,
        line.id as line_id,
        coalesce(line_rates.rate, 0) as rate,
        item.quantity * coalesce(item.unit_price, line.unit_price)
            / case when line.is_tax_inclusive then 1 + coalesce(line_rates.rate, 0) else 1 end as subtotal
    from placed
    join order_item as item on item.order_id = placed.id and item.version = placed.version
    join order_line_item as line on line.id = item.item_id
    left join line_rates on line_rates.item_id = line.id
    where item.quantity > 0 and item.deleted_at is null and line.deleted_at is null and not line.is_giftcard
),
card_orders as (
    -- A gift card that is sold is no sale; an order of nothing else is no order.
    select placed.id as order_id
    from placed
    join order_item as item on item.order_id = placed.id and item.version = placed.version
    join order_line_item as line on line.id = item.item_id
    where item.quantity > 0 and item.deleted_at is null and line.deleted_at is null
    group by placed.id
    having bool_and(line.is_giftcard)
),
line_discounts as (
    -- A discount on the whole order is on its lines too: Medusa spreads it.
    select
        line_id,
        sum(adjustment.amount / case when adjustment.is_tax_inclusive then 1 + rate else 1 end) as discount
    from priced_lines
    join order_line_item_adjustment as adjustment
        on adjustment.item_id = line_id and adjustment.version = priced_lines.version
    where adjustment.deleted_at is null
    group by line_id
),
order_codes as (
    -- All that is off goods is off lines, each with its own code; this names what is left when amounts are rounded.
    select
        order_id,
        string_agg(distinct adjustment.code, ' + ' order by adjustment.code) as discount_code
    from priced_lines
    join order_line_item_adjustment as adjustment
        on adjustment.item_id = line_id and adjustment.version = priced_lines.version
    where adjustment.deleted_at is null
    group by order_id
),
goods as (
    select
        order_id,
        sum(subtotal) as subtotal,
        sum(coalesce(discount, 0)) as discount,
        sum(greatest(subtotal - coalesce(discount, 0), 0) * rate) as tax -- Medusa takes no tax off
    from priced_lines
    left join line_discounts using (line_id)
    group by order_id
),
shipping_rates as (
    select shipping_method_id, sum(rate) / 100 as rate
    from order_shipping_method_tax_line
    where deleted_at is null
    group by shipping_method_id
),
deliveries as (
    -- The shipping of returns and exchanges is here too, as in Medusa's totals.
    select
        placed.id as order_id,
        placed.version,
        method.id as method_id,
        coalesce(shipping_rates.rate, 0) as rate,
        method.amount
            / case when method.is_tax_inclusive then 1 + coalesce(shipping_rates.rate, 0) else 1 end as charged
    from placed
    join order_shipping as shipping on shipping.order_id = placed.id and shipping.version = placed.version
    join order_shipping_method as method on method.id = shipping.shipping_method_id
    left join shipping_rates on shipping_rates.shipping_method_id = method.id
    where shipping.deleted_at is null and method.deleted_at is null
),
delivery_discounts as (
    select
        method_id,
        sum(adjustment.amount) as discount -- never with tax, also where the price has it
    from deliveries
    join order_shipping_method_adjustment as adjustment
        on adjustment.shipping_method_id = method_id and adjustment.version = deliveries.version
    where adjustment.deleted_at is null
    group by method_id
),
delivery as (
    select
        order_id,
        sum(charged) as charged,
        sum(coalesce(discount, 0)) as discount,
        sum(greatest(charged - coalesce(discount, 0), 0) * rate) as tax
    from deliveries
    left join delivery_discounts using (method_id)
    group by order_id
),
versions as (
    -- Lines that need no shipping (a service, a download) are done once they are fulfilled.
    select
        item.order_id,
        min(item.created_at) as since,
        bool_and(
            item.quantity
                <= case when line.requires_shipping then item.shipped_quantity else item.fulfilled_quantity end
        ) as is_shipped,
        bool_and(
            item.quantity
                <= case when line.requires_shipping then item.delivered_quantity else item.fulfilled_quantity end
        ) as is_delivered
    from order_item as item
    join order_line_item as line on line.id = item.item_id
    where item.quantity > 0 and item.deleted_at is null
    group by item.order_id, item.version
),
progress as (
    select
        order_id,
        min(since) filter (where is_shipped) as shipped_at,
        min(since) filter (where is_delivered) as delivered_at
    from versions
    group by order_id
),
payments as (
    select
        link.order_id,
        payment.id,
        payment.captured_at,
        payment.updated_at
    from order_payment_collection as link
    join payment on payment.payment_collection_id = link.payment_collection_id
    where link.deleted_at is null and payment.deleted_at is null
),
first_captures as (
    select distinct on (order_id)
        order_id,
        id as payment_id
    from payments
    where captured_at is not null
    order by order_id, captured_at, id
),
parcels as (
    -- A cancelled parcel too: an order that was packed once is not pending again.
    select link.order_id, max(fulfillment.updated_at) as updated_at
    from order_fulfillment as link
    join fulfillment on fulfillment.id = link.fulfillment_id
    group by link.order_id
),
touches as (
    -- order.updated_at misses payments, refunds and parcels. A row that is deleted is written, so it counts.
    select order_id, updated_at from order_item
    union all
    select item.order_id, line.updated_at
    from order_item as item
    join order_line_item as line on line.id = item.item_id
    union all
    select item.order_id, adjustment.updated_at
    from order_item as item
    join order_line_item_adjustment as adjustment on adjustment.item_id = item.item_id
    union all
    select item.order_id, tax_line.updated_at
    from order_item as item
    join order_line_item_tax_line as tax_line on tax_line.item_id = item.item_id
    union all
    select shipping.order_id, greatest(shipping.updated_at, method.updated_at)
    from order_shipping as shipping
    join order_shipping_method as method on method.id = shipping.shipping_method_id
    union all
    select shipping.order_id, adjustment.updated_at
    from order_shipping as shipping
    join order_shipping_method_adjustment as adjustment
        on adjustment.shipping_method_id = shipping.shipping_method_id
    union all
    select shipping.order_id, tax_line.updated_at
    from order_shipping as shipping
    join order_shipping_method_tax_line as tax_line on tax_line.shipping_method_id = shipping.shipping_method_id
    union all
    select order_id, updated_at from payments
    union all
    select payments.order_id, refund.updated_at
    from payments
    join refund on refund.payment_id = payments.id
    union all
    select order_id, updated_at from parcels
),
last_touches as (
    select order_id, max(updated_at) as updated_at
    from touches
    group by order_id
),
digits as (
    select
        id as order_id,
        case
            -- ISO 4217: Medusa's own decimal_digits differ from it.
            when upper(currency_code) in (
                'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW',
                'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF'
            ) then 0
            when upper(currency_code) in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
            else 2
        end as number
    from placed
)
select
    placed.id as order_id,
    case when customer.has_account then placed.customer_id end as customer_id,
    case
        when placed.canceled_at is not null then 'cancelled'
        when progress.delivered_at is not null then 'delivered'
        when progress.shipped_at is not null then 'shipped'
        when first_captures.payment_id is not null or parcels.order_id is not null then 'processing'
        else 'pending'
    end as status,
    upper(placed.currency_code) as currency,
    round(coalesce(goods.subtotal, 0), digits.number) as subtotal,
    round(coalesce(goods.discount, 0), digits.number) as discount,
    order_codes.discount_code,
    round(coalesce(delivery.charged, 0), digits.number) as shipping,
    round(coalesce(delivery.discount, 0), digits.number) as shipping_discount,
    round(coalesce(goods.tax, 0) + coalesce(delivery.tax, 0), digits.number) as tax,
    round(coalesce(delivery.tax, 0), digits.number) as shipping_tax,
    null::numeric as tax_due, -- the rate depends on product and place
    round(
        coalesce(goods.subtotal - goods.discount + goods.tax, 0)
            + coalesce(delivery.charged - delivery.discount + delivery.tax, 0),
        digits.number
    ) as total,
    case
        when address.id is not null then jsonb_build_object(
            'street', concat_ws(', ', address.address_1, address.address_2),
            'city', address.city,
            'postcode', address.postal_code,
            'country', upper(address.country_code)
        )
    end as shipping_address,
    first_captures.payment_id,
    lower(sales_channel.name) as channel,
    placed.created_at as ordered_at,
    greatest(placed.updated_at, address.updated_at, last_touches.updated_at) as updated_at,
    progress.shipped_at,
    progress.delivered_at,
    placed.canceled_at as cancelled_at,
    null as cancelled_by, -- Medusa keeps neither who nor why
    case when placed.canceled_at is not null then 'not recorded' end as cancellation_reason,
    upper(address.country_code) as ship_to_country -- dimensions.toml
from placed
join digits on digits.order_id = placed.id
left join goods on goods.order_id = placed.id
left join order_codes on order_codes.order_id = placed.id
left join delivery on delivery.order_id = placed.id
left join progress on progress.order_id = placed.id
left join first_captures on first_captures.order_id = placed.id
left join parcels on parcels.order_id = placed.id
left join last_touches on last_touches.order_id = placed.id
left join order_address as address on address.id = placed.shipping_address_id
left join customer on customer.id = placed.customer_id
left join sales_channel on sales_channel.id = placed.sales_channel_id
where greatest(placed.updated_at, address.updated_at, last_touches.updated_at) >= :changed_since
    and placed.id not in (select order_id from card_orders)
