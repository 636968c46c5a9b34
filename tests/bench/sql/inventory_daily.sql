-- One row per business day, product and warehouse, from its first movement through the last whole day.
with reserving as (
    select distinct order_item_id, product_id, warehouse_id
    from inventory_movements
    where kind = 'reservation'
),
moved as (
    select
        moved_at::date as day,
        product_id,
        warehouse_id,
        coalesce(sum(quantity) filter (where kind = 'receipt'), 0) as received,
        coalesce(-sum(quantity) filter (where kind = 'shipment'), 0) as shipped,
        coalesce(sum(quantity) filter (where kind = 'return'), 0) as returned,
        coalesce(sum(quantity) filter (where kind = 'adjustment'), 0) as adjusted,
        coalesce(sum(quantity) filter (where kind in ('receipt', 'shipment', 'return', 'adjustment')), 0) as change,
        coalesce(
            sum(quantity) filter (
                where kind in ('reservation', 'release') or kind = 'shipment' and reserving.order_item_id is not null
            ),
            0
        ) as reserved_change,
        count(*) filter (
            where kind in ('receipt', 'shipment', 'return', 'adjustment') and quantity <> 0
        ) as stockings
    from inventory_movements
    left join reserving using (order_item_id, product_id, warehouse_id)
    group by 1, 2, 3
),
-- Less the shelves that begin empty with a later movement, and those whose product was listed later.
known_inventory as (
    select inventory.*
    from inventory
    join products using (product_id)
    left join (
        select
            product_id,
            warehouse_id,
            sum(change) as explained,
            min(day) as first_day
        from moved
        group by product_id, warehouse_id
    ) as explaining using (product_id, warehouse_id)
    where %(as_of)s::date >= case
        when on_hand = coalesce(explained, 0) then coalesce(first_day, created_at::date)
        else least(created_at::date, first_day)
    end
),
shelves as (
    select
        product_id,
        warehouse_id,
        min(day) as first_day
    from (
        select product_id, warehouse_id, day from moved
        union all
        select product_id, warehouse_id, %(as_of)s::date from known_inventory
    ) as known
    group by product_id, warehouse_id
),
-- Days and movements stand under each other: joining them, the planner takes a loop over all days of all shelves.
flows as (
    select * from moved
    union all
    select
        day::date,
        product_id,
        warehouse_id,
        0, 0, 0, 0, 0, 0, 0
    from shelves
    cross join lateral generate_series(first_day, %(as_of)s::date, interval '1 day') as day
),
summed as (
    select
        day,
        product_id,
        warehouse_id,
        sum(received) as received,
        sum(shipped) as shipped,
        sum(returned) as returned,
        sum(adjusted) as adjusted,
        sum(change) as change,
        sum(reserved_change) as reserved_change,
        sum(stockings) as stockings
    from flows
    group by day, product_id, warehouse_id
),
added as (
    select
        *,
        sum(change) over shelf as explained,
        sum(reserved_change) over shelf as explained_reserved,
        sum(stockings) over shelf > 0 as was_stocked
    from summed
    window shelf as (partition by product_id, warehouse_id order by day)
),
closed as (
    select
        added.*,
        case when day = %(as_of)s::date then coalesce(inventory.on_hand - explained, 0) else 0 end as unexplained_units,
        case when day = %(as_of)s::date then coalesce(inventory.reserved - explained_reserved, 0) else 0 end
            as unexplained_reserved
    from added
    left join known_inventory as inventory using (product_id, warehouse_id)
)
select
    day,
    product_id,
    warehouse_id,
    explained - change as opening_units,
    received,
    shipped,
    returned,
    adjusted,
    unexplained_units,
    explained + unexplained_units as closing_units,
    unexplained_reserved,
    explained_reserved + unexplained_reserved as reserved,
    explained + unexplained_units - explained_reserved - unexplained_reserved as available,
    was_stocked or explained + unexplained_units > 0 as is_stocked,
    (was_stocked or explained + unexplained_units > 0)
    and explained + unexplained_units - explained_reserved - unexplained_reserved <= 0 as is_stockout,
    (explained + unexplained_units) * products.unit_cost as closing_value,
    products.price_currency as currency
from closed
left join products using (product_id)
