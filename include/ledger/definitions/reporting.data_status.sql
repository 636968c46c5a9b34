create or replace view reporting.data_status as
with shown as (
    -- The night that readers see: the last one, or a past one that was put back.
    select publications.publication_id, case when runs.kind = 'republish' then runs.built_from end as put_back_from
    from audit.publications
    join audit.runs using (run_id)
    where runs.kind in ('night', 'replay', 'republish')
    order by publications.publication_id desc
    limit 1
),

published as (
    select
        publication_tables.*,
        tables.sliced,
        publications.night,
        case when tables.sliced then publications.night else publications.horizon end as last_day,
        publications.published_at,
        runs.kind,
        case when runs.kind = 'republish' then
            'put back: as the night of ' || publications.night || ' was published, by publication ' || runs.built_from
        end as put_back
    from audit.publication_tables
    join audit.tables using (schema_name, table_name)
    join audit.publications using (publication_id)
    join audit.runs using (run_id)
),

-- Of each slice, the latest publication that counts for readers. Any other table is one slice.
slices as (
    select distinct on (published.schema_name, published.table_name, case when published.sliced then published.night end)
        published.*
    from published
    left join shown on published.schema_name = 'reporting'
    where not published.sliced
        or shown.put_back_from is null
        or published.publication_id <= shown.put_back_from
        or published.publication_id >= shown.publication_id
    order by
        published.schema_name,
        published.table_name,
        case when published.sliced then published.night end,
        published.publication_id desc
),

latest as (
    select distinct on (schema_name, table_name) *
    from slices
    where kind <> 'removal'
    order by schema_name, table_name, night desc
),

-- Nights that were published since a feature set was first published, and of which it has no slice.
missing as (
    select
        tables.schema_name,
        tables.table_name,
        string_agg(nights.night::text, ', ' order by nights.night desc) filter (where nights.number <= 3)
        || case when count(*) > 3 then ' and ' || count(*) - 3 || ' more' else '' end as nights
    from audit.tables
    cross join lateral (
        select publications.night, row_number() over (order by publications.night desc) as number
        from audit.publications
        join audit.runs using (run_id)
        where runs.kind = 'night'
            and not exists (
                select from audit.publications as removal
                join audit.runs as remover using (run_id)
                where remover.kind = 'removal' and removal.night = publications.night
                    and removal.publication_id > publications.publication_id
            )
            and publications.publication_id > (
                select min(first.publication_id)
                from audit.publication_tables as first
                where first.schema_name = tables.schema_name and first.table_name = tables.table_name
            )
            and not exists (
                select from published
                where published.schema_name = tables.schema_name
                    and published.table_name = tables.table_name
                    and published.night = publications.night
            )
        group by publications.night
    ) as nights
    where tables.schema_name = 'features' and tables.sliced
    group by tables.schema_name, tables.table_name
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
    latest.last_day,
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
        when missing.nights is not null then 'no slice of ' || missing.nights
        when at_stake.rows > 0 then 'published, some rows are in quarantine'
        else 'ok'
    end as verdict
from audit.tables
left join latest using (schema_name, table_name)
left join missing using (schema_name, table_name)
left join at_stake using (schema_name, table_name);
comment on view reporting.data_status is
'One row per table: how far it goes, when it was published, and whether to trust it. Of a table of slices, all of it is said of the latest slice.';
comment on column reporting.data_status.last_day is 'The last whole business day it covers (a table of slices: the night of its latest slice; labels: the day on which its window closed).';
comment on column reporting.data_status.rows is 'Of the whole table; of a table of slices, of its latest slice.';
comment on column reporting.data_status.complete is 'Whether the copy it was made from, with the quarantine, holds as many rows as the shop.';
comment on column reporting.data_status.quarantined_amounts is 'Money of the rows in quarantine that this table would have used, per currency.';
comment on column reporting.data_status.verdict is
'ok, or what is to be known first: it is absent, incomplete, put back, a published night has no slice of it, or rows are in quarantine.';
