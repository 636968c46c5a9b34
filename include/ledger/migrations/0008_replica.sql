-- A read replica as the shop: how far behind its primary it was.

alter table audit.runs add column replica_lag_seconds double precision;
