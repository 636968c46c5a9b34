"""A shop's statements: what cannot be read is said with file, line and what to write; the rest is read as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from include.extract import sql_files
from include.extract.snapshot import Extraction, extract
from include.extract.statements import StatementsRefused, check, examine, shop_connection
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.sources import shop_sources
from tests import bookshop
from tests.conftest import Database


@dataclass(frozen=True)
class Bookshop:
    """A small shop, its folder of .sql files, and what is found in it."""

    database: psycopg.Connection
    folder: Path

    def change(self, name: str, old: str, new: str) -> None:
        """Replace a text that is in a file once."""
        text = (self.folder / name).read_text()
        assert text.count(old) == 1
        (self.folder / name).write_text(text.replace(old, new))

    def findings(self) -> list[str]:
        """What is wrong, from the folder's name on."""
        with shop_connection() as shop:
            found = examine(shop, shop_sources(self.folder)).findings
        return [str(one).removeprefix(f"{self.folder}/") for one in found]

    def read(self, run: str = "run", since: str = sql_files.EVERYTHING) -> Extraction:
        """Read every source into the lake."""
        sources = shop_sources(self.folder)
        return extract(sources, dict.fromkeys(sources, since), run)

    @staticmethod
    def raw(source: str, columns: str, run: str = "run") -> list[tuple[Any, ...]]:
        """Rows of the lake, as a run read them."""
        with duckdb.connect() as connection:
            files = ", ".join(duck.quoted(file) for file in lake.files("raw", source, run=run))
            return connection.execute(f"select {columns} from read_parquet([{files}]) order by 1 limit 3").fetchall()


@pytest.fixture
def shop(shop_database: Database, own_lake: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bookshop]:
    """The bookshop, read by a folder that fits it."""
    with bookshop.read_from(shop_database, own_lake.parent / "bookshop", monkeypatch) as (database, folder):
        yield Bookshop(database, folder)


def test_floats_nulls_and_decimals_are_read_without_rounding(shop: Bookshop) -> None:
    shop.database.execute("update laden.zeile set menge = 1.5, preis = 0.1::float8 + 0.2 where znr = 1")
    shop.database.execute("update laden.zeile set menge = 1e30 where znr = 2")
    shop.database.execute("update laden.buch set einkauf = 1234567.9, preis = 1234567890.99 where isbn = '978-1'")
    assert shop.findings() == []
    assert shop.read().sources["order_items"].extracted == 60
    assert shop.raw("order_items", "order_item_id, quantity, unit_price_cents, _unreadable") == [
        (1, None, None, "quantity = 1.5, unit_price = 0.30000000000000004"),
        (2, None, 999, "quantity = 1000000000000000000000000000000"),
        (3, 2, 999, None),
    ]
    # A cast to numeric would have made 1234570 and 1234567890.99 of them: six digits of a real, 15 of a double.
    [(_, cost, price, created, unreadable), *_] = shop.raw(
        "products", "product_id, unit_cost_cents, unit_price_cents, created_at, _unreadable"
    )
    assert (cost, price, created, unreadable) == (123_456_790, 123_456_789_099, None, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("customers.sql", "angelegt at time zone 'Europe/Berlin' as created_at", "angelegt as created_at"),
            ("customers.sql:7: created_at is timestamp without time zone, which says no instant without a time zone:"
            " write `angelegt at time zone 'Europe/Berlin' as created_at` (the zone in which the shop writes it)"),
        ),
        (
            ("customers.sql", "angelegt at time zone 'Europe/Berlin'", "angelegt::date"),
            ("customers.sql:7: created_at is date, which says no instant without a time zone:"
            " write `angelegt::date::timestamp at time zone 'Europe/Berlin' as created_at`"
            " (the zone in which the shop writes it)"),
        ),
        (
            ("orders.sql", "summe as total", "zustand as total"),
            "orders.sql:10: total is text, and an amount is meant: write `nullif(zustand, '')::numeric as total`",
        ),
        (
            ("products.sql", "lieferbar <> 0", "lieferbar"),
            "products.sql:8: is_active is integer, and a boolean is meant: write `lieferbar <> 0 as is_active`",
        ),
        (
            ("orders.sql", "    'EUR' as currency,\n", ""),
            ("orders.sql:1: the column currency is missing (ISO 4217 code of every amount of the order):"
            " add `… as currency`"),
        ),
        (
            ("orders.sql", "    null as tax_due,\n", ""),
            ("orders.sql:1: the column tax_due is missing (The tax at the shop's own rate; null if it has none):"
            " add `null as tax_due`"),
        ),
        (
            ("orders.sql", "    null as channel,", "    null as channel,\n    1 as channel,"),
            "orders.sql:14: the column channel is there twice: remove one of the two",
        ),
        (
            ("customers.sql", "null as country", "null as country,\n    1 as shoe_size"),
            ("customers.sql:7: customers has no column shoe_size:"
            " remove it; customers has customer_id, email, name, country, created_at, updated_at"),
        ),
        (
            ("customers.sql", "    mail as", "    male as"),
            "customers.sql:4: the shop has no column male: perhaps kunde.mail is meant",
        ),
        (
            ("customers.sql", "laden.kunde", "kunden"),
            "customers.sql:9: the shop has no table kunden: perhaps laden.kunde is meant",
        ),
        (
            ("customers.sql", "laden.kunde", "customer"),
            ("customers.sql:9: the shop has no table customer:"
            " name one that it has, with its schema where that is not on the search path"),
        ),
        (
            ("warehouses.sql", "laden.filiale", "laden.filialen"),
            "warehouses.sql:2: the shop has no table laden.filialen: perhaps laden.filiale is meant",
        ),
        (
            ("warehouses.sql", "stand at time zone 'Europe/Berlin'", "(extract(epoch from stand) * 1000)::bigint"),
            ("warehouses.sql:1: updated_at is bigint, and an instant (timestamptz) is meant: write"
            " `to_timestamp(((extract(epoch from stand) * 1000)::bigint) / 1000.0) as updated_at` (of milliseconds"
            " since 1970; of seconds `to_timestamp(((extract(epoch from stand) * 1000)::bigint))`)"),
        ),
        (
            ("customers.sql", "null as country", "null country of"),
            "customers.sql:6: Postgres does not understand it near \"of\": mend the SQL",
        ),
        (
            ("warehouses.sql", "; -- all", "; select 1; -- all"),
            "warehouses.sql: there is more than one statement: keep one select; a `;` may only end it",
        ),
        (
            ("warehouses.sql", "fnr as warehouse_id", "(ort || fnr)::bigint as warehouse_id"),
            ("warehouses.sql:1: warehouse_id cannot be computed: a value cannot be cast"
            " (invalid input syntax for type bigint: \"Mitte1\"):"
            " let the statement give null or a text for such a value, or mend the row"),
        ),
        (
            ("warehouses.sql", "'Europe/Berlin' as updated_at", "'Europe/Berln' as updated_at"),
            ("warehouses.sql:1: updated_at cannot be computed: there is no time zone Europe/Berln:"
            " perhaps Europe/Berlin is meant"),
        ),
        (
            ("warehouses.sql", "fnr as warehouse_id", "1 / (fnr - fnr) as warehouse_id"),
            ("warehouses.sql:1: warehouse_id cannot be computed: it divides by zero:"
            " write `nullif(…, 0)` below the line: the value is null then"),
        ),
        (
            ("products.sql", "as unit_cost", "* round(1.5::double precision, 2) as unit_cost"),
            ("products.sql:6: it compares or computes with types that do not go together (function round(double"
            " precision, integer) does not exist): round a number of `numeric`: `round((…)::numeric, 2)`"),
        ),
        (
            ("orders.sql", "'EUR' as currency", "null as currency"),
            ("orders.sql:5: currency is null in every row (ISO 4217 code of every amount of the order):"
            " write what it is; as it is, the gate quarantines every row of orders"),
        ),
        (
            ("keys.toml", 'orders = "text"\n', ""),
            ("keys.toml: the keys of orders are text (orders.sql:2), and are read as integer:"
            " add the line `orders = \"text\"`"),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_file_line_and_what_to_write(
    shop: Bookshop, change: Sequence[str], said: str
) -> None:
    shop.change(*change)
    assert [one.replace(f"{shop.folder}/", "") for one in shop.findings()] == [said]


def test_everything_is_said_at_once_and_nothing_is_written(shop: Bookshop) -> None:
    shop.change("customers.sql", "angelegt at time zone 'Europe/Berlin'", "angelegt")
    shop.change("orders.sql", "laden.bestellung", "bestellungen")
    (shop.folder / "inventory.sql").write_text("-- to be written\n")
    with pytest.raises(StatementsRefused) as refused:
        shop.read()
    said = str(refused.value).replace(f"{shop.folder}/", "")
    found = re.findall(r"(?:stay\. | \| )([\w.]+\.sql(?::\d+)?): ", said)
    assert found == ["orders.sql:21", "inventory.sql", "customers.sql:7"]
    sources = shop_sources(shop.folder)
    assert [lake.files("raw", name, run="run") for name in sources] == [[]] * len(sources)


def test_a_table_that_may_not_be_read_is_named_with_the_grant(shop: Bookshop) -> None:
    shop.database.execute("revoke select on laden.buch from extractor")
    assert shop.findings() == [
        "products.sql: the role extractor may not read the table laden.buch: `grant select on laden.buch to extractor`"
    ]


def test_a_value_that_fails_after_the_first_rows_is_said_once_without_the_statement(shop: Bookshop) -> None:
    shop.database.execute("insert into laden.filiale select n, n::text, now() from generate_series(2, 300) as n")
    shop.database.execute("insert into laden.filiale values (301, 'one', now())")
    shop.change("warehouses.sql", "ort as code", "ort::integer::text as code")
    shop.change("warehouses.sql", "from laden.filiale", "from laden.filiale where fnr > 1")
    assert shop.findings() == []
    with pytest.raises(StatementsRefused) as failed:
        shop.read()
    assert str(failed.value).replace(f"{shop.folder}/", "").partition("stay. ")[2] == (
        'warehouses.sql: a value cannot be cast (invalid input syntax for type integer: "one"):'
        " let the statement give null or a text for such a value, or mend the row"
    )
    assert "select" not in str(failed.value)


def test_a_statement_without_the_window_is_read_whole_every_night(shop: Bookshop) -> None:
    shop.read("first")
    shop.database.execute("update laden.filiale set ort = 'Nord'")
    later = shop.read("second", since="2026-06-01T00:00:00+00:00").sources
    assert (later["warehouses"].changed_since, later["warehouses"].extracted) == (sql_files.EVERYTHING, 1)
    assert shop.raw("warehouses", "code", "second") == [("Nord",)]


def test_a_comment_or_a_text_is_no_window(shop: Bookshop) -> None:
    source = shop_sources(shop.folder)["warehouses"]
    shop.change("warehouses.sql", "-- all of them", "-- no :changed_since")
    assert not sql_files.takes_changes(source)
    shop.change("warehouses.sql", "ort as code", "':changed_since' as code")
    assert not sql_files.takes_changes(source)
    shop.change("warehouses.sql", "laden.filiale;", "laden.filiale where stand >= :changed_since;")
    assert sql_files.takes_changes(source)


def test_a_shop_that_goes_away_is_trouble_that_may_pass_and_no_finding(shop: Bookshop, shop_database: Database) -> None:
    with shop_connection() as connection, shop_database.connect() as killer:
        killer.execute("select pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
        with pytest.raises((ConnectionError, psycopg.OperationalError)):
            examine(connection, shop_sources(shop.folder))


def test_what_fits_is_checked_without_a_word(shop: Bookshop) -> None:
    assert check(shop_sources(shop.folder)).keys() == shop_sources(shop.folder).keys()
