"""A shop whose database is not in UTF-8: it is read, and what is no text at all is held as unreadable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from include.demo_shop.history import HistorySize, fill_history
from include.local.embedded_postgres import SUPERUSER, Cluster
from include.settings import ROOT, settings
from tests.conftest import Database, Done, nights_between
from tests.nights import LAST_DAY, Nights

SCHEMA = ROOT / "include" / "demo_shop" / "schema.sql"
TINY = HistorySize(orders=200, days=30, products=20)


@pytest.fixture
def shop_in(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A shop in a database of the encoding that the test names."""
    name = f"shop_{request.param.lower()}"
    identifier = sql.Identifier(name)
    with psycopg.connect(cluster.url("postgres", SUPERUSER), autocommit=True) as server:
        server.execute(
            sql.SQL(
                "create database {} template template0 encoding {} locale 'C' locale_provider libc owner shopkeeper"
            ).format(identifier, sql.Literal(request.param))
        )
        server.execute(sql.SQL("grant connect on database {} to extractor").format(identifier))
        server.execute(sql.SQL("alter database {} set timezone = 'UTC'").format(identifier))
    database = Database(cluster, name)
    try:
        with database.connect() as owner:
            owner.execute(
                """
                alter default privileges for role shopkeeper grant usage on schemas to extractor;
                alter default privileges for role shopkeeper grant select on tables to extractor;
                grant usage on schema public to extractor
                """
            )
        with psycopg.connect(database.url("shopkeeper"), client_encoding="UTF8") as shop:
            shop.execute(SCHEMA.read_text().encode("ascii", "replace"))  # its comments have arrows
            fill_history(shop, last_day=LAST_DAY, seed=7, size=TINY)
        yield database
    finally:
        database.drop()


@pytest.fixture
def nights(
    shop_in: Database, warehouse_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Nights]:
    """The nights of this shop."""
    monkeypatch.setenv("PGCLIENTENCODING", "UTF8")
    between = Done(shop_in, warehouse_database, tmp_path / "lake")
    with nights_between(monkeypatch, between) as found:
        monkeypatch.delenv("PGCLIENTENCODING")
        yield Nights(found.shop, found.warehouse, ("order_lines", "orders", "products", "customers"))


@pytest.mark.parametrize("shop_in", ["LATIN1", "SQL_ASCII"], indirect=True)
@pytest.mark.long
def test_a_shop_in_another_encoding_is_read_and_proven(nights: Nights) -> None:
    nights.shop.execute("update products set name = 'Müsli für Käthe' where product_id = 3")
    nights.shop.execute("update customers set name = 'Änne Þór', updated_at = now() where customer_id = 3")
    nights.report()
    assert nights.ask("select bool_and(complete) from audit.source_counts") == [(True,)]
    assert nights.ask("select count(*) from audit.quarantine") == [(0,)]
    nights.shop.execute("update products set name = 'Früchte', updated_at = now() where product_id = 4")
    run = nights.report()
    assert nights.ask("select product_id, name from reporting.products where product_id in (3, 4) order by 1") == [
        (3, "Müsli für Käthe"),
        (4, "Früchte"),
    ]
    assert nights.ask("select late from audit.source_counts where run_id = %s and source = 'products'", run) == [(0,)]
    assert settings().shop_url.get_secret_value().count("client_encoding") == 0


@pytest.mark.parametrize("shop_in", ["SQL_ASCII"], indirect=True)
@pytest.mark.long
def test_bytes_that_are_no_text_are_held_with_what_they_are(nights: Nights) -> None:
    """One byte of Latin-1 in a database that does not look at them: the row waits, the night goes on."""
    nights.shop.execute(
        "update products set name = convert_from('\\x4dfc73'::bytea, 'SQL_ASCII'), updated_at = now()"
        " where product_id = 3"
    )
    nights.report()
    [(rules, values)] = nights.ask("select rules, row_values from audit.quarantine where source = 'products'")
    assert "readable" in rules
    assert values["_unreadable"] == "name = 4dfc73"
    assert nights.ask("select bool_and(complete) from audit.source_counts") == [(True,)]
    nights.shop.execute("update products set name = 'Mus', updated_at = now() where product_id = 3")
    nights.report()
    assert nights.ask("select outcome from audit.quarantine where source = 'products'") == [("released",)]
    assert nights.ask("select name from reporting.products where product_id = 3") == [("Mus",)]
