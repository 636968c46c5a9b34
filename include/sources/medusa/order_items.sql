-- One line per order_line_item; its id is the same in all versions of its order. It is as in the order's current version;
-- one that an edit took out has no row there, or one of quantity 0: it is as it was, and removed at the time of the
-- version after that. A gift card that is sold is no line: payments.sql has it.
--
-- A product is a variant: that is what has a price and lies on a shelf. A line that names none (an engraving, typed in
-- by hand) sells a product of its own that is called like the line; products.sql has it.
--
-- A quantity may be a fraction in Medusa. Unless shop.toml says how many decimals it has ([units]), the gate keeps such
-- a line aside: it is not readable.
with latest as (
    -- Every version of an order has a row for each line that is in it: the last one of a line is how it is, or was.
    select distinct on (item_id)
        item_id,
        order_id,
        version,
        quantity,
        unit_price,
        updated_at
    from order_item
    where quantity > 0 and deleted_at is null
    order by item_id, version desc
),
sold_lines as (
    select
        line.id as line_id,
        placed.id as order_id,
        item.version,
        item.version < placed.version as is_removed,
        placed.sales_channel_id,
        case
            -- ISO 4217: Medusa's own decimal_digits differ from it.
            when upper(placed.currency_code) in (
                'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW',
                'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF'
            ) then 0
            when upper(placed.currency_code) in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
            else 2
        end as digits,
        coalesce(line.variant_id, 'custom: ' || line.title) as product_id,
        item.quantity,
        coalesce(item.unit_price, line.unit_price) as listed_price,
        line.is_tax_inclusive,
        greatest(placed.updated_at, item.updated_at, line.updated_at) as updated_at
    from "order" as placed
    join latest as item on item.order_id = placed.id
    join order_line_item as line on line.id = item.item_id
    where not placed.is_draft_order and placed.deleted_at is null
        and line.deleted_at is null and not line.is_giftcard
),
rates as (
    select
        item_id as line_id,
        sum(rate) filter (where deleted_at is null) / 100 as rate,
        max(updated_at) as updated_at
    from order_line_item_tax_line
    group by item_id
),
prices as (
    select
        line_id,
        coalesce(rate, 0) as rate,
        case when is_tax_inclusive then 1 + coalesce(rate, 0) else 1 end as listed_for, -- of 1 without tax
        rates.updated_at
    from sold_lines
    left join rates using (line_id)
),
discounts as (
    -- A discount on the whole order is on its lines too: Medusa spreads it. It says itself whether it is with tax.
    select
        line_id,
        sum(adjustment.amount / case when adjustment.is_tax_inclusive then 1 + rate else 1 end)
            filter (where adjustment.deleted_at is null) as discount,
        -- A line with two promotions has one name for both.
        string_agg(distinct adjustment.code, ' + ' order by adjustment.code)
            filter (where adjustment.deleted_at is null) as discount_code,
        max(adjustment.updated_at) as updated_at
    from sold_lines
    join prices using (line_id)
    join order_line_item_adjustment as adjustment
        on adjustment.item_id = line_id and adjustment.version = sold_lines.version
    group by line_id
),
reservations as (
    -- Packing deletes a reservation softly; a line that was packed, unpacked and reserved again has several.
    select distinct on (line_item_id)
        line_item_id as line_id,
        location_id,
        updated_at
    from reservation_item
    order by line_item_id, deleted_at is null desc, created_at desc, id
),
option_locations as (
    select shipping_option.id as shipping_option_id, min(link.stock_location_id) as location_id
    from shipping_option
    join service_zone on service_zone.id = shipping_option.service_zone_id
    join location_fulfillment_set as link on link.fulfillment_set_id = service_zone.fulfillment_set_id
    group by shipping_option.id
),
parcels as (
    -- A parcel that was made without a location records the one of its shipping option, and takes the stock from where
    -- it was reserved. Only another location was chosen for sure, and only there did the stock fall.
    select distinct on (parcel_item.line_item_id)
        parcel_item.line_item_id as line_id,
        parcel.location_id,
        parcel.location_id is distinct from option_locations.location_id as is_chosen,
        parcel.updated_at
    from fulfillment_item as parcel_item
    join fulfillment as parcel on parcel.id = parcel_item.fulfillment_id
    left join option_locations using (shipping_option_id)
    where parcel.canceled_at is null and parcel.deleted_at is null and parcel_item.deleted_at is null
    order by parcel_item.line_item_id, parcel.created_at, parcel.id
),
order_locations as (
    select order_id, min(reservations.location_id) as location_id
    from sold_lines
    join reservations using (line_id)
    group by order_id
),
channel_locations as (
    select sales_channel_id, min(stock_location_id) as location_id
    from sales_channel_stock_location
    where deleted_at is null
    group by sales_channel_id
),
additions as (
    -- Every version of an order has a row for each of its lines: the first one of a line says when it was added.
    select
        item_id as line_id,
        min(version) as version,
        (array_agg(created_at order by version))[1] as added_at
    from order_item
    where quantity > 0 and deleted_at is null
    group by item_id
),
removals as (
    select sold_lines.line_id, min(later.created_at) as removed_at
    from sold_lines
    join order_item as later on later.order_id = sold_lines.order_id and later.version > sold_lines.version
    where sold_lines.is_removed
    group by sold_lines.line_id
),
finished as (
    select
        sold_lines.*,
        nullif(line.variant_sku, '') as sku,
        coalesce(nullif(concat_ws(' ', line.product_title, line.variant_title), ''), line.title) as product_name,
        prices.rate,
        sold_lines.quantity * listed_price / listed_for as subtotal,
        listed_price / listed_for as unit_price,
        coalesce(discounts.discount, 0) as discount,
        case when additions.version > 1 then additions.added_at end as sold_at,
        -- An edit that took out the last line left no row to say when.
        case when sold_lines.is_removed then coalesce(removals.removed_at, sold_lines.updated_at) end as removed_at,
        discounts.discount_code,
        coalesce(
            case when parcels.is_chosen then parcels.location_id end,
            reservations.location_id,
            parcels.location_id,
            -- The new line of an exchange is not reserved: it leaves from where the rest did, until it is packed.
            order_locations.location_id,
            channel_locations.location_id
        ) as warehouse_id,
        greatest(
            sold_lines.updated_at, prices.updated_at, discounts.updated_at, reservations.updated_at, parcels.updated_at
        ) as touched_at
    from sold_lines
    join order_line_item as line on line.id = sold_lines.line_id
    join prices using (line_id)
    left join discounts using (line_id)
    left join reservations using (line_id)
    left join parcels using (line_id)
    left join order_locations using (order_id)
    left join additions using (line_id)
    left join removals using (line_id)
    left join channel_locations using (sales_channel_id)
)
select
    line_id as order_item_id,
    order_id,
    product_id,
    warehouse_id,
    sku,
    product_name,
    quantity,
    round(unit_price, digits) as unit_price, -- as its order's amounts, and only here
    round(subtotal, digits) as subtotal,
    round(discount, digits) as discount,
    discount_code,
    round(greatest(subtotal - discount, 0) * rate, digits) as tax,
    null::numeric as unit_cost, -- Medusa knows no cost
    sold_at,
    removed_at,
    touched_at as updated_at
from finished
where touched_at >= :changed_since
