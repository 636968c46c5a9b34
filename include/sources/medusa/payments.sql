-- What was captured and paid back, one row per capture and refund. What was paid by gift card or store credit is a
-- credit line of the order in Medusa, written again for every version: here one payment at the time of the first.
-- Other credit lines (goodwill, what an edit left over) move no money by themselves.
-- Payments of drafts and deleted orders are left out, as these are.
with collected as (
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
payments as (
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
)
select
    payment_id,
    order_id,
    kind,
    method,
    currency,
    amount,
    paid_at,
    updated_at
from payments
where updated_at >= :changed_since
