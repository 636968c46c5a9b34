-- The databases, roles and grants of one shop; safe to run again.
--
-- psql runs it as a superuser: embedded.py on a laptop and in tests, the postgres container at its first start.
-- The databases' names may be given (`psql -v shop=… -v warehouse=… -v airflow=…`); the passwords come from the
-- environment, so that they are in no process list.
--
--   airflow     owns Airflow's metadata
--   shopkeeper  owns the shop: the order service and the simulator
--   extractor   may read the shop, and nothing else
--   loader      owns the warehouse: publishes tables, keeps the ledger
--   analyst     may enter the warehouse; which schemas it reads is granted by whoever publishes them

\set ON_ERROR_STOP on
\set QUIET on
\if :{?airflow} \else \set airflow airflow \endif
\if :{?shop} \else \set shop shop \endif
\if :{?warehouse} \else \set warehouse warehouse \endif
\getenv airflow_password AIRFLOW_PASSWORD
\getenv shopkeeper_password SHOPKEEPER_PASSWORD
\getenv extractor_password EXTRACTOR_PASSWORD
\getenv loader_password LOADER_PASSWORD
\getenv analyst_password ANALYST_PASSWORD

-- A failed statement would otherwise be written to the server's log, password and all.
set log_min_error_statement = panic;
set client_min_messages = warning;

select format('create role %I login', role)
from unnest(array['airflow', 'shopkeeper', 'extractor', 'loader', 'analyst']) as role
where not exists (select from pg_roles where rolname = role)
\gexec

alter role airflow password :'airflow_password';
alter role shopkeeper password :'shopkeeper_password';
alter role extractor password :'extractor_password';
alter role loader password :'loader_password';
alter role analyst password :'analyst_password';

-- The grants below are what protects; this turns a slip into an error even where a grant was too wide.
alter role extractor set default_transaction_read_only = on;
alter role analyst set default_transaction_read_only = on;

-- No role takes all of the server: a hundred connections are for everybody, and a transaction that is left open keeps
-- a table from being altered. What somebody has set otherwise stays.
select format('alter role %I connection limit %s', wanted.role, wanted.connections)
from (values ('analyst', 20), ('extractor', 10)) as wanted (role, connections)
join pg_roles on rolname = wanted.role
where rolconnlimit = -1
\gexec
select format('alter role %I set %I = %L', role, wanted.setting, wanted.value)
from (values
    ('analyst', 'idle_in_transaction_session_timeout', '10min'),
    ('analyst', 'statement_timeout', '30min')
) as wanted (role, setting, value)
where not exists (
    select from pg_db_role_setting
    cross join unnest(setconfig) as config
    where setrole = wanted.role::regrole and setdatabase = 0 and config like wanted.setting || '=%'
)
\gexec
-- When a lock is not to be had, the loader says who holds it.
grant pg_read_all_stats to loader;

select format('create database %I owner %I', wanted.name, wanted.owner)
from (values (:'airflow', 'airflow'), (:'shop', 'shopkeeper'), (:'warehouse', 'loader')) as wanted (name, owner)
where not exists (select from pg_database where datname = wanted.name)
\gexec

alter database :"airflow" set timezone = 'UTC';
alter database :"shop" set timezone = 'UTC';
alter database :"warehouse" set timezone = 'UTC';
revoke all on database :"airflow", :"shop", :"warehouse" from public;
revoke connect, temporary on database postgres, template1 from public;
grant connect on database :"shop" to extractor;
grant connect on database :"warehouse" to analyst;

-- Who may read tables may not store large objects in the database instead.
\connect :"warehouse"
set client_min_messages = warning;
select format('revoke execute on function %s from public', oid::regprocedure)
from pg_proc
where pronamespace = 'pg_catalog'::regnamespace and (proname ~ '^lo_' or proname in ('loread', 'lowrite'))
\gexec

\connect :"shop"
set client_min_messages = warning;
select format('revoke execute on function %s from public', oid::regprocedure)
from pg_proc
where pronamespace = 'pg_catalog'::regnamespace and (proname ~ '^lo_' or proname in ('loread', 'lowrite'))
\gexec
alter default privileges for role shopkeeper grant usage on schemas to extractor;
alter default privileges for role shopkeeper grant select on tables to extractor;
grant usage on schema public to extractor;
-- When the transactions of others began: what they commit later carries that time, so the watermark stays before it.
grant pg_read_all_stats to extractor;
