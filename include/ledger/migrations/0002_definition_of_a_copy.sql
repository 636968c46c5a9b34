-- A run records the definition that its copy of each source was made with, and why it read or checked a source again.
alter table audit.source_counts
    add column definition jsonb,
    add column rechecked boolean not null default false,
    add column anew text[] not null default '{}';
