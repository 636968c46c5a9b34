"""A server that is away, and one that is there and lets the role not in."""

from __future__ import annotations

import psycopg
import pytest

from include.ledger.logins import why_no_connection
from tests.conftest import Database


def _why(url: str) -> str:
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(url, connect_timeout=10)
    return why_no_connection(url, refused.value)


def test_a_password_that_is_wrong_is_the_login_that_was_refused(shop_database: Database) -> None:
    url = shop_database.url("extractor")
    where = url.rpartition("@")[2]
    said = _why(f"postgresql://extractor:hunter2@{where}")
    server, database = where.split("/")
    assert said == (
        f"the server {server} answers, and refused the login of role extractor to database {database}:"
        " the password is another one"
    )


def test_a_role_that_there_is_not_and_a_password_that_is_missing(shop_database: Database) -> None:
    where = shop_database.url("extractor").rpartition("@")[2]
    assert "refused the login of role nobody_here" in _why(f"postgresql://nobody_here:hunter2@{where}")
    assert "hunter2" not in _why(f"postgresql://nobody_here:hunter2@{where}")


def test_a_database_that_there_is_not(shop_database: Database) -> None:
    url = shop_database.url("extractor")
    server = url.rpartition("@")[2].partition("/")[0]
    said = _why(url.rpartition("/")[0] + "/shopp")
    assert said == f"the server {server} answers, and has no database shopp"


def test_a_server_that_is_away_and_one_that_is_busy_refused_nobody() -> None:
    said = _why("postgresql://extractor:hunter2@127.0.0.1:1/shop")
    assert "refused the login" not in said
    assert "127.0.0.1" in said
    busy = psycopg.OperationalError('connection to server at "x" failed: FATAL:  sorry, too many clients already')
    assert "refused the login" not in why_no_connection("postgresql://extractor@x/shop", busy)
