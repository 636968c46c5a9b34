create or replace view reporting.data_status as
with latest as (
    select distinct on (schema_name, table_name)
        publication_tables.*,
        publications.horizon,
        publications.published_at,
        case when runs.kind = 'republish' then
            'put back: as the night of ' || publications.night || ' was published, by publication ' || runs.built_from
        end as put_back
    from audit.publication_tables
    join audit.publications using (publication_id)
    join audit.runs using (run_id)
    order by schema_name, table_name, publication_id desc
),

held as (
    select
        tables.schema_name,
        tables.table_name,
        coalesce(quarantine.currency, '?') as currency,
        count(*) as rows,
        sum(quarantine.amount) as amount
    from audit.tables
    join audit.quarantine on quarantine.source = any(tables.sources) and quarantine.outcome = 'open'
    group by tables.schema_name, tables.table_name, coalesce(quarantine.currency, '?')
),

at_stake as (
    select
        schema_name,
        table_name,
        sum(rows)::bigint as rows,
        jsonb_object_agg(currency, amount) filter (where amount <> 0) as amounts
    from held
    group by schema_name, table_name
)

select
    tables.schema_name || '.' || tables.table_name as published_table,
    latest.horizon as last_day,
    latest.rows,
    latest.published_at,
    latest.publication_id,
    latest.complete,
    coalesce(at_stake.rows, 0) as quarantined_rows,
    coalesce(at_stake.amounts, '{}') as quarantined_amounts,
    case
        when tables.left_out is not null then 'absent: ' || tables.left_out
        when latest.publication_id is null then 'not published yet'
        when not latest.complete then 'incomplete: the copy does not hold as many rows as the shop'
        when latest.put_back is not null then latest.put_back
        when at_stake.rows > 0 then 'published, some rows are in quarantine'
        else 'ok'
    end as verdict
from audit.tables
left join latest using (schema_name, table_name)
left join at_stake using (schema_name, table_name);
comment on view reporting.data_status is 'One row per table: how far it goes, when it was published, and whether to trust it.';
comment on column reporting.data_status.last_day is 'The last whole business day it covers (a table of slices: of its latest slice; labels: the day on which its window closed).';
comment on column reporting.data_status.complete is 'Whether the copy it was made from, with the quarantine, holds as many rows as the shop.';
comment on column reporting.data_status.quarantined_amounts is 'Money of the rows in quarantine that this table would have used, per currency.';
