select
    order_item_id,
    order_id,
    product_id,
    warehouse_id,
    sku,
    quantity,
    unit_price,
    discount,
    discount_code,
    unit_cost,
    sold_at,
    updated_at
from order_items
where (updated_at >= :changed_since or updated_at is null)
