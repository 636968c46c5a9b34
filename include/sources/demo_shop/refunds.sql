select
    refund_id,
    order_item_id,
    quantity,
    amount,
    tax,
    restocked,
    refunded_at,
    returned_at,
    updated_at
from refunds
where (updated_at >= :changed_since or updated_at is null)
