-- What was captured and paid back, one row per capture and refund. What was paid by gift card or store credit is a
-- credit line of the order in Medusa, written again for every version: here one payment at the time of the first.
-- Other credit lines (goodwill, what an edit left over) move no money by themselves.
-- Payments of drafts and deleted orders are left out, as these are.
-- A gift card that was sold is money put on it, once the order is paid: what was paid for it. Of an order of nothing else
-- there is no order to name, and of one that was cancelled there is no card.
with rates as (
    select
        item_id as line_id,
        sum(rate) filter (where deleted_at is null) / 100 as rate,
        max(updated_at) as updated_at
    from order_line_item_tax_line
    group by item_id
),
lines as (
    select
        line.id as line_id,
        placed.id as order_id,
        placed.version,
        placed.canceled_at,
        line.is_giftcard,
        upper(placed.currency_code) as currency,
        coalesce(rates.rate, 0) as rate,
        item.quantity * coalesce(item.unit_price, line.unit_price)
            / case when line.is_tax_inclusive then 1 + coalesce(rates.rate, 0) else 1 end as subtotal,
        greatest(placed.updated_at, item.updated_at, line.updated_at, rates.updated_at) as updated_at
    from "order" as placed
    join order_item as item on item.order_id = placed.id and item.version = placed.version
    join order_line_item as line on line.id = item.item_id
    left join rates on rates.line_id = line.id
    where not placed.is_draft_order and placed.deleted_at is null
        and item.quantity > 0 and item.deleted_at is null and line.deleted_at is null
),
card_orders as (
    select order_id
    from lines
    group by order_id
    having bool_and(is_giftcard)
),
discounts as (
    select
        line_id,
        sum(adjustment.amount / case when adjustment.is_tax_inclusive then 1 + rate else 1 end)
            filter (where adjustment.deleted_at is null) as discount,
        max(adjustment.updated_at) as updated_at
    from lines
    join order_line_item_adjustment as adjustment on adjustment.item_id = line_id and adjustment.version = lines.version
    where is_giftcard
    group by line_id
),
collected as (
    select
        payment.id as payment_id,
        link.order_id,
        case
            when payment.provider_id = 'pp_system_default' then null -- by hand: it does not say how
            when payment.provider_id like 'pp\_stripe\_%' then 'card'
            when payment.provider_id like 'pp\_paypal%' then 'wallet'
            else payment.provider_id
        end as method,
        upper(payment.currency_code) as currency,
        greatest(payment.updated_at, link.updated_at, placed.updated_at) as updated_at
    from payment
    left join order_payment_collection as link
        on link.payment_collection_id = payment.payment_collection_id and link.deleted_at is null
    left join "order" as placed on placed.id = link.order_id
    where payment.deleted_at is null
        and (placed.id is null or not placed.is_draft_order and placed.deleted_at is null)
),
moved as (
    select id as movement_id, payment_id, 'capture' as kind, amount, created_at, updated_at
    from capture
    where deleted_at is null
    union all
    select id, payment_id, 'refund', amount, created_at, updated_at
    from refund
    where deleted_at is null
),
credited as (
    select
        concat_ws('/', placed.id, line.reference, line.reference_id) as movement_id,
        placed.id as order_id,
        case line.reference when 'gift-card' then 'gift_card' else 'store_credit' end as method,
        upper(placed.currency_code) as currency,
        sum(line.amount) filter (where line.version = placed.version and line.deleted_at is null) as amount,
        min(line.created_at) as created_at,
        greatest(placed.updated_at, max(line.updated_at)) as updated_at
    from order_credit_line as line
    join "order" as placed on placed.id = line.order_id
    where line.reference in ('gift-card', 'store-credit')
        and not placed.is_draft_order and placed.deleted_at is null
    group by placed.id, placed.version, placed.currency_code, placed.updated_at, line.reference, line.reference_id
),
paid as (
    select
        moved.movement_id as payment_id,
        collected.order_id,
        moved.kind,
        collected.method,
        collected.currency,
        moved.amount,
        moved.created_at as paid_at,
        greatest(moved.updated_at, collected.updated_at) as updated_at
    from moved
    join collected on collected.payment_id = moved.payment_id
    union all
    select movement_id, order_id, 'capture', method, currency, amount, created_at, updated_at
    from credited
    where amount > 0
),
first_paid as (
    select
        order_id,
        min(paid_at) filter (where kind = 'capture') as paid_at,
        max(updated_at) as updated_at
    from paid
    group by order_id
),
issued as (
    select
        line_id,
        lines.order_id,
        currency,
        subtotal - coalesce(discount, 0) + greatest(subtotal - coalesce(discount, 0), 0) * rate as amount,
        first_paid.paid_at,
        greatest(lines.updated_at, discounts.updated_at, first_paid.updated_at) as updated_at
    from lines
    join first_paid on first_paid.order_id = lines.order_id
    left join discounts using (line_id)
    where is_giftcard and canceled_at is null
),
payments as (
    select payment_id, order_id, kind, method, currency, amount, paid_at, updated_at
    from paid
    union all
    select line_id, order_id, 'issue', 'gift_card', currency, amount, paid_at, updated_at
    from issued
    where paid_at is not null and amount > 0
)
select
    payment_id,
    case when order_id not in (select order_id from card_orders) then order_id end as order_id,
    kind,
    method,
    currency,
    round(
        amount,
        case
            -- ISO 4217: Medusa's own decimal_digits differ from it.
            when currency in (
                'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW',
                'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF'
            ) then 0
            when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
            else 2
        end
    ) as amount,
    paid_at,
    updated_at
from payments
where updated_at >= :changed_since
