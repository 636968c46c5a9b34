-- None: no line takes money back (the least sales_value is 0.00), and there is no other record of a return. That is
-- said here as an empty table, and not by leaving this file out: an absent source means unknown, and net sales are
-- not unknown.
select
    null::bigint as refund_id,
    null::bigint as order_item_id,
    null::bigint as quantity,
    null::numeric as amount,
    null::boolean as restocked,
    null::timestamptz as refunded_at,
    null::timestamptz as updated_at
where false and :changed_since is not null
