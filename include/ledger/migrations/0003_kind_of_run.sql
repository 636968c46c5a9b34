-- The kind says what a run does; dag only says which DAG it belongs to: a shop may have DAGs of its own.

alter table audit.runs add column kind text;

update audit.runs set kind = case dag when 'nightly' then 'night' when 'features' then 'tables' else dag end;

alter table audit.runs
    alter column kind set not null,
    add constraint runs_kind_check check (kind in ('night', 'tables', 'replay', 'republish'));
