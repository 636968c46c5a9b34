-- The ledger as it was when migrations were introduced: what happened to every row and every table, every night.
--
-- It fills an empty database, and also upgrades a ledger from before migrations: hence "if not exists". Later migrations
-- do not need that, because each is applied once.

create schema if not exists audit;
create schema if not exists reporting;
create schema if not exists features;
create schema if not exists staging;

create table if not exists audit.migrations (
    number integer primary key,
    name text not null,
    applied_at timestamptz not null default now()
);

create table if not exists audit.definitions (
    name text primary key,
    digest text not null,
    made text,
    applied_at timestamptz not null default now()
);

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
    -- A ledger from before features had runs of their own. Checked first, because "add column" always takes a lock.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'runs' and column_name = 'built_from'
    ) then
        alter table audit.runs add column dag text not null default 'nightly', add column built_from bigint;
    end if;
    -- From before replays.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'runs' and column_name = 'judged_at'
    ) then
        alter table audit.runs add column judged_at timestamptz;
    end if;
end
$$;

create table if not exists audit.stages (
    run_id text not null references audit.runs (run_id),
    stage text not null,
    started_at timestamptz not null,
    seconds double precision not null,
    primary key (run_id, stage)
);

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
    -- A ledger from before the completeness proof by checksums.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'source_counts' and column_name = 'proof'
    ) then
        alter table audit.runs add column changed_until timestamptz;
        alter table audit.source_counts
            add column late bigint not null default 0, add column gone bigint not null default 0, add column proof text;
    end if;
    -- From before incremental builds.
    if exists (select from information_schema.tables where table_schema = 'audit' and table_name = 'builds') and not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'builds' and column_name = 'inputs'
    ) then
        alter table audit.builds
            add column inputs jsonb, add column definition text, add column built_at timestamptz not null default now();
    end if;
    -- From before every row was accounted for.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'source_counts' and column_name = 'known'
    ) then
        alter table audit.source_counts
            add column known bigint, add column replaced bigint, add column held_version bigint;
    end if;
    -- From before a retried acceptance continued from the versions that its first attempt had found.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'runs' and column_name = 'accepting_from'
    ) then
        alter table audit.runs add column accepting_from jsonb;
    end if;
end
$$;

create table if not exists audit.source_schemas (
    source text primary key,
    statement text not null,
    relations jsonb not null,
    found_by text not null references audit.runs (run_id),
    found_at timestamptz not null default now()
);

create table if not exists audit.schema_changes (
    relation text not null,
    column_name text not null,
    what text not null,
    run_id text not null references audit.runs (run_id),
    found_at timestamptz not null default now(),
    primary key (relation, column_name, what)
);

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
do $$
begin
    -- A ledger from before builds had their own horizon.
    if not exists (
        select from information_schema.columns
        where table_schema = 'audit' and table_name = 'builds' and column_name = 'horizon'
    ) then
        alter table audit.builds add column horizon date;
        update audit.builds set horizon = runs.horizon from audit.runs where runs.run_id = builds.run_id;
    end if;
end
$$;

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

create table if not exists audit.publications (
    publication_id bigint generated always as identity primary key,
    run_id text not null references audit.runs (run_id),
    night date not null,
    horizon date not null,
    published_at timestamptz not null default now(),
    snapshot_at timestamptz not null
);

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

create table if not exists audit.tables (
    schema_name text not null,
    table_name text not null,
    sources text[] not null,
    left_out text,
    primary key (schema_name, table_name)
);

create table if not exists audit.watermarks (
    source text primary key,
    changed_until timestamptz not null,
    publication_id bigint not null references audit.publications (publication_id)
);

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
