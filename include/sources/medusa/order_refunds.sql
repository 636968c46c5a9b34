-- What was paid back beyond what the shop owed on an order: goodwill, shipping, a price that was wrong. A refund names a
-- payment and no line. But what of it no return and no edit had made the shop owe, Medusa writes down as a credit line
-- of the order: it names the payment collection, or the reason that was chosen (its label, and as reference_id its
-- code). Other credit lines are no refunds: a gift card and store credit are payments, and what the dashboard settles
-- without money, or a program writes, names something else.
--
-- Medusa puts no tax in a credit line and takes none off its order's tax: all of it is amount, tax and shipping are 0.
--
-- Left out: the credit by which a cancelled order comes to nothing, since such an order is void with all that was given
-- back, and that of an order of nothing but gift cards, which is no order.
with placed as (
    select
        id,
        version,
        currency_code,
        updated_at
    from "order"
    where not is_draft_order and deleted_at is null and canceled_at is null
),
card_orders as (
    select placed.id as order_id
    from placed
    join order_item as item on item.order_id = placed.id and item.version = placed.version
    join order_line_item as line on line.id = item.item_id
    where item.quantity > 0 and item.deleted_at is null and line.deleted_at is null
    group by placed.id
    having bool_and(line.is_giftcard)
),
credits as (
    -- Every version of an order has a row for each credit, with an id and a time of its own. Two of one amount are told
    -- apart by their number: the second is there since the version that has two of them.
    select
        placed.id as order_id,
        placed.currency_code,
        placed.version as order_version,
        line.version,
        line.reference,
        line.reference_id,
        trim_scale(line.amount) as amount,
        row_number() over (
            partition by placed.id, line.version, line.reference, line.reference_id, line.amount
            order by line.created_at, line.id
        ) as number,
        line.created_at,
        line.deleted_at,
        greatest(placed.updated_at, max(line.updated_at) over (partition by placed.id)) as updated_at
    from placed
    join order_credit_line as line on line.order_id = placed.id
    where line.amount > 0
        and (line.reference = 'payment_collection' or line.reference_id in (select code from refund_reason))
        and placed.id not in (select order_id from card_orders)
),
given_back as (
    select
        concat_ws('/', order_id, reference, reference_id, amount, number) as order_refund_id,
        order_id,
        upper(currency_code) as currency,
        amount,
        case when reference <> 'payment_collection' then reference end as reason,
        min(created_at) as refunded_at,
        max(updated_at) as updated_at
    from credits
    group by order_id, currency_code, reference, reference_id, amount, number
    having bool_or(version = order_version and deleted_at is null)
)
select
    order_refund_id,
    order_id,
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
    reason,
    refunded_at,
    updated_at
from given_back
where updated_at >= :changed_since
