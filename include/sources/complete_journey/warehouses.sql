-- The stores (457), which are known from their sales only: a number, since the first of them.
select
    store_id as warehouse_id,
    store_id::text as code,
    null as name,
    null as country,
    min(transaction_timestamp) at time zone 'UTC' as updated_at
from transactions
group by store_id
having min(transaction_timestamp) >= :changed_since at time zone 'UTC'
