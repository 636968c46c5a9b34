select
    product_id,
    sku,
    name,
    category,
    unit_cost,
    unit_price,
    is_active,
    created_at,
    updated_at
from products
where (updated_at >= :changed_since or updated_at is null)
