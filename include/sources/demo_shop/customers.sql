select
    customer_id,
    email,
    name,
    country,
    created_at,
    updated_at
from customers
where (updated_at >= :changed_since or updated_at is null)
