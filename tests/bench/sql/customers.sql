-- One row per customer: what they bought so far, amounts in the currency of most of their orders.
with by_currency as (
    select
        customer_id,
        currency,
        min(ordered_on) as first_ordered_on,
        max(ordered_on) as last_ordered_on,
        count(*) as orders,
        sum(units) as units,
        sum(refunded_units) as returned_units,
        sum(gross_sales) as gross_sales,
        sum(discount) as discounts,
        sum(returns) as returns,
        sum(net_sales) as net_sales
    from plain.orders
    where status <> 'cancelled' and customer_id is not null
    group by customer_id, currency
),
over_currencies as (
    select
        customer_id,
        min(first_ordered_on) as first_ordered_on,
        max(last_ordered_on) as last_ordered_on,
        sum(orders) as lifetime_orders,
        sum(units) as lifetime_units,
        sum(returned_units) as returned_units
    from by_currency
    group by customer_id
),
main as (
    select distinct on (customer_id) *
    from by_currency
    order by customer_id, orders desc, currency
)
select
    customers.customer_id,
    main.currency,
    over_currencies.first_ordered_on,
    over_currencies.last_ordered_on,
    coalesce(lifetime_orders, 0) as lifetime_orders,
    coalesce(lifetime_orders - main.orders, 0) as other_currency_orders,
    coalesce(lifetime_units, 0) as lifetime_units,
    coalesce(over_currencies.returned_units, 0) as returned_units,
    coalesce(main.gross_sales, 0) as lifetime_gross_sales,
    coalesce(main.discounts, 0) as lifetime_discounts,
    coalesce(main.returns, 0) as returns,
    coalesce(main.net_sales, 0) as lifetime_net_sales,
    ((main.gross_sales - main.discounts) * 1000)::bigint::double precision
    / (main.orders * 1000)::double precision as average_order_value,
    %(as_of)s::date - over_currencies.last_ordered_on as days_since_last_order,
    case
        when %(as_of)s::date - over_currencies.last_ordered_on <= %(active_days)s and lifetime_orders = 1 then 'new'
        when %(as_of)s::date - over_currencies.last_ordered_on <= %(active_days)s then 'active'
        when %(as_of)s::date - over_currencies.last_ordered_on <= %(lapsed_days)s then 'at_risk'
        when %(as_of)s::date - over_currencies.last_ordered_on > %(lapsed_days)s then 'lapsed'
    end as stage
from customers
left join over_currencies using (customer_id)
left join main using (customer_id)
