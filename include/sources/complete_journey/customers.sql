-- Every household that bought (2,469), and any that only has demographics (of 801, none): 1,668 households bought and
-- have no demographics, which is no defect. A household is known from its first purchase on, and its row says nothing
-- else that could change later; one that never bought would have no such instant, and the gate would say so.
with purchases as (
    select
        household_id,
        min(transaction_timestamp) at time zone 'UTC' as first_bought_at
    from transactions
    group by household_id
)
select
    household_id as customer_id,
    null as email,
    null as name,
    null as country,
    first_bought_at as created_at,
    first_bought_at as updated_at
from purchases
full join demographics using (household_id)
where (first_bought_at >= :changed_since or first_bought_at is null)
