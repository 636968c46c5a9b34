-- The catalogue (92,331). It has no article number but product_id, no price, no cost, and no time at all: every row is
-- as old as the year it describes, so it is read on a full refresh and not again. product_type names a product best
-- (528 have none); product_category is its category (540 have none).
with catalogue as (
    select
        products.*,
        timestamp '2017-01-01' at time zone 'America/New_York' as known_since
    from products
)
select
    product_id,
    product_id::text as sku,
    product_type as name,
    product_category as category,
    null::numeric as unit_cost,
    null::numeric as unit_price,
    true as is_active,
    null::timestamptz as created_at,
    known_since as updated_at
from catalogue
where known_since >= :changed_since
