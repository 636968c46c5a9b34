select
    order_id,
    customer_id,
    status,
    currency,
    subtotal,
    discount,
    discount_code,
    shipping,
    shipping_discount,
    tax,
    shipping_tax,
    -- The shop's only rate: 10 %, rounded half up to what the currency has.
    round((subtotal - discount) * 0.10, case currency when 'JPY' then 0 when 'KWD' then 3 else 2 end)
    + round((shipping - shipping_discount) * 0.10, case currency when 'JPY' then 0 when 'KWD' then 3 else 2 end)
        as tax_due,
    total,
    shipping_address,
    payment_id,
    channel,
    ordered_at,
    updated_at,
    shipped_at,
    delivered_at,
    cancelled_at,
    cancelled_by,
    cancellation_reason,
    shipping_address ->> 'country' as ship_to_country -- dimensions.toml
from orders
where (updated_at >= :changed_since or updated_at is null)
