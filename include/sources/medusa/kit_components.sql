-- One row per variant and product that it is taken from, where it has no shelf of its own. Medusa makes a variant of
-- inventory items, each so many times; the product of an item is the variant whose shelf inventory.sql says it is. So
-- the rows are those of kits (several items, or several units of one), and of a variant that shares its item with the
-- one that has the shelf: that is a kit of one unit of it. An item that no variant is one unit of is no product, and
-- its row is missing.
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
parts as (
    select
        kit.id as product_id,
        shelved.variant_id as component_id,
        recipe.required_quantity as units_per_kit,
        greatest(recipe.updated_at, kit.updated_at, shelved.updated_at) as updated_at
    from product_variant_inventory_item as recipe
    join product_variant as kit on kit.id = recipe.variant_id
    join shelved on shelved.inventory_item_id = recipe.inventory_item_id
    where recipe.deleted_at is null and kit.deleted_at is null and kit.id <> shelved.variant_id
)
select
    product_id,
    component_id,
    units_per_kit,
    updated_at
from parts
where updated_at >= :changed_since
