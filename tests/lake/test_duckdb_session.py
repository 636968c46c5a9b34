"""DuckDB as the night uses it: what it says where a Postgres goes away that is attached, or memory runs out."""

from __future__ import annotations

import traceback

import duckdb
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from include.lake import duckdb_session as duck
from include.local.embedded_postgres import SUPERUSER
from include.settings import settings
from tests.conftest import Database

ASK = "from postgres_query('shop', 'select 1')"


@pytest.fixture(autouse=True)
def _told_where(shop_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", shop_database.url("extractor"))
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", shop_database.url("extractor"))
    monkeypatch.setenv("STOCKTAKE_TIMEZONE", "UTC")
    settings.cache_clear()


def read_until_it_is_gone(url: str, database: Database) -> None:
    """Read from a database that goes away meanwhile."""
    with duck.session() as session:
        duck.attach(session, "shop", SecretStr(url), read_only=True)
        session.execute(ASK)
        database.drop()
        for _ in range(3):  # a connection is found dead before another is asked for
            session.execute(ASK)


@pytest.mark.parametrize("password", ["plain", r"it's a \\ password"], ids=["a_word", "with_quotes_and_blanks"])
def test_a_postgres_that_goes_away_is_a_lost_connection_and_no_password_is_told(
    shop_database: Database, password: str
) -> None:
    with shop_database.connect(SUPERUSER) as server:
        literal = duck.quoted(password)
        server.execute(f"create role visitor login superuser password {literal}".encode())
    try:
        url = make_conninfo("", **{**conninfo_to_dict(shop_database.url()), "user": "visitor", "password": password})
        with pytest.raises(ConnectionError, match="Unable to connect to Postgres") as lost:
            read_until_it_is_gone(url, shop_database)
    finally:
        with psycopg.connect(shop_database.cluster.url("postgres", SUPERUSER), autocommit=True) as server:
            server.execute("drop role if exists visitor")
    told = "".join(traceback.format_exception(lost.value)) + repr(lost.value.__context__)
    assert "password=…" in told
    assert password not in told
    assert "is a" not in told


def test_an_error_of_another_kind_stays_what_it_is() -> None:
    with pytest.raises(duckdb.CatalogException, match="nothing does not exist"), duck.session() as session:
        session.execute("from nothing")


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("", ConnectionError), ("ERROR:  could not serialize access", duckdb.TransactionException)],
)
def test_a_commit_that_fails_for_no_reason_met_no_server(reason: str, kind: type[Exception]) -> None:
    said = f'TransactionContext Error: Failed to commit: Failed to execute query "COMMIT": {reason}\n'
    with pytest.raises(kind, match="serialize" if reason else "Failed to commit"), duck.guarded():
        raise duckdb.TransactionException(said)


def test_of_a_refused_statement_the_reason_comes_first(warehouse_database: Database) -> None:
    """A source's statement has ten thousand characters, and the ledger keeps four thousand of an error."""
    long = f"select 'a \"quoted\": word' as word, {'1 + ' * 1000} 1 as sum from pg_authid"
    with duck.session() as session:
        duck.attach(session, "shop", SecretStr(warehouse_database.url("analyst")), read_only=True)
        with (
            pytest.raises(duckdb.Error, match=r"^ERROR: permission denied for table pg_authid, in: "),
            duck.guarded(),
        ):
            session.execute("select * from postgres_query('shop', ?)", [long])


def test_where_memory_runs_out_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_MEMORY_LIMIT", "20MB")
    settings.cache_clear()
    message = r"^STOCKTAKE_MEMORY_LIMIT=20MB is not enough, raise it: Out of Memory Error[^\n]*$"
    with pytest.raises(duckdb.OutOfMemoryException, match=message), duck.session() as session:
        session.execute("select list(range) from range(10_000_000)").fetchall()
