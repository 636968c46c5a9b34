select
    product_id,
    warehouse_id,
    on_hand,
    reserved,
    reorder_point,
    updated_at
from inventory
where (updated_at >= :changed_since or updated_at is null)
