"""The rows of lake/clean and of published tables that the balances of sales add up, as DuckDB relations."""

from __future__ import annotations

from typing import Final

# An order that was cancelled by the horizon and is not void came back whole: what was given back later is in that.
_COMES_BACK = "coalesce(placed.cancelled_on <= horizon() and placed.voided_on is null, false)"
_IS_VOID = "coalesce(placed.voided_on <= horizon(), false)"
_NOT_AFTER = "(placed.cancelled_on is null or placed.voided_on is not null or refunded_on <= placed.cancelled_on)"
_IN_ORDER = "(line.removed_on is null or line.removed_on > horizon())"

# Refunds are added up per line before the join, so that a line with two refunds stays one row.
ACCEPTED_LINES: Final = f"""
(
    select
        line.*,
        case when {_COMES_BACK} and {_IN_ORDER} then line.quantity else refunded.units end as refunded_units,
        refunded.returns_cents,
        refunded.tax_refunds_cents
    from clean.order_items as line
    join clean.orders as placed using (order_id)
    left join (
        select
            refund.order_item_id, sum(refund.quantity) as units, sum(refund.amount_cents) as returns_cents,
            sum(refund.tax_cents) as tax_refunds_cents
        from clean.refunds as refund
        join clean.order_items using (order_item_id)
        join clean.orders as placed using (order_id)
        where refund.refunded_on <= horizon() and {_NOT_AFTER}
        group by refund.order_item_id
    ) as refunded using (order_item_id)
    where line.sold_on <= horizon()
) as line
"""

# What was given back of orders, by line and by none; of one that came back whole, all of its shipping and tax.
ACCEPTED_ORDERS: Final = f"""
(
    select
        placed.*,
        lines.own_discounts_cents,
        lines.gross_cents,
        {_COMES_BACK} as comes_back,
        placed.shipping_cents - placed.shipping_discount_cents as net_shipping_cents,
        coalesce(given_back.other_cents, 0) as other_cents,
        coalesce(given_back.shipping_cents, 0) as shipping_back_cents,
        coalesce(given_back.tax_cents, 0) + coalesce(of_lines.tax_cents, 0) as tax_back_cents
    from clean.orders as placed
    left join (
        select order_id, sum(discount_cents) as own_discounts_cents, sum(gross_cents) as gross_cents
        from clean.order_items as line
        where sold_on <= horizon() and {_IN_ORDER}
        group by order_id
    ) as lines using (order_id)
    left join (
        select
            order_id, sum(refund.amount_cents) as other_cents, sum(refund.shipping_cents) as shipping_cents,
            sum(refund.tax_cents) as tax_cents
        from clean.order_refunds as refund
        join clean.orders as placed using (order_id)
        where refund.refunded_on <= horizon() and {_NOT_AFTER}
        group by order_id
    ) as given_back using (order_id)
    left join (
        select order_id, sum(refund.tax_cents) as tax_cents
        from clean.refunds as refund
        join clean.order_items as line using (order_item_id)
        join clean.orders as placed using (order_id)
        where refund.refunded_on <= horizon() and {_IN_ORDER} and {_NOT_AFTER}
        group by order_id
    ) as of_lines using (order_id)
    where placed.ordered_on <= horizon()
) as placed
"""

# What counts on a day: orders placed and cancelled, lines sold and taken out, refunds given, and units that came back.
DAY: Final = f"""
(
    select
        ordered_on as day, currency, 1 as orders, customer_id, is_first_order::integer as is_first,
        (customer_id is null)::integer as is_guest, shipping_cents, tax_cents, rounding_cents
    from reporting.orders where voided_on is null
    union all by name
    select sold_on as day, currency, quantity as units, gross_sales_cents, discount_allocated_cents as discount_cents
    from reporting.order_lines where not is_void
    union all by name
    select
        removed_on as day, currency, quantity as refunded_units,
        gross_sales_cents - discount_allocated_cents as amount_cents
    from reporting.order_lines where removed_on is not null and not is_void
    union all by name
    select case when voided_on is null then cancelled_on else ordered_on end as day, currency, 1 as cancelled_orders
    from reporting.orders where status = 'cancelled'
    union all by name
    select
        cancelled_on as day, currency, cancelled_shipping_cents as shipping_refunds_cents,
        cancelled_tax_cents as tax_refunds_cents, -cancelled_refunds_cents as other_refunds_cents,
        -rounding_cents as rounding_cents
    from reporting.orders where cancelled_on is not null and voided_on is null
    union all by name
    select
        cancelled_on as day, currency, cancelled_quantity as refunded_units, cancelled_returns_cents as amount_cents
    from reporting.order_lines where cancelled_on is not null and not is_void
    union all by name
    select
        refund.refunded_on as day, placed.currency, refund.quantity as refunded_units, refund.amount_cents,
        refund.tax_cents as tax_refunds_cents
    from clean.refunds as refund
    join clean.order_items as line using (order_item_id)
    join clean.orders as placed using (order_id)
    where refund.refunded_on <= horizon() and not {_IS_VOID} and {_IN_ORDER} and {_NOT_AFTER}
    union all by name
    select refund.returned_on as day, placed.currency, refund.quantity as returned_units
    from clean.refunds as refund
    join clean.order_items as line using (order_item_id)
    join clean.orders as placed using (order_id)
    where refund.returned_on <= horizon() and refund.refunded_on <= horizon()
        and not {_IS_VOID} and {_IN_ORDER} and {_NOT_AFTER}
    union all by name
    select
        refund.refunded_on as day, refund.currency, refund.amount_cents as other_refunds_cents,
        refund.shipping_cents as shipping_refunds_cents, refund.tax_cents as tax_refunds_cents
    from clean.order_refunds as refund
    left join clean.orders as placed using (order_id)
    where refund.refunded_on <= horizon() and not {_IS_VOID} and {_NOT_AFTER}
)
"""
