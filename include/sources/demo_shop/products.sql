select
    product_id,
    sku,
    name,
    category,
    product_group_id,
    product_group_name,
    unit_cost,
    unit_price,
    price_currency,
    price_includes_tax,
    is_active,
    created_at,
    updated_at
from products
where (updated_at >= :changed_since or updated_at is null)
