-- One row per variant and location that has a stock level. Medusa keeps levels per inventory item. A variant that is
-- one unit of one item has that item's shelf; a kit (several items, or several units of one) has none of its own. Where
-- variants share an item the first has the shelf: counted under each of them, the units would be there twice.
with contents as (
    select
        variant_id,
        min(inventory_item_id) as inventory_item_id,
        max(updated_at) as updated_at
    from product_variant_inventory_item
    where deleted_at is null
    group by variant_id
    having count(*) = 1 and max(required_quantity) = 1
),
shelved as (
    select distinct on (contents.inventory_item_id)
        contents.inventory_item_id,
        contents.variant_id,
        greatest(contents.updated_at, variant.updated_at) as updated_at
    from contents
    join product_variant as variant on variant.id = contents.variant_id
    where variant.deleted_at is null
    order by contents.inventory_item_id, variant.created_at, variant.id
),
levels as (
    select
        shelved.variant_id,
        level.location_id,
        level.stocked_quantity,
        level.reserved_quantity,
        greatest(level.updated_at, shelved.updated_at) as updated_at
    from inventory_level as level
    join shelved on shelved.inventory_item_id = level.inventory_item_id
    where level.deleted_at is null
)
select
    variant_id as product_id,
    location_id as warehouse_id,
    stocked_quantity as on_hand,
    reserved_quantity as reserved, -- what is on backorder too
    0 as reorder_point, -- Medusa has none
    updated_at
from levels
where updated_at >= :changed_since
