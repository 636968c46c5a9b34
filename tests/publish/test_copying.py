"""What DuckDB selects gets into a transaction of Postgres, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import psycopg
import pytest
from psycopg.rows import TupleRow

from include.lake import duckdb_session as duck
from include.publish.copying import copy_rows
from include.settings import settings
from tests.conftest import Database

MANY = 300_000  # rows: some MB, more than a pipe holds


@pytest.fixture
def connection(warehouse_database: Database) -> Iterator[psycopg.Connection[TupleRow]]:
    with psycopg.connect(warehouse_database.url("loader")) as connection:
        connection.execute("create table numbers (number bigint not null, word text)")
        connection.commit()
        yield connection


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    for part in ("SHOP", "WAREHOUSE"):
        monkeypatch.setenv(f"STOCKTAKE_{part}_URL", "postgresql://unused")
    settings.cache_clear()
    with duck.session() as session:
        duck.load_postgres(session)
        yield session
    settings.cache_clear()


def rows(connection: psycopg.Connection[TupleRow]) -> tuple[int, int] | None:
    return connection.execute("select count(*), coalesce(sum(number), 0)::bigint from numbers").fetchone()


@pytest.mark.parametrize("count", [0, 1, MANY])
def test_every_row_is_there(
    connection: psycopg.Connection[TupleRow], session: duckdb.DuckDBPyConnection, count: int
) -> None:
    selected = f"select number, 'word ' || number from range({count}) as t (number)"
    assert copy_rows(connection, session, selected, "numbers", ["number", "word"]) == count
    assert rows(connection) == (count, count * (count - 1) // 2)
    connection.rollback()
    assert rows(connection) == (0, 0)


def test_a_row_that_does_not_fit(connection: psycopg.Connection[TupleRow], session: duckdb.DuckDBPyConnection) -> None:
    """It is one of the first: the rest is still being written when Postgres refuses it."""
    selected = f"select nullif(number, 5), 'word' from range({MANY}) as t (number)"
    with pytest.raises(psycopg.errors.NotNullViolation, match='"number" of relation "numbers"'):
        copy_rows(connection, session, selected, "numbers", ["number", "word"])
    connection.rollback()
    assert copy_rows(connection, session, "select 1::bigint, 'one'", "numbers", ["number", "word"]) == 1


def test_a_table_that_is_not_there(
    connection: psycopg.Connection[TupleRow], session: duckdb.DuckDBPyConnection
) -> None:
    """Postgres refuses before a row is asked for."""
    with pytest.raises(psycopg.errors.UndefinedTable):
        copy_rows(connection, session, f"select number from range({MANY}) as t (number)", "nowhere", ["number"])


def test_rows_that_cannot_be_read(connection: psycopg.Connection[TupleRow], session: duckdb.DuckDBPyConnection) -> None:
    """The last one: most of them have been sent by then."""
    selected = f"select if(number = {MANY - 1}, error('broken'), number), 'word' from range({MANY}) as t (number)"
    with pytest.raises(duckdb.Error, match="broken"):
        copy_rows(connection, session, selected, "numbers", ["number", "word"])
    connection.rollback()
    assert rows(connection) == (0, 0)
