-- One row per line of an order in a parcel (fulfillment) that left, or arrived without a word of leaving. What was only
-- packed has not left. The parcels of returns are no parcels of an order.
--
-- Quantity: a line of a kit has a row for each stock item in its parcel, with so many units as the kit needs of it.
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
        coalesce(parcel.shipped_at, parcel.delivered_at) as shipped_at,
        parcel.delivered_at,
        parcel.canceled_at,
        greatest(parcel.updated_at, placed.updated_at) as updated_at
    from order_fulfillment as link
    join fulfillment as parcel on parcel.id = link.fulfillment_id
    join "order" as placed on placed.id = link.order_id
    left join option_locations using (shipping_option_id)
    where coalesce(parcel.shipped_at, parcel.delivered_at) is not null and parcel.deleted_at is null
        and not placed.is_draft_order and placed.deleted_at is null
),
needs as (
    select
        variant_id,
        inventory_item_id,
        case when deleted_at is null then required_quantity end as required_quantity,
        updated_at
    from product_variant_inventory_item
),
packed as (
    select
        parcels.shipment_id,
        line.id as line_id,
        max(parcel_item.quantity / coalesce(needs.required_quantity, 1)) as quantity,
        max(greatest(parcel_item.updated_at, line.updated_at, parcels.updated_at, needs.updated_at)) as updated_at
    from parcels
    join fulfillment_item as parcel_item on parcel_item.fulfillment_id = parcels.shipment_id
    join order_line_item as line on line.id = parcel_item.line_item_id
    left join needs on needs.variant_id = line.variant_id and needs.inventory_item_id = parcel_item.inventory_item_id
    where parcel_item.deleted_at is null and line.deleted_at is null and not line.is_giftcard
    group by parcels.shipment_id, line.id
)
select
    packed.shipment_id || '/' || packed.line_id as shipment_item_id,
    packed.shipment_id,
    packed.line_id as order_item_id,
    packed.quantity,
    parcels.warehouse_id,
    parcels.provider_id as carrier,
    parcels.shipped_at,
    parcels.delivered_at,
    parcels.canceled_at as cancelled_at,
    packed.updated_at
from packed
join parcels using (shipment_id)
where packed.updated_at >= :changed_since
