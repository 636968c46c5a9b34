select
    order_item_id,
    order_id,
    product_id,
    warehouse_id,
    sku,
    quantity,
    -- Some prices have tax in them: the shop's only rate, 10 %.
    case when price_includes_tax then unit_price / 1.10 else unit_price end as unit_price,
    case when price_includes_tax then discount / 1.10 else discount end as discount,
    discount_code,
    unit_cost,
    sold_at,
    removed_at,
    updated_at
from order_items
where (updated_at >= :changed_since or updated_at is null)
