-- What came back, one row per returned line: Medusa's refunds name a payment and no line, its returns lines and no
-- money. A returned unit is worth its share of what its line sold for, without tax; what was paid for it may differ.
-- So is the tax on it. Money alone (goodwill, a difference after an edit, shipping) has no line and is not here.
with latest as (
    -- Every version of an order has a row for each line that is in it: the last one of a line is how it is, or was.
    select distinct on (item_id)
        item_id,
        order_id,
        version,
        quantity,
        unit_price,
        updated_at
    from order_item
    where quantity > 0 and deleted_at is null
    order by item_id, version desc
),
sold_lines as (
    select
        line.id as line_id,
        placed.id as order_id,
        item.version,
        item.version < placed.version as is_removed,
        placed.sales_channel_id,
        case
            -- ISO 4217: Medusa's own decimal_digits differ from it.
            when upper(placed.currency_code) in (
                'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW',
                'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF'
            ) then 0
            when upper(placed.currency_code) in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
            else 2
        end as digits,
        coalesce(line.variant_id, 'custom: ' || line.title) as product_id,
        item.quantity,
        coalesce(item.unit_price, line.unit_price) as listed_price,
        line.is_tax_inclusive,
        greatest(placed.updated_at, item.updated_at, line.updated_at) as updated_at
    from "order" as placed
    join latest as item on item.order_id = placed.id
    join order_line_item as line on line.id = item.item_id
    where not placed.is_draft_order and placed.deleted_at is null
        and line.deleted_at is null and not line.is_giftcard
),
rates as (
    select
        item_id as line_id,
        sum(rate) filter (where deleted_at is null) / 100 as rate,
        max(updated_at) as updated_at
    from order_line_item_tax_line
    group by item_id
),
prices as (
    select
        line_id,
        coalesce(rate, 0) as rate,
        case when is_tax_inclusive then 1 + coalesce(rate, 0) else 1 end as listed_for, -- of 1 without tax
        rates.updated_at
    from sold_lines
    left join rates using (line_id)
),
discounts as (
    select
        line_id,
        sum(adjustment.amount / case when adjustment.is_tax_inclusive then 1 + rate else 1 end)
            filter (where adjustment.deleted_at is null) as discount,
        max(adjustment.updated_at) as updated_at
    from sold_lines
    join prices using (line_id)
    join order_line_item_adjustment as adjustment
        on adjustment.item_id = line_id and adjustment.version = sold_lines.version
    group by line_id
),
received as (
    select
        part.id as part_id,
        part.item_id as line_id,
        part.received_quantity,
        coalesce(part.damaged_quantity, 0) as damaged_quantity,
        sold_lines.listed_price / prices.listed_for - coalesce(discounts.discount, 0) / sold_lines.quantity as unit_worth,
        prices.rate,
        sold_lines.digits,
        -- A return of which a part is still on its way has no time of its own yet.
        coalesce(returned.received_at, part.updated_at) as received_at,
        greatest(
            returned.updated_at, part.updated_at, sold_lines.updated_at, prices.updated_at, discounts.updated_at
        ) as updated_at
    from return as returned
    join return_item as part on part.return_id = returned.id
    join sold_lines on sold_lines.line_id = part.item_id
    join prices on prices.line_id = part.item_id
    left join discounts on discounts.line_id = part.item_id
    where part.received_quantity > 0
        and returned.canceled_at is null and returned.deleted_at is null and part.deleted_at is null
),
refunded as (
    -- received_quantity includes the damaged units, which do not go back on a shelf: they are a row of their own.
    select
        part_id as refund_id,
        line_id,
        received_quantity - damaged_quantity as quantity,
        unit_worth,
        rate,
        digits,
        true as restocked,
        received_at,
        updated_at
    from received
    union all
    select part_id || '/damaged', line_id, damaged_quantity, unit_worth, rate, digits, false, received_at, updated_at
    from received
)
select
    refund_id,
    line_id as order_item_id,
    quantity,
    round(quantity * unit_worth, digits) as amount,
    round(quantity * unit_worth * rate, digits) as tax,
    restocked,
    received_at as refunded_at,
    received_at as returned_at,
    updated_at
from refunded
where quantity > 0 and updated_at >= :changed_since
