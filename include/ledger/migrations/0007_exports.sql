-- Exports: the rows of published tables that somebody asked for as a file, and what became of them.

create table audit.exports (
    export_id uuid primary key default gen_random_uuid(),
    run_id text not null,
    asked_by text not null,
    asked_at timestamptz not null default now(),
    published_table text not null,
    columns text,
    filters text[] not null,
    sort text,
    format text not null check (format in ('csv', 'parquet', 'arrow')),
    byte_order_mark boolean not null,
    asked_of_publication bigint not null,
    state text not null default 'queued'
        check (state in ('queued', 'running', 'done', 'failed', 'cancelled', 'expired')),
    tries integer not null default 0,
    publication_id bigint,
    rows_done bigint not null default 0,
    rows_to_do bigint,
    error text,
    finished_at timestamptz,
    file text,
    bytes bigint,
    expires_at timestamptz,
    check (state <> 'done' or (file is not null and bytes is not null and expires_at is not null))
);

create index exports_of_user on audit.exports (asked_by, asked_at);
create index exports_of_run on audit.exports (run_id);
