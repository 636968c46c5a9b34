select
    purchase_order_line_id,
    product_id,
    warehouse_id,
    quantity,
    received,
    ordered_at,
    expected_at,
    received_at,
    cancelled_at,
    purchase_order,
    supplier,
    currency,
    unit_cost,
    updated_at
from purchase_order_lines
where (updated_at >= :changed_since or updated_at is null)
