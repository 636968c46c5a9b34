select
    order_id,
    customer_id,
    status,
    currency,
    subtotal,
    discount,
    tax,
    total,
    shipping_address,
    payment_id,
    ordered_at,
    updated_at,
    shipped_at,
    delivered_at,
    cancelled_at,
    cancelled_by,
    cancellation_reason
from orders
where (updated_at >= %(changed_since)s or updated_at is null)
