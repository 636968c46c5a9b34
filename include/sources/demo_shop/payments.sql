select
    transaction_id as payment_id,
    order_id,
    kind,
    method,
    currency,
    amount,
    paid_at,
    updated_at
from payments
where (updated_at >= :changed_since or updated_at is null)
