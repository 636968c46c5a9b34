-- One row per variant and location that has a stock level: Medusa knows how many units are to come to each, and nothing
-- of the order by which they do. The variants are those of inventory.sql.
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
        level.id,
        shelved.variant_id,
        level.location_id,
        level.incoming_quantity,
        greatest(level.updated_at, shelved.updated_at) as updated_at
    from inventory_level as level
    join shelved on shelved.inventory_item_id = level.inventory_item_id
    where level.deleted_at is null
)
select
    id as purchase_order_line_id,
    variant_id as product_id,
    location_id as warehouse_id,
    incoming_quantity as quantity,
    updated_at
from levels
where updated_at >= :changed_since
