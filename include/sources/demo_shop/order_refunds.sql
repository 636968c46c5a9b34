select
    order_refund_id,
    order_id,
    currency,
    amount,
    shipping,
    tax,
    reason,
    refunded_at,
    updated_at
from order_refunds
where (updated_at >= :changed_since or updated_at is null)
