-- One day of trade: one order in 730 is paid anew and its costs corrected, and as many are placed and shipped at once.
-- Goods for the new ones come in the same day, so every shelf holds what it held. Edited are orders of the last sixteen
-- days, and one in a hundred is of any age: in the shop's own history, 99.8 of 100 orders last change within twenty.
create temp table edited on commit drop as
select order_id
from orders, (select max(order_id) as newest, count(*) as orders from orders) as shop
where (order_id > newest - orders / 25 and mod(order_id, 29) = 0) or mod(order_id, 73000) = 0;

update orders
set payment_id = 'again-' || order_id, updated_at = now()
where order_id in (select order_id from edited);

update order_items
set unit_cost = unit_cost + 0.01, updated_at = now()
where order_id in (select order_id from edited);

create temp table placed on commit drop as
select
    order_id as old_id,
    (select max(order_id) from orders) + row_number() over (order by order_id) as new_id,
    timestamptz '2026-01-01 08:00 Europe/Berlin' + row_number() over (order by order_id) * interval '1 second' as at
from orders
where mod(order_id, 730) = 1;

create temp table lines on commit drop as
select
    item.order_item_id as old_id,
    (select max(order_item_id) from order_items) + row_number() over (order by item.order_item_id) as new_id,
    placed.new_id as order_id,
    placed.at
from order_items as item
join placed on placed.old_id = item.order_id
where item.removed_at is null;

insert into orders (
    order_id, customer_id, status, currency, subtotal, discount, shipping, shipping_discount, tax, shipping_tax, total,
    shipping_address, payment_id, ordered_at, updated_at, shipped_at
)
select
    placed.new_id, old.customer_id, 'shipped', old.currency, old.subtotal, old.discount, old.shipping,
    old.shipping_discount, old.tax, old.shipping_tax, old.total, old.shipping_address, 'new-' || placed.new_id, placed.at, now(), placed.at + interval '2 hours'
from placed
join orders as old on old.order_id = placed.old_id;

insert into order_items (
    order_item_id, order_id, product_id, warehouse_id, sku, quantity, unit_price, discount, price_includes_tax,
    unit_cost, updated_at
)
select
    lines.new_id, lines.order_id, old.product_id, old.warehouse_id, old.sku, old.quantity, old.unit_price,
    old.discount, old.price_includes_tax, old.unit_cost, now()
from lines
join order_items as old on old.order_item_id = lines.old_id;

insert into inventory_movements (product_id, warehouse_id, kind, quantity, order_item_id, moved_at, updated_at)
select
    item.product_id,
    item.warehouse_id,
    step.kind,
    item.quantity * step.sign,
    case when step.kind <> 'receipt' then item.order_item_id end,
    lines.at + step.after,
    now()
from lines
join order_items as item on item.order_item_id = lines.new_id
cross join (
    values
    ('receipt', 1, interval '0'),
    ('reservation', 1, interval '0'),
    ('shipment', -1, interval '2 hours')
) as step (kind, sign, after);

insert into shipment_items (
    shipment_number, order_item_id, warehouse_id, quantity, carrier, shipped_at, updated_at
)
select
    item.order_id || '-' || item.warehouse_id,
    item.order_item_id,
    item.warehouse_id,
    item.quantity,
    'DHL',
    lines.at + interval '2 hours',
    now()
from lines
join order_items as item on item.order_item_id = lines.new_id;
