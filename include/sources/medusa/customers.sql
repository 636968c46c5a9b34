-- One customer per customer record with an account. A guest has a record too (has_account is false), which names an
-- e-mail and no person: their orders name no customer.
--
-- A deleted customer is left out, unless an order still names them: without the row that order could not be counted.
-- Then name and e-mail are left out.
with addresses as (
    select
        customer_id,
        (array_agg(upper(country_code) order by is_default_billing desc, is_default_shipping desc, created_at, id)
            filter (where deleted_at is null and country_code is not null))[1] as country,
        max(updated_at) as updated_at
    from customer_address
    group by customer_id
),
known as (
    select
        customer.*,
        addresses.country,
        greatest(customer.updated_at, addresses.updated_at) as touched_at
    from customer
    left join addresses on addresses.customer_id = customer.id
)
select
    id as customer_id,
    case when deleted_at is null then email end as email,
    case
        when deleted_at is null
            then coalesce(nullif(concat_ws(' ', nullif(first_name, ''), nullif(last_name, '')), ''), company_name)
    end as name,
    country,
    created_at,
    touched_at as updated_at
from known
where has_account
    and (deleted_at is null or id in (select customer_id from "order" where not is_draft_order and deleted_at is null))
    and touched_at >= :changed_since
