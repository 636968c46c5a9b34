select
    movement_id,
    product_id,
    warehouse_id,
    kind,
    quantity,
    order_item_id,
    moved_at,
    updated_at
from inventory_movements
where (updated_at >= :changed_since or updated_at is null)
