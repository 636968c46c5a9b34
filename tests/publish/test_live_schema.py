"""Live tables are altered in place: what others made on them stays, and what would break is named first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from include.contract import Column, ContractError, Table, Type
from include.ledger.locks import LockBusy, patient
from include.publish.live import write_comments
from include.publish.live_schema import difference, loosen, refuse_breaking, tighten
from include.settings import settings
from tests.conftest import Database

BOOKS = Table(
    schema="reporting",
    name="books",
    grain="One row per book.",
    columns=(
        Column("book_id", Type.INTEGER, "The book."),
        Column("title", Type.TEXT, "Its title."),
        Column("price", Type.CENTS, "What it costs; null when unknown.", nullable=True),
    ),
    primary_key=("book_id",),
)
PAGES = Column("pages", Type.INTEGER, "How many pages it has.")
COLUMNS = """
    select attname, format_type(atttypid, atttypmod), attnotnull
    from pg_attribute where attrelid = 'reporting.books'::regclass and attnum > 0 and not attisdropped order by attname
"""


@pytest.fixture
def warehouse(warehouse_database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A warehouse with three books in it, on which somebody made a view, an index and a grant."""
    with psycopg.connect(warehouse_database.url("loader")) as connection:
        connection.execute("create schema reporting; create schema marts")
        alter(connection, BOOKS)
        write_comments(connection, BOOKS)
        connection.execute(
            "insert into reporting.books values (1, 'A', 1.00, 7), (2, 'B', null, 7), (3, 'C', 3.00, 7);"
            "create view marts.dear as select title from reporting.books where price > 2;"
            "create index books_title on reporting.books (title);"
            "grant usage on schema reporting to analyst; grant select on reporting.books to analyst"
        )
        connection.commit()
        yield connection


def shape(warehouse: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return warehouse.execute(COLUMNS).fetchall()


def alter(warehouse: psycopg.Connection[Any], table: Table) -> None:
    loosen(warehouse, table)
    tighten(warehouse, table)


def test_a_table_that_is_as_declared_is_left_alone(warehouse: psycopg.Connection[Any]) -> None:
    assert difference(warehouse, BOOKS).sentences == []
    assert not difference(warehouse, BOOKS).is_of_rows
    alter(warehouse, BOOKS)
    held = "select mode from pg_locks where relation = 'reporting.books'::regclass and pid = pg_backend_pid()"
    assert ("AccessExclusiveLock",) not in warehouse.execute(held).fetchall()


def test_a_new_column_is_null_until_rows_have_it_and_then_never_again(warehouse: psycopg.Connection[Any]) -> None:
    table = replace(BOOKS, columns=(*BOOKS.columns, PAGES))
    assert difference(warehouse, table).sentences == ["add column pages bigint"]
    alter(warehouse, table)
    assert ("pages", "bigint", False) in shape(warehouse)
    warehouse.execute("update reporting.books set pages = 100")
    alter(warehouse, table)
    assert ("pages", "bigint", True) in shape(warehouse)


def test_a_column_that_somebody_else_added_stays(warehouse: psycopg.Connection[Any]) -> None:
    warehouse.execute("alter table reporting.books add column shelf text")
    assert difference(warehouse, BOOKS).sentences == []


def test_what_others_made_stays(warehouse: psycopg.Connection[Any]) -> None:
    columns = (*BOOKS.columns[:1], replace(BOOKS.columns[1], nullable=True), BOOKS.columns[2], PAGES)
    alter(warehouse, replace(BOOKS, columns=columns))
    assert warehouse.execute("select * from marts.dear").fetchall() == [("C",)]
    assert warehouse.execute("select to_regclass('reporting.books_title') is not null").fetchone() == (True,)
    assert warehouse.execute("select has_table_privilege('analyst', 'reporting.books', 'select')").fetchone() == (True,)
    assert ("title", "text", False) in shape(warehouse)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        pytest.param(
            (BOOKS.columns[0], BOOKS.columns[1]),
            r"reporting.books: the column price is to be dropped, and view marts.dear needs it",
            id="a view, by a dropped column",
        ),
        pytest.param(
            (BOOKS.columns[0], BOOKS.columns[2]),
            r"column title is to be dropped, and index (reporting\.)?books_title needs it \| .*title .*view marts.dear",
            id="an index and a view, by a dropped column",
        ),
        pytest.param(
            (BOOKS.columns[0], BOOKS.columns[1], replace(BOOKS.columns[2], type=Type.TEXT)),
            r"the type of column price is to be text, and view marts.dear needs it",
            id="a view, by a retyped column",
        ),
    ],
)
def test_what_would_break_is_named_and_nothing_is_done(
    warehouse: psycopg.Connection[Any], columns: tuple[Column, ...], message: str
) -> None:
    before, table = shape(warehouse), replace(BOOKS, columns=columns)
    with pytest.raises(ContractError, match=message):
        refuse_breaking(warehouse, [table])
    with pytest.raises(ContractError, match=message):
        loosen(warehouse, table)
    assert shape(warehouse) == before


def test_a_table_that_is_no_more_is_not_dropped_under_a_view(warehouse: psycopg.Connection[Any]) -> None:
    said = r"reporting\.books: the table is to be dropped, and view marts\.dear needs it"
    with pytest.raises(ContractError, match=said):
        refuse_breaking(warehouse, [], ["reporting.books"])


def test_a_retyped_column_keeps_its_index(warehouse: psycopg.Connection[Any]) -> None:
    warehouse.execute("drop view marts.dear")
    table = replace(BOOKS, columns=(BOOKS.columns[0], replace(BOOKS.columns[1], type=Type.INTEGER), BOOKS.columns[2]))
    loosen(warehouse, table)
    assert ("title", "bigint", False) in shape(warehouse)
    assert warehouse.execute("select to_regclass('reporting.books_title') is not null").fetchone() == (True,)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(replace(BOOKS, primary_key=("book_id", "title")), id="another grain"),
        pytest.param(
            replace(BOOKS, columns=(replace(BOOKS.columns[0], type=Type.TEXT), *BOOKS.columns[1:])), id="another type"
        ),
    ],
)
def test_another_key_takes_the_rows_of_the_old_one_away(warehouse: psycopg.Connection[Any], table: Table) -> None:
    loosen(warehouse, table)
    assert warehouse.execute("select count(*) from reporting.books").fetchone() == (0,)
    tighten(warehouse, table)
    assert difference(warehouse, table).sentences == []


def test_an_alteration_waits_for_a_reader_and_names_it(
    warehouse: psycopg.Connection[Any], warehouse_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql:///nowhere")
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", warehouse_database.url("loader"))
    settings.cache_clear()
    with psycopg.connect(warehouse_database.url("analyst")) as reader:
        reader.execute("select count(*) from reporting.books")
        with (
            pytest.raises(LockBusy, match=r"publishing waited 0.4 s for a lock of analyst"),
            patient(warehouse, "publishing", timedelta(seconds=0.4)),
        ):
            loosen(warehouse, replace(BOOKS, columns=(*BOOKS.columns, PAGES)))
    warehouse.rollback()
    assert warehouse.execute("show lock_timeout").fetchone() == ("0",)
    settings.cache_clear()
