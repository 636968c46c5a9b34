-- What the days of each source look like, what of that was unusual, and which days an operator has explained.

create table audit.measures (
    run_id text not null references audit.runs,
    source text not null,
    day date not null,
    measure text not null,
    kind text not null,
    value double precision not null,
    measured_rows bigint not null,
    usual double precision,
    low double precision,
    high double precision,
    primary key (run_id, source, day, measure)
);

create table audit.anomalies (
    anomaly_id bigint generated always as identity primary key,
    run_id text not null references audit.runs,
    day date not null,
    source text not null,
    measure text not null,
    kind text not null,
    value double precision not null,
    usual double precision not null,
    low double precision not null,
    high double precision not null,
    excess double precision not null,
    sentence text not null,
    asks boolean not null,
    rows_behind bigint not null,
    examples text[] not null,
    rows_sql text not null,
    found_at timestamptz not null default now()
);

create index anomalies_run on audit.anomalies (run_id);

create table audit.explanations (
    explanation_id bigint generated always as identity primary key,
    day date not null,
    source text,
    measure text,
    lasting boolean not null,
    reason text not null,
    explained_by text not null,
    explained_at timestamptz not null default now()
);

alter table audit.incidents
    drop constraint incidents_kind_check,
    add constraint incidents_kind_check
    check (kind in ('failed', 'waits', 'late', 'features', 'scheduler', 'anomaly'));
