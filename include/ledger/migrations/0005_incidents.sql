-- What people were told of: nights that failed, waited or were late; and when it was last looked for.

create table audit.incidents (
    incident_id bigint generated always as identity primary key,
    kind text not null check (kind in ('failed', 'waits', 'late', 'features', 'scheduler')),
    night date not null,
    dag text not null,
    run_id text,
    reason text not null,
    message text not null,
    opened_at timestamptz not null,
    closed_at timestamptz,
    over text,
    told text[] not null default '{}',
    told_over text[] not null default '{}'
);

create unique index incidents_open on audit.incidents (kind, dag, night) where closed_at is null;

create table audit.looks (
    only_row boolean primary key default true check (only_row),
    first_at timestamptz not null,
    last_at timestamptz not null
);
