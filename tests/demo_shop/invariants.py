"""What is true of a healthy shop, as SQL of its own: each query returns the rows that break the rule."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from include.demo_shop.schema import key_type

_DECIMALS = "case orders.currency when 'JPY' then 0 when 'KWD' then 3 else 2 end"
_NET = "(case when price_includes_tax then 1.1 else 1 end)"  # what an amount of a line is divided by to be without tax
# Lines that went out in place of others, after their orders had left: in no parcel of the order's first ones.
_REPLACEMENTS = """
    select order_item_id, order_id, order_items.sold_at
    from order_items join orders using (order_id)
    where order_items.sold_at > orders.shipped_at
"""
INVARIANTS = {
    "subtotal is the sum of its lines": f"""
        select orders.order_id from orders left join order_items using (order_id)
        group by orders.order_id, orders.subtotal
        having orders.subtotal is distinct from
            sum(order_items.quantity * order_items.unit_price / {_NET}) filter (where removed_at is null)""",
    "tax is 10 % of what is left after the discount, and of what delivery costs, half up": f"""
        select order_id from orders
        where shipping_tax is distinct from round((shipping - shipping_discount) / 10, {_DECIMALS})
            or tax is distinct from round((subtotal - discount) / 10, {_DECIMALS}) + shipping_tax""",
    "amounts are what their currency has": f"""
        select order_id from orders
        where not (subtotal, discount, shipping, shipping_discount, tax, total) = (
            round(subtotal, {_DECIMALS}), round(discount, {_DECIMALS}), round(shipping, {_DECIMALS}),
            round(shipping_discount, {_DECIMALS}), round(tax, {_DECIMALS}), round(total, {_DECIMALS})
        )
        union all
        select order_id from orders join order_items using (order_id)
        where not (unit_price, unit_cost) = (round(unit_price, {_DECIMALS}), round(unit_cost, {_DECIMALS}))
            or order_items.discount <> round(order_items.discount, {_DECIMALS})""",
    "prices in yen are with tax": """
        select order_id from orders join order_items using (order_id)
        where price_includes_tax <> (orders.currency = 'JPY')""",
    "total is the sum of its parts": """
        select order_id from orders
        where total is distinct from subtotal - discount + shipping - shipping_discount + tax""",
    "0 ≤ shipping discount ≤ shipping": """
        select order_id from orders where not (shipping_discount between 0 and shipping)""",
    "a line's discount is within the line, and those of an order within its discount": f"""
        select order_id from order_items where not (discount between 0 and quantity * unit_price)
        union all
        select order_id from orders
        where discount < (
            select sum(discount / {_NET}) from order_items
            where order_items.order_id = orders.order_id and removed_at is null
        )""",
    "0 ≤ discount ≤ subtotal": "select order_id from orders where not (discount between 0 and subtotal)",
    "the customer of an order exists": """
        select order_id from orders
        where customer_id is not null
            and not exists (select from customers where customers.customer_id = orders.customer_id)""",
    "an item has an order, a product and a warehouse": """
        select order_item_id from order_items
        left join orders using (order_id) left join products using (product_id)
        left join warehouses using (warehouse_id)
        where orders.order_id is null or products.product_id is null or warehouses.warehouse_id is null""",
    "a refund has an item": """
        select refund_id from refunds left join order_items using (order_item_id) where order_items.order_id is null""",
    "a movement has a product and a warehouse": """
        select movement_id from inventory_movements
        left join products using (product_id) left join warehouses using (warehouse_id)
        where products.product_id is null or warehouses.warehouse_id is null""",
    "an order says when it was placed": "select order_id from orders where ordered_at is null",
    "keys are unique": """
        select order_id::text from orders group by order_id having count(*) > 1
        union all select order_item_id::text from order_items group by order_item_id having count(*) > 1""",
    "statuses are known": """
        select order_id from orders
        where status not in ('pending', 'processing', 'shipped', 'delivered', 'cancelled')""",
    "channels are known": """
        select order_id from orders where channel not in ('web', 'app', 'marketplace', 'store', 'phone')""",
    "cancelled ⇔ when, by whom and why": """
        select order_id from orders
        where (status = 'cancelled') <> (cancelled_at is not null)
            or num_nulls(cancelled_at, cancelled_by, cancellation_reason) not in (0, 3)""",
    "the status says which events happened": """
        select order_id from orders
        where (shipped_at is not null) <> (status in ('shipped', 'delivered'))
            or (delivered_at is not null) <> (status = 'delivered')""",
    "events happen in order": """
        select order_id from orders
        where shipped_at < ordered_at or delivered_at < shipped_at or cancelled_at < ordered_at""",
    "nothing is in the future": """
        select order_id::text from orders
        where greatest(ordered_at, shipped_at, delivered_at, cancelled_at, updated_at) > now()
        union all select refund_id::text from refunds where greatest(refunded_at, returned_at, updated_at) > now()
        union all select order_refund_id::text from order_refunds where greatest(refunded_at, updated_at) > now()
        union all select transaction_id::text from payments where greatest(paid_at, updated_at) > now()
        union all select shipment_item_id::text from shipment_items
        where greatest(shipped_at, delivered_at, updated_at) > now()
        union all select movement_id::text from inventory_movements where greatest(moved_at, updated_at) > now()
        union all select customer_id::text from customers where greatest(created_at, updated_at) > now()
        union all select product_id::text from products where greatest(created_at, updated_at) > now()
        union all select product_id::text from inventory where updated_at > now()
        union all select purchase_order_line_id::text from purchase_order_lines
        where greatest(ordered_at, received_at, cancelled_at, updated_at) > now()""",
    "a row is written no earlier than its events": """
        select order_id::text from orders
        where updated_at < greatest(ordered_at, shipped_at, delivered_at, cancelled_at)
        union all select refund_id::text from refunds where updated_at < greatest(refunded_at, returned_at)
        union all select order_refund_id::text from order_refunds where updated_at < refunded_at
        union all select transaction_id::text from payments where updated_at < paid_at
        union all select shipment_item_id::text from shipment_items
        where updated_at < greatest(shipped_at, delivered_at)
        union all select movement_id::text from inventory_movements where updated_at < moved_at
        union all select customer_id::text from customers where updated_at < created_at
        union all select product_id::text from products where updated_at < created_at
        union all select product_id::text from inventory join (
            select product_id, warehouse_id, max(moved_at) as moved_at from inventory_movements
            group by product_id, warehouse_id
        ) as last using (product_id, warehouse_id) where updated_at < last.moved_at
        union all select purchase_order_line_id::text from purchase_order_lines
        where updated_at < greatest(ordered_at, received_at, cancelled_at)""",
    "what was bought is a product for a warehouse": """
        select purchase_order_line_id from purchase_order_lines
        left join products using (product_id) left join warehouses using (warehouse_id)
        where products.product_id is null or warehouses.warehouse_id is null""",
    "what was bought is of some units, which come after they were ordered": """
        select purchase_order_line_id from purchase_order_lines
        where quantity < 1 or not received between 0 and quantity or (received > 0) <> (received_at is not null)
            or received_at < ordered_at or cancelled_at < ordered_at or expected_at < ordered_at
            or quantity > 1000000 or currency <> 'EUR' or not unit_cost > 0""",
    "a kit is made of other products": """
        select kit_components.product_id from kit_components
        left join products as component on component.product_id = component_id
        left join products as kit on kit.product_id = kit_components.product_id
        where component.product_id is null or kit.product_id is null or component_id = kit_components.product_id
            or units_per_kit not between 1 and 10000""",
    "no component of a kit is made of it": """
        select one.product_id from kit_components as one
        join kit_components as other
            on (other.product_id, other.component_id) = (one.component_id, one.product_id)
            and one.component_id <> one.product_id""",
    "a kit has no shelf": "select product_id from kit_components join inventory using (product_id)",
    "customers and products exist before they are ordered": """
        select orders.order_id from orders join customers using (customer_id) where ordered_at < created_at
        union all
        select order_id from order_items join orders using (order_id) join products using (product_id)
        where ordered_at < products.created_at""",
    "prices and quantities are positive": """
        select order_item_id::text from order_items
        where quantity < 1 or not unit_price > 0 or not unit_cost > 0 or unit_price = 'NaN' or unit_cost = 'NaN'
        union all select product_id::text from products where not unit_price > 0 or not unit_cost > 0""",
    "an article number is of one product that is sold": """
        select sku from products where is_active group by sku having count(*) > 1""",
    "a line is added to an order that is open": f"""
        select order_item_id from order_items join orders using (order_id)
        where sold_at < ordered_at or sold_at > orders.updated_at or sold_at > order_items.updated_at
            or sold_at > coalesce(shipped_at, cancelled_at, now()) and order_item_id not in (
                select order_item_id from ({_REPLACEMENTS}) as replacement
            )""",
    "a replacement follows what came back of a delivered order": f"""
        with replacements as ({_REPLACEMENTS})
        select order_item_id from replacements join orders using (order_id)
        where status <> 'delivered' or replacements.sold_at < orders.delivered_at or not exists (
            select from refunds join order_items as old using (order_item_id)
            where old.order_id = replacements.order_id and restocked
                and returned_at between orders.delivered_at and replacements.sold_at
        )""",
    "what a replacement costs more or less is paid": f"""
        with owed as (
            select order_id, total - coalesce((
                select sum(refunds.amount + refunds.tax) from refunds join order_items using (order_item_id)
                where order_items.order_id = orders.order_id
            ), 0) as left_to_pay
            from orders where order_id in (select order_id from ({_REPLACEMENTS}) as replacement)
        )
        select order_id from owed join payments using (order_id)
        group by order_id, left_to_pay
        having sum(case kind when 'capture' then amount else -amount end) <> left_to_pay
            and bool_and(method <> 'on_account')""",
    "currencies are known": """
        select order_id from orders where currency not in ('EUR', 'USD', 'JPY', 'KWD') or currency is null""",
    "e-mail addresses look like some": """
        select customer_id from customers where email ~ '^[^@ ]+@[^@ ]+[.][^@ ]+$' is not true""",
    "refunds stay within their line": f"""
        with paid as (
            select order_item_id, quantity,
                (quantity * unit_price - coalesce(order_items.discount, 0)) / {_NET} as left_of_line,
                orders.subtotal - orders.discount as net,
                orders.subtotal
                - sum(coalesce(order_items.discount, 0) / {_NET}) over (partition by order_id) as left_of_order
            from order_items join orders using (order_id)
        )
        select order_item_id from refunds join paid using (order_item_id)
        group by order_item_id, paid.quantity, left_of_line, net, left_of_order
        having sum(refunds.quantity) > paid.quantity
            or sum(refunds.amount) * left_of_order > left_of_line * net""",
    "only what shipped is refunded": """
        select refund_id from refunds join order_items using (order_item_id) join orders using (order_id)
        where orders.shipped_at is null or refunded_at < shipped_at or refunds.quantity < 1 or refunds.amount < 0""",
    "units come back after they shipped, and tax with the money": """
        select refund_id from refunds join order_items using (order_item_id) join orders using (order_id)
        where refunds.tax < 0 or refunds.returned_at < shipped_at""",
    "money goes back with its tax, in the currency of its order and after it": f"""
        select order_refund_id from order_refunds left join orders using (order_id)
        where order_refunds.tax is distinct from
                round(amount / 10, {_DECIMALS}) + round(order_refunds.shipping / 10, {_DECIMALS})
            or amount < 0 or order_refunds.shipping < 0 or refunded_at < ordered_at
            or order_refunds.currency not in ('EUR', 'USD', 'JPY', 'KWD')
            or order_refunds.order_id is not null and order_refunds.currency is distinct from orders.currency""",
    "payments are of known kinds and methods, and of an order in its currency": """
        select transaction_id from payments left join orders using (order_id)
        where payments.kind not in ('capture', 'refund', 'issue') or not payments.amount > 0
            or payments.method not in ('card', 'gift_card', 'store_credit', 'on_account')
            or payments.order_id is not null and payments.currency is distinct from orders.currency""",
    "no more is paid back for an order than was captured, but for goodwill": """
        with goodwill as (
            select order_id, sum(amount + tax) as most from order_refunds where reason = 'goodwill' group by order_id
        )
        select order_id from payments left join goodwill using (order_id) where order_id is not null
        group by order_id, most
        having sum(case kind when 'capture' then amount when 'refund' then -amount else 0 end) < -coalesce(most, 0)""",
    "nothing that was paid for a cancelled order is kept": """
        select order_id from orders join payments using (order_id)
        where cancelled_at < (select max(updated_at) from orders) - interval '1 day'
        group by order_id
        having sum(case payments.kind when 'capture' then amount else -amount end) <> 0""",
    "a parcel is one, and holds what was ordered": """
        select shipment_item_id::text from shipment_items left join order_items using (order_item_id)
        left join orders using (order_id)
        where ordered_at is null or shipment_items.quantity < 1
            or shipment_items.shipped_at < ordered_at or shipment_items.delivered_at < shipment_items.shipped_at
        union all select shipment_number from shipment_items join order_items using (order_item_id)
        group by order_id, shipment_number
        having count(distinct (shipped_at, delivered_at, shipment_items.warehouse_id)) > 1
        union all select order_item_id::text from shipment_items join order_items using (order_item_id)
        group by order_item_id, order_items.quantity having sum(shipment_items.quantity) > order_items.quantity""",
    "an order leaves with its first parcel and arrives with its last": f"""
        with parcels as (
            select order_id, min(shipment_items.shipped_at) as shipped_at, max(delivered_at) as delivered_at,
                count(*) filter (where delivered_at is null) as under_way
            from shipment_items join order_items using (order_item_id)
            where order_item_id not in (select order_item_id from ({_REPLACEMENTS}) as replacement)
            group by order_id
        )
        select order_id from orders left join parcels using (order_id)
        where orders.shipped_at is distinct from parcels.shipped_at
            or orders.delivered_at is distinct from case when under_way = 0 then parcels.delivered_at end""",
    "kinds of movements are known and have their sign": """
        select movement_id from inventory_movements
        where case kind
            when 'receipt' then quantity > 0 when 'reservation' then quantity > 0 when 'return' then quantity > 0
            when 'release' then quantity < 0 when 'shipment' then quantity < 0 when 'adjustment' then quantity <> 0
            else false end is not true""",
    "0 ≤ reserved ≤ on hand": "select product_id from inventory where not (0 <= reserved and reserved <= on_hand)",
    "stock is the sum of its movements": """
        with moved as (
            select product_id, warehouse_id,
                coalesce(sum(quantity) filter (
                    where kind in ('receipt', 'shipment', 'return', 'adjustment')), 0) as on_hand,
                coalesce(sum(quantity) filter (where kind in ('reservation', 'release', 'shipment')), 0) as reserved
            from inventory_movements group by product_id, warehouse_id
        )
        select product_id from inventory full join moved using (product_id, warehouse_id)
        where (inventory.on_hand, inventory.reserved) is distinct from (moved.on_hand, moved.reserved)""",
    "0 ≤ reserved ≤ on hand after every movement": """
        with running as (
            select movement_id,
                sum(case when kind in ('receipt', 'shipment', 'return', 'adjustment') then quantity else 0 end)
                    over (partition by product_id, warehouse_id order by movement_id) as on_hand,
                sum(case when kind in ('reservation', 'release', 'shipment') then quantity else 0 end)
                    over (partition by product_id, warehouse_id order by movement_id) as reserved
            from inventory_movements
        )
        select movement_id from running where not (0 <= reserved and reserved <= on_hand)""",
    "every line is reserved once, then shipped or released as its order says": f"""
        select order_item_id from order_items join orders using (order_id)
        left join inventory_movements as moved using (order_item_id)
        where removed_at is null and order_item_id not in (select order_item_id from ({_REPLACEMENTS}) as replacement)
        group by order_item_id, order_items.quantity, orders.status, orders.shipped_at, orders.cancelled_at,
            orders.ordered_at
        having coalesce(sum(moved.quantity) filter (
                where kind = 'reservation' and moved_at = ordered_at), 0) <> order_items.quantity
            or coalesce(sum(moved.quantity) filter (where kind = 'shipment' and moved_at = shipped_at), 0)
                <> case when shipped_at is null then 0 else -order_items.quantity end
            or coalesce(sum(moved.quantity) filter (where kind = 'release' and moved_at = cancelled_at), 0)
                <> case when cancelled_at is null then 0 else -order_items.quantity end""",
    "a replacement is reserved when it is sold, and leaves with its parcel": f"""
        with parcels as (
            select order_item_id, min(shipped_at) as shipped_at, sum(quantity) as units
            from shipment_items where cancelled_at is null group by order_item_id
        )
        select order_item_id from ({_REPLACEMENTS}) as replacement join order_items using (order_item_id)
        left join parcels using (order_item_id) left join inventory_movements as moved using (order_item_id)
        group by order_item_id, order_items.quantity, replacement.sold_at, parcels.shipped_at, parcels.units
        having coalesce(sum(moved.quantity) filter (where kind = 'reservation' and moved_at = replacement.sold_at), 0)
                <> order_items.quantity
            or coalesce(sum(moved.quantity) filter (where kind = 'shipment' and moved_at = parcels.shipped_at), 0)
                <> -coalesce(parcels.units, 0)""",
    "a line that is taken out of an order is released at once, and the order is written then": """
        select order_item_id from order_items join orders using (order_id)
        left join inventory_movements as moved using (order_item_id)
        where removed_at is not null
        group by order_item_id, order_items.quantity, removed_at, order_items.updated_at, ordered_at, shipped_at,
            cancelled_at, orders.updated_at
        having removed_at <= ordered_at or removed_at > least(shipped_at, cancelled_at, orders.updated_at)
            or order_items.updated_at < removed_at
            or array_agg(moved.quantity order by moved_at) <> array[order_items.quantity, -order_items.quantity]
            or max(moved_at) <> removed_at""",
    "every restocked refund is a return": """
        with returned as (
            select order_item_id, sum(quantity) as units from inventory_movements
            where kind = 'return' group by order_item_id
        ), restocked as (
            select order_item_id, sum(quantity) as units from refunds where restocked group by order_item_id
        )
        select order_item_id from returned full join restocked using (order_item_id)
        where returned.units is distinct from restocked.units""",
    "movements are numbered in the order in which they happened": """
        select movement_id from (
            select movement_id, moved_at, lag(moved_at) over (
                partition by product_id, warehouse_id order by movement_id) as before
            from inventory_movements
        ) as numbered where moved_at < before""",
}


_NUMBERED = (
    "0 ≤ reserved ≤ on hand after every movement",
    "movements are numbered in the order in which they happened",
)
"""What only movements with numbers for keys can show."""


def broken_invariants(shop: Connection[Any]) -> dict[str, int]:
    """The rules that this shop breaks, each with the number of rows that break it."""
    rules = INVARIANTS if key_type(shop) == "integer" else {k: v for k, v in INVARIANTS.items() if k not in _NUMBERED}
    counts = {rule: len(shop.execute(query.encode()).fetchall()) for rule, query in rules.items()}
    return {rule: count for rule, count in counts.items() if count}
