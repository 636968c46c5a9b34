-- One row per line of an order in a parcel (fulfillment) that left, or arrived without a word of leaving. What was only
-- packed has not left; but what needs no shipping (a service, a download) is there once it is fulfilled, as orders.sql
-- says. The parcels of returns are no parcels of an order.
--
-- Quantity: a line of a kit has a row for each stock item in its parcel, with so many units as the kit needed of it when
-- it was packed. The recipe may be another now, or deleted. So a parcel has its share of what the line says of itself
-- (fulfilled_quantity: whole kits), and the recipe only tells the shares.
-- Warehouse: as order_items.sql says, only a location that is not the shipping option's was chosen for sure; any other
-- parcel left from where its lines were reserved.
with option_locations as (
    select shipping_option.id as shipping_option_id, min(link.stock_location_id) as location_id
    from shipping_option
    join service_zone on service_zone.id = shipping_option.service_zone_id
    join location_fulfillment_set as link on link.fulfillment_set_id = service_zone.fulfillment_set_id
    group by shipping_option.id
),
parcels as (
    select
        parcel.id as shipment_id,
        link.order_id,
        case
            when parcel.location_id is distinct from option_locations.location_id then parcel.location_id
        end as warehouse_id,
        parcel.provider_id,
        case
            when parcel.requires_shipping then coalesce(parcel.shipped_at, parcel.delivered_at)
            else coalesce(parcel.packed_at, parcel.created_at)
        end as shipped_at,
        case
            when parcel.requires_shipping then parcel.delivered_at
            else coalesce(parcel.packed_at, parcel.created_at)
        end as delivered_at,
        parcel.canceled_at,
        greatest(parcel.updated_at, placed.updated_at) as updated_at
    from order_fulfillment as link
    join fulfillment as parcel on parcel.id = link.fulfillment_id
    join "order" as placed on placed.id = link.order_id
    left join option_locations using (shipping_option_id)
    where parcel.deleted_at is null and not placed.is_draft_order and placed.deleted_at is null
),
latest as (
    -- Every version of an order has a row for each line that is in it: the last one of a line is how it is, or was.
    select distinct on (item_id)
        item_id,
        quantity,
        fulfilled_quantity,
        updated_at
    from order_item
    where quantity > 0 and deleted_at is null
    order by item_id, version desc
),
packed as (
    select
        parcels.shipment_id,
        parcels.canceled_at,
        line.id as line_id,
        coalesce(max(recipe.required_quantity) > 1, false) as is_kit,
        max(parcel_item.quantity / coalesce(recipe.required_quantity, 1)) as by_recipe,
        max(greatest(parcel_item.updated_at, line.updated_at, parcels.updated_at, recipe.updated_at)) as updated_at
    from parcels
    join fulfillment_item as parcel_item on parcel_item.fulfillment_id = parcels.shipment_id
    join order_line_item as line on line.id = parcel_item.line_item_id
    left join product_variant_inventory_item as recipe -- a deleted one too: the parcel was packed by it
        on recipe.variant_id = line.variant_id and recipe.inventory_item_id = parcel_item.inventory_item_id
    where parcel_item.deleted_at is null and line.deleted_at is null and not line.is_giftcard
    group by parcels.shipment_id, parcels.canceled_at, line.id
),
shares as (
    select
        packed.*,
        item.quantity as line_quantity,
        nullif(item.fulfilled_quantity, 0) as fulfilled,
        sum(packed.by_recipe) filter (where packed.canceled_at is null) over line as packed_of_line,
        greatest(max(packed.updated_at) over line, item.updated_at) as line_updated_at
    from packed
    left join latest as item on item.item_id = packed.line_id
    window line as (partition by packed.line_id)
),
counted as (
    select
        shipment_id,
        line_id,
        least(
            case
                when is_kit or packed_of_line <> fulfilled
                    then greatest(round(by_recipe * coalesce(fulfilled / packed_of_line, 1)), 1)
                else by_recipe
            end,
            line_quantity
        ) as quantity,
        line_updated_at as updated_at
    from shares
)
select
    counted.shipment_id || '/' || counted.line_id as shipment_item_id,
    counted.shipment_id,
    counted.line_id as order_item_id,
    counted.quantity,
    parcels.warehouse_id,
    parcels.provider_id as carrier,
    parcels.shipped_at,
    parcels.delivered_at,
    parcels.canceled_at as cancelled_at,
    counted.updated_at
from counted
join parcels using (shipment_id)
where parcels.shipped_at is not null and counted.updated_at >= :changed_since
