-- One product per variant: that is what has an article number and a price and lies on a shelf. A deleted variant is
-- left out, unless an order still names it; then it cannot be ordered.
--
-- A line that names no variant (an engraving, typed in by hand) sells a product of its own that is called like it.
-- Lines of drafts are looked at too, for a draft becomes an order without a line being written again.
with categories as (
    select
        link.product_id,
        (array_agg(product_category.name order by product_category.mpath) filter (where deleted_at is null))[1] as name,
        max(product_category.updated_at) as updated_at
    from product_category_product as link
    join product_category on product_category.id = link.product_category_id
    group by link.product_id
),
variants as (
    select
        variant.id as product_id,
        coalesce(nullif(variant.sku, ''), variant.id) as sku,
        concat_ws(' ', product.title, variant.title) as name,
        categories.name as category,
        product.id as group_id,
        product.title as group_name,
        coalesce(variant.deleted_at, product.deleted_at) is null and product.status = 'published' as is_active,
        coalesce(variant.deleted_at, product.deleted_at) is not null as is_deleted,
        variant.created_at,
        greatest(variant.updated_at, product.updated_at, categories.updated_at) as updated_at
    from product_variant as variant
    join product on product.id = variant.product_id
    left join categories on categories.product_id = product.id
),
typed_in as (
    select
        'custom: ' || title as product_id,
        title as name,
        min(created_at) as created_at
    from order_line_item
    where variant_id is null
    group by title
),
catalogue as (
    select product_id, sku, name, category, group_id, group_name, is_active, created_at, updated_at
    from variants
    where not is_deleted or product_id in (select variant_id from order_line_item)
    union all
    select product_id, product_id, name, null, null, null, false, created_at, created_at
    from typed_in
)
select
    product_id,
    sku,
    name,
    category,
    group_id as product_group_id,
    group_name as product_group_name,
    null::numeric as unit_cost, -- Medusa knows no cost
    null::numeric as unit_price, -- one per currency and region, some with tax: none is the price
    is_active,
    created_at,
    updated_at
from catalogue
where updated_at >= :changed_since
