-- One order per basket (155,848). A basket has one household, store and instant, 155,848 times of 155,848; grouping by
-- all three would show one that does not as two orders with one key, which the gate keeps aside.
--
-- Time: transaction_timestamp is UTC without saying so. Read as UTC and shown in New York, no basket falls outside 2017
-- or on Christmas Day, when the stores were closed, and every day lies in one `week`; read as wall time, a basket
-- falls into 2018, 51 days lie in two weeks, and midnight is busier (11,111 baskets) than nine in the morning (306).
-- The day in New York is the retailer's own.
-- A receipt is written once: the instant of the sale is also when the row was last written.
--
-- Money, in dollars: sales_value is what the retailer received, after the loyalty discount (retail_disc) and its match
-- of a coupon (coupon_match_disc); the shelf value is the three together. A manufacturer's coupon (coupon_disc,
-- 26,359.90) is paid back by the manufacturer: it is the retailer's income, and no discount here. There is no tax.
-- What an order took (subtotal - discount) is its sales_value to the cent.
--
-- The price of a unit is the shelf value by the units, rounded up to a cent as shops do ("3 for 5.00" is 1.67 each).
-- It does not divide for 15,884 of 1,460,438 lines with units; the 256.74 by which rounding up exceeds the shelf value
-- (of 5,392,232.87; at most 0.96 in a line) is part of the discount.
--
-- Gasoline comes in thousandths of a gallon (up to 89,638, at about a quarter of a cent each) in 13,520 of 14,697 lines,
-- and as one sale in the rest: 14,697 of 1,469,307 lines, 384,044.07. A line of it is one unit at its value. Every line
-- of 100 or more is gasoline but one: 144 ears of corn for 24.00, which are 144 units.
--
-- A line without units (quantity 0: 8,869) is nothing sold. 8,837 of them have no value and add nothing; 32 have (14.35
-- on the shelf, 12.52 received), which counts in the order here and in no line: the gate sees it and holds the order.
with lines as (
    select
        basket_id,
        household_id,
        store_id,
        transaction_timestamp at time zone 'UTC' as sold_at,
        sales_value,
        sales_value + retail_disc + coupon_match_disc as shelf_value,
        case when product_type = 'GASOLINE-REG UNLEADED' then least(quantity, 1) else quantity end as units
    from transactions
    left join products using (product_id)
    where transaction_timestamp >= :changed_since at time zone 'UTC'
),
baskets as (
    select
        basket_id,
        household_id,
        store_id,
        sold_at,
        sum(greatest(units, 1) * ceil(shelf_value * 100 / greatest(units, 1)) / 100) as subtotal,
        sum(sales_value) as received
    from lines
    group by basket_id, household_id, store_id, sold_at
)
select
    basket_id as order_id,
    household_id as customer_id,
    'delivered' as status, -- handed over at the till
    'USD' as currency,
    subtotal,
    subtotal - received as discount,
    0.00 as tax,
    null::numeric as tax_due,
    received as total,
    null as shipping_address,
    null as payment_id,
    null as channel,
    sold_at as ordered_at,
    sold_at as updated_at,
    null::timestamptz as shipped_at, -- never shipped
    sold_at as delivered_at,
    null::timestamptz as cancelled_at,
    null as cancelled_by,
    null as cancellation_reason,
    store_id::text as store_id -- dimensions.toml
from baskets
