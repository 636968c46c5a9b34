-- Which tables are made of slices, the first business day of the shop, runs that remove slices, clocks that were ahead,
-- and whose turn it is.

alter table audit.tables add column sliced boolean not null default false;

alter table audit.runs
    add column first_day date,
    add column said_at timestamptz,
    drop constraint runs_kind_check,
    add constraint runs_kind_check check (kind in ('night', 'tables', 'replay', 'republish', 'removal'));

create table audit.locks (
    name text primary key
);
