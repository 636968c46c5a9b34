select
    warehouse_id,
    code,
    name,
    country,
    updated_at
from warehouses
where (updated_at >= :changed_since or updated_at is null)
