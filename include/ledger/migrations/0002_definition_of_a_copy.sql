-- A run knows the definition that its copy of each source was made by, and why it read or checked one anew.
alter table audit.source_counts
    add column definition jsonb,
    add column rechecked boolean not null default false,
    add column anew text[] not null default '{}';
