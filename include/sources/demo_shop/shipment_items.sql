select
    shipment_item_id,
    shipment_number as shipment_id,
    order_item_id,
    quantity,
    warehouse_id,
    carrier,
    shipped_at,
    delivered_at,
    cancelled_at,
    updated_at
from shipment_items
where (updated_at >= :changed_since or updated_at is null)
