-- The ledger: what happened to every row and every table, every night. Each statement may be run again.

create schema if not exists audit;
create schema if not exists reporting;
create schema if not exists features;
create schema if not exists staging;

create table if not exists audit.runs (
    run_id text primary key,
    night date not null,
    engine text not null,
    full_refresh boolean not null,
    dry_run boolean not null,
    parity text,
    horizon date not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    state text not null default 'running' check (state in ('running', 'success', 'failed')),
    snapshot_at timestamptz,
    changed_until timestamptz,
    accepting boolean not null default false,
    accepting_from jsonb,
    error text,
    dag text not null default 'nightly',
    built_from bigint,
    judged_at timestamptz
);
do $$
begin
    -- A ledger from before features had runs of their own. Asked first, for adding takes a lock also where it adds nothing.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'runs' and column_name = 'built_from'
    ) then
        alter table audit.runs add column dag text not null default 'nightly', add column built_from bigint;
    end if;
    -- And from before the quarantine was replayed.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'runs' and column_name = 'judged_at'
    ) then
        alter table audit.runs add column judged_at timestamptz;
    end if;
end
$$;
comment on table audit.runs is 'One row per run of the DAGs nightly, features, republish and replay, published or not.';
comment on column audit.runs.dag is 'Whose run it is: nightly, features, republish or replay.';
comment on column audit.runs.built_from is
'Features: the publication whose copy of the shop they are built from; republish: the one it puts back; replay: the one whose quarantine it judges again. Null for a night.';
comment on column audit.runs.judged_at is
'When a replay that had nothing to release, and so published nothing, entered its verdicts on the quarantine.';
comment on column audit.runs.night is 'The business day the run was for.';
comment on column audit.runs.engine is 'What was asked for; audit.builds says what built each table.';
comment on column audit.runs.parity is 'The second engine on which a sample of the tables was built and compared.';
comment on column audit.runs.horizon is 'The last whole business day that its reporting tables cover.';
comment on column audit.runs.snapshot_at is 'The shop''s clock when its one snapshot was taken.';
comment on column audit.runs.accepting is 'Whether it is changing the lake, or died doing so: the next run then reads everything.';
comment on column audit.runs.error is 'What the first failed task said.';

create table if not exists audit.stages (
    run_id text not null references audit.runs (run_id),
    stage text not null,
    started_at timestamptz not null,
    seconds double precision not null,
    primary key (run_id, stage)
);
comment on table audit.stages is 'One row per run and stage: how long its latest attempt took.';

create table if not exists audit.source_counts (
    run_id text not null references audit.runs (run_id),
    source text not null,
    changed_since text not null,
    extracted bigint not null,
    accepted bigint,
    quarantined bigint,
    released bigint,
    recalled bigint,
    deleted bigint,
    source_rows bigint not null,
    late bigint not null default 0,
    gone bigint not null default 0,
    proof text,
    clean_rows bigint,
    held_rows bigint,
    clean_version bigint,
    known bigint,
    replaced bigint,
    held_version bigint,
    complete boolean generated always as (source_rows = clean_rows + held_rows) stored,
    primary key (run_id, source)
);
do $$
begin
    -- A ledger from before the copy was proven by checksums.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'source_counts' and column_name = 'proof'
    ) then
        alter table audit.runs add column changed_until timestamptz;
        alter table audit.source_counts
            add column late bigint not null default 0, add column gone bigint not null default 0, add column proof text;
    end if;
    -- And from before a table went on from its last build.
    if exists (select from information_schema.tables where table_schema = 'audit' and table_name = 'builds') and not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'builds' and column_name = 'inputs'
    ) then
        alter table audit.builds
            add column inputs jsonb, add column definition text, add column built_at timestamptz not null default now();
    end if;
    -- And from before every row was accounted for.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'source_counts' and column_name = 'known'
    ) then
        alter table audit.source_counts
            add column known bigint, add column replaced bigint, add column held_version bigint;
    end if;
    -- And from before an acceptance that was tried again went by what its first try had found.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'runs' and column_name = 'accepting_from'
    ) then
        alter table audit.runs add column accepting_from jsonb;
    end if;
end
$$;
comment on column audit.runs.accepting_from is
'By source and layer, the version of lake/clean and lake/quarantine that it began to change: another try begins there too.';
comment on column audit.runs.changed_until is
'The watermark that its publication sets: the snapshot, but before every transaction that was open in the shop then.';
comment on table audit.source_counts is
'One row per run and source. extracted = accepted + quarantined; a run of features, republish or replay reads nothing and has the copy of its built_from.';
comment on column audit.source_counts.changed_since is 'The window: rows written since then were read; -infinity is all.';
comment on column audit.source_counts.released is 'Rows that an earlier night quarantined and this one accepted unread.';
comment on column audit.source_counts.recalled is 'Rows accepted earlier that this night quarantined unread (an item with its order).';
comment on column audit.source_counts.deleted is 'Rows of earlier nights that the shop no longer has any more.';
comment on column audit.source_counts.known is
'Rows of the copy before, accepted or held. known + extracted = replaced + deleted + clean_rows + held_rows.';
comment on column audit.source_counts.replaced is 'Of the known rows, those whose key was read anew.';
comment on column audit.source_counts.source_rows is 'Rows in the shop, counted in the same snapshot.';
comment on column audit.source_counts.late is
'Of the extracted rows, those that only the completeness proof found: committed or changed with a time before the window.';
comment on column audit.source_counts.gone is
'Rows of the copy that only the completeness proof found deleted in the shop; they are among deleted.';
comment on column audit.source_counts.proof is
'How much of the copy was compared with the shop by checksums: whole, or new keys. Null: it read nothing itself.';
comment on column audit.source_counts.clean_rows is 'Rows in lake/clean afterwards.';
comment on column audit.source_counts.held_rows is 'Rows in quarantine afterwards.';
comment on column audit.source_counts.clean_version is 'The version of lake/clean that this run''s tables were built from.';
comment on column audit.source_counts.held_version is 'The version of lake/quarantine that this run left.';
comment on column audit.source_counts.complete is 'Whether clean and quarantined rows are as many as the shop holds.';

create table if not exists audit.source_schemas (
    source text primary key,
    statement text not null,
    relations jsonb not null,
    found_by text not null references audit.runs (run_id),
    found_at timestamptz not null default now()
);
comment on table audit.source_schemas is
'One row per source of a shop without a schema.toml: the tables it reads, as the first night found them.';
comment on column audit.source_schemas.statement is 'A digest of the .sql file; a changed file starts over.';
comment on column audit.source_schemas.relations is 'Columns, enum labels, keys and foreign keys, by table.';

create table if not exists audit.schema_changes (
    relation text not null,
    column_name text not null,
    what text not null,
    run_id text not null references audit.runs (run_id),
    found_at timestamptz not null default now(),
    primary key (relation, column_name, what)
);
comment on table audit.schema_changes is
'One row per column of the shop that was new, or wider than expected, and by which run that was seen first.';

create table if not exists audit.expectation_results (
    run_id text not null references audit.runs (run_id),
    table_name text not null,
    rule text not null,
    meaning text not null,
    severity text not null,
    evaluated bigint not null,
    broken bigint not null,
    examples text[] not null,
    primary key (run_id, table_name, rule)
);
comment on table audit.expectation_results is 'One row per run, table and rule: what Great Expectations judged.';
comment on column audit.expectation_results.table_name is 'schema.name; the schema is source, reporting or features.';
comment on column audit.expectation_results.examples is 'Keys of the first rows that broke it.';

create table if not exists audit.builds (
    run_id text not null references audit.runs (run_id),
    schema_name text not null,
    table_name text not null,
    engine text not null,
    lake_version bigint not null,
    rows bigint not null,
    digest text not null,
    inputs jsonb,
    definition text,
    horizon date,
    built_at timestamptz not null default now(),
    primary key (run_id, schema_name, table_name)
);
comment on table audit.builds is 'One row per run and table: what was built, published or not.';
comment on column audit.builds.rows is 'Rows of the whole table, or of the night''s slice.';
comment on column audit.builds.inputs is 'The version of every table that was read, as layer.name.';
comment on column audit.builds.definition is
'A fingerprint of the tables'' code, the shop''s numbers and its time zone: with another one, a table is built anew.';
do $$
begin
    -- A ledger from before a build knew its own horizon.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'builds' and column_name = 'horizon'
    ) then
        alter table audit.builds add column horizon date;
        update audit.builds set horizon = runs.horizon from audit.runs where runs.run_id = builds.run_id;
    end if;
end
$$;
comment on column audit.builds.horizon is
'The last whole business day that it covers: that of its run when it was built; a run that begins again may have another.';
comment on column audit.builds.digest is 'Number and hash of those rows: equal for equal rows, whatever engine built them.';

create table if not exists audit.parity (
    run_id text not null references audit.runs (run_id),
    schema_name text not null,
    table_name text not null,
    engine text not null,
    other_engine text not null,
    equal boolean not null,
    difference text,
    primary key (run_id, schema_name, table_name)
);
comment on table audit.parity is 'One row per run and table that was built on a second engine as well.';
comment on column audit.parity.difference is 'The first row and column that differed.';

create table if not exists audit.conservation (
    run_id text not null references audit.runs (run_id),
    audit text not null,
    meaning text not null,
    one_side text not null,
    other_side text not null,
    groups bigint not null,
    differing bigint not null,
    totals jsonb not null,
    examples text[] not null,
    held boolean generated always as (differing = 0) stored,
    proven_at timestamptz not null default now(),
    primary key (run_id, audit)
);
comment on table audit.conservation is
'One row per run and proof that nothing was lost or multiplied on the way: two sides that must be equal, group by group.';
comment on column audit.conservation.one_side is 'What the first side is: the first number of every total.';
comment on column audit.conservation.groups is 'Groups that were compared: orders, days, shelves, rows.';
comment on column audit.conservation.differing is 'Groups in which any measure differed; one is enough to stop the night.';
comment on column audit.conservation.totals is 'Per measure, in order, what both sides (one, other) add up to; amounts in cents.';
comment on column audit.conservation.examples is 'The first groups that differ, each with both values.';

create table if not exists audit.publications (
    publication_id bigint generated always as identity primary key,
    run_id text not null references audit.runs (run_id),
    night date not null,
    horizon date not null,
    published_at timestamptz not null default now(),
    snapshot_at timestamptz not null
);
comment on table audit.publications is 'One row per publication: a transaction that replaced what differed, in all tables.';

create table if not exists audit.publication_tables (
    publication_id bigint not null references audit.publications (publication_id),
    schema_name text not null,
    table_name text not null,
    lake_version bigint not null,
    rows bigint not null,
    inserted bigint not null,
    deleted bigint not null,
    complete boolean not null,
    primary key (publication_id, schema_name, table_name)
);
comment on table audit.publication_tables is 'One row per publication and table: what was loaded and what differed.';
comment on column audit.publication_tables.lake_version is 'The version of the table in the lake that was published.';
comment on column audit.publication_tables.complete is 'Whether the copy of every source it is made from held as many rows as the shop.';
comment on column audit.publication_tables.rows is 'Rows of the published window: the whole table, or the night''s slice.';

create table if not exists audit.publication_sources (
    publication_id bigint not null references audit.publications (publication_id),
    source text not null,
    changed_since text not null,
    source_rows bigint not null,
    clean_rows bigint not null,
    held_rows bigint not null,
    clean_version bigint not null,
    primary key (publication_id, source)
);
comment on table audit.publication_sources is
'One row per publication of a night and source: the copy that was published, which features of any day are built from.';
comment on column audit.publication_sources.clean_version is 'The version of lake/clean.';

create table if not exists audit.restatements (
    publication_id bigint not null references audit.publications (publication_id),
    schema_name text not null,
    table_name text not null,
    day date not null,
    row_key jsonb not null,
    metric text not null,
    old_value jsonb,
    new_value jsonb,
    causes jsonb,
    primary key (publication_id, schema_name, table_name, day, row_key, metric)
);
comment on table audit.restatements is
'One row per figure of a day published before that a publication changed: a night by late refunds and edits, or a past night put back.';
comment on column audit.restatements.row_key is 'The key of the table''s row but for the day: product_id, currency, …';
comment on column audit.restatements.metric is 'The table''s column.';
comment on column audit.restatements.old_value is 'What readers had until then; null where there was no row, or nothing in it.';
comment on column audit.restatements.causes is
'Per source, how many rows differ between the two copies of the shop and bear on the figure, and the keys of some of them. Empty: the tables'' definition changed. Null: the lake cannot tell any more.';

create table if not exists audit.tables (
    schema_name text not null,
    table_name text not null,
    sources text[] not null,
    left_out text,
    primary key (schema_name, table_name)
);
comment on table audit.tables is 'One row per table that Stocktake knows.';
comment on column audit.tables.sources is 'The shop''s tables it is made from, however far back.';
comment on column audit.tables.left_out is 'Why this shop has no such table; null where it is published.';

create table if not exists audit.watermarks (
    source text primary key,
    changed_until timestamptz not null,
    publication_id bigint not null references audit.publications (publication_id)
);
comment on table audit.watermarks is 'One row per source: up to when its changes are published. Moves only with a publication.';

create table if not exists audit.quarantine (
    quarantine_id bigint generated always as identity primary key,
    source text not null,
    row_key text not null,
    rules text[] not null,
    row_values jsonb not null,
    amount numeric(18, 2) not null,
    currency text,
    quarantined_by text not null references audit.runs (run_id),
    quarantined_at timestamptz not null default now(),
    outcome text not null default 'open' check (outcome in ('open', 'released', 'changed', 'deleted')),
    resolved_by text references audit.runs (run_id),
    resolved_at timestamptz
);
create index if not exists quarantine_open_idx on audit.quarantine (source, row_key) where outcome = 'open';
comment on table audit.quarantine is 'One row per version of a row that the gate kept aside, with every rule it broke.';
comment on column audit.quarantine.row_values is 'The whole row as it was read.';
comment on column audit.quarantine.amount is 'Money at stake, in currency: 0 where the row it belongs to is held too and counts it.';
comment on column audit.quarantine.outcome is
'open; released: accepted since; changed: still held, as another version; deleted: gone from the shop.';

create or replace view audit.verdicts as
with judged as (
    -- Whatever publishes a night has judged all of the quarantine.
    select publications.publication_id, publications.run_id, publications.published_at as judged_at
    from audit.publications
    join audit.runs using (run_id)
    where runs.dag in ('nightly', 'replay')
    union all
    select null, runs.run_id, runs.judged_at
    from audit.runs
    where runs.judged_at is not null
),

given as (
    -- Kept aside: for the first time, or still, as another version of what was held until then.
    select
        held.quarantine_id,
        held.quarantined_by as run_id,
        held.quarantined_at as judged_at,
        held.rules,
        case when exists (
            select from audit.quarantine as before
            where before.source = held.source and before.row_key = held.row_key
                and before.outcome = 'changed' and before.resolved_at = held.quarantined_at
        ) then 'still open' else 'quarantined' end as outcome
    from audit.quarantine as held
    union all
    -- Judged again, and no better.
    select held.quarantine_id, judged.run_id, judged.judged_at, held.rules, 'still open'
    from audit.quarantine as held
    join judged
        on judged.judged_at > held.quarantined_at
        and judged.judged_at < coalesce(held.resolved_at, 'infinity')
    union all
    select held.quarantine_id, held.resolved_by, held.resolved_at, '{}', held.outcome
    from audit.quarantine as held
    where held.outcome in ('released', 'deleted')
)

select
    quarantine.source,
    quarantine.row_key,
    given.judged_at,
    given.outcome,
    given.rules,
    quarantine.amount,
    quarantine.currency,
    given.run_id,
    runs.dag,
    runs.night,
    judged.publication_id,
    quarantine.quarantine_id
from given
join audit.quarantine using (quarantine_id)
join audit.runs using (run_id)
left join judged on judged.run_id = given.run_id and judged.judged_at = given.judged_at;
comment on view audit.verdicts is
'One row per row that was ever kept aside and time that it was judged: by every night and replay from then on, until it was released or deleted.';
comment on column audit.verdicts.judged_at is 'When the verdict counted: with the publication, or the replay that published nothing.';
comment on column audit.verdicts.outcome is
'quarantined; still open: judged again, and held for the rules of this row; released: accepted; deleted: gone from the shop.';
comment on column audit.verdicts.rules is 'The rules that it broke then; none once it was released or deleted.';
comment on column audit.verdicts.publication_id is 'Null for a replay that had nothing to release.';
comment on column audit.verdicts.quarantine_id is 'The version of the row in audit.quarantine, with its values.';

create table if not exists audit.approvals (
    approval_id bigint generated always as identity primary key,
    run_id text not null references audit.runs (run_id),
    figures text not null,
    evidence jsonb not null,
    asked_at timestamptz not null default now(),
    answer text check (answer in ('approved', 'rejected', 'unanswered')),
    answered_by text,
    answered_at timestamptz
);
create index if not exists approvals_run_idx on audit.approvals (run_id);
comment on table audit.approvals is
'One row per time that a run asked an operator whether it may go on with more rows in quarantine than is tolerated; a question that nobody answered before the run asked anew is not kept.';
comment on column audit.approvals.figures is
'A digest of every row that would be held, its rules and its money: an approval is good for these rows alone.';
comment on column audit.approvals.evidence is
'Per source with such rows: held of total, money by currency, the worst rules, and some rows.';
comment on column audit.approvals.answer is 'Null while it is waited for; unanswered: nobody said anything in time.';
comment on column audit.approvals.answered_by is 'As Airflow knows them. Null where nobody did.';

create or replace view reporting.data_status as
with latest as (
    select distinct on (schema_name, table_name)
        publication_tables.*,
        publications.horizon,
        publications.published_at,
        case when runs.dag = 'republish' then
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

do $$
begin
    if exists (select from pg_roles where rolname = 'analyst') then
        grant usage on schema reporting, features, audit to analyst;
        grant select on all tables in schema reporting, features, audit to analyst;
        alter default privileges in schema reporting, features, audit grant select on tables to analyst;
    end if;
end
$$;
