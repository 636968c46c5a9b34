"""The roles of ``databases.sql``: what a reader cannot do, whatever it sets; nobody takes all of the server."""

from __future__ import annotations

from contextlib import ExitStack

import psycopg
import pytest

from include.local.embedded_postgres import SUPERUSER, Cluster
from tests.conftest import Database


@pytest.mark.parametrize(("database", "reader"), [("warehouse", "analyst"), ("shop", "extractor")])
def test_a_reader_can_only_read(cluster: Cluster, database: str, reader: str) -> None:
    fresh = Database(cluster, database).copy()
    with fresh.connect(reader) as connection:
        connection.execute("set default_transaction_read_only = off")
        for statement in (
            "create table public.mine ()",
            "create temporary table mine ()",
            "create schema mine",
            "select lo_create(0)",
            "select lo_from_bytea(0, 'x')",
            "create role other",
            "alter role loader connection limit 0",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    for other in {"postgres", "template1", "airflow", "shop", "warehouse"} - {database}:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(cluster.url(other, reader))
    fresh.drop()


def test_an_analyst_with_many_connections_shuts_nobody_out(cluster: Cluster) -> None:
    fresh = Database(cluster, "warehouse").copy()
    with ExitStack() as held:
        for _ in range(20):
            held.enter_context(fresh.connect("analyst"))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            fresh.connect("analyst")
        with fresh.connect("loader") as loader:
            assert loader.execute("select 1").fetchone() == (1,)
    fresh.drop()


def test_limits_are_there_and_one_that_somebody_has_set_stays(cluster: Cluster) -> None:
    fresh = Database(cluster, "warehouse").copy()

    def shown() -> tuple[str, ...]:
        with fresh.connect("analyst") as analyst:
            row = analyst.execute(
                "select current_setting('idle_in_transaction_session_timeout'), current_setting('statement_timeout')"
            ).fetchone()
        return row or ()

    assert shown() == ("10min", "30min")
    with psycopg.connect(cluster.url("postgres", SUPERUSER), autocommit=True) as server:
        server.execute("alter role analyst set statement_timeout = '5min'; alter role analyst connection limit 30")
        cluster.provision()
        limit = server.execute("select rolconnlimit from pg_roles where rolname = 'analyst'").fetchone()
        assert (shown(), limit) == (("10min", "5min"), (30,))
        server.execute("alter role analyst reset statement_timeout; alter role analyst connection limit -1")
    cluster.provision()
    assert shown() == ("10min", "30min")
    fresh.drop()
