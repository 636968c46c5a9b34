select
    product_id,
    component_id,
    units_per_kit,
    updated_at
from kit_components
where (updated_at >= :changed_since or updated_at is null)
