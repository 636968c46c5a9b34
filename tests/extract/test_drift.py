"""Schema drift: what changed in the shop is named before anything is written, and what is new is only noted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import psycopg
import pytest
from airflow.sdk.definitions.retry_policy import RetryAction

from include.demo_shop.planting import plant, unplant
from include.demo_shop.schema import create_schema
from include.extract import drift
from include.extract.drift import SchemaDrift
from include.extract.sql_files import EVERYTHING, shop_sql
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.ledger.drift import Change
from include.pipeline import nightly
from include.pipeline.task_defaults import task_defaults
from include.serve.page import render
from include.settings import ROOT, settings
from include.sources import SOURCES, shop_sources
from tests.conftest import Database
from tests.nights import Nights

# What was done to the shop, and what a night says to it.
DRIFTS = {
    "dropped column": (
        "alter table orders drop column payment_id",
        "source orders: column public.orders.payment_id: expected text, found no such column",
    ),
    "renamed column": (
        "alter table orders rename total to grand_total",
        (
            "source orders: column public.orders.total: expected numeric(15,3), found no such column"
            " (new: grand_total numeric(15,3))"
        ),
    ),
    "retyped column": (
        "alter table refunds alter quantity type smallint",
        "source refunds: column public.refunds.quantity: expected integer, found smallint",
    ),
    "narrowed numeric": (
        "alter table products alter unit_price type numeric(10, 2)",
        "source products: column public.products.unit_price: expected numeric(12,2), found numeric(10,2)",
    ),
    "fewer decimals": (
        "alter table products alter unit_price type numeric(14, 1)",
        "column public.products.unit_price: expected numeric(12,2), found numeric(14,1)",
    ),
    "changed enum": (
        "alter type mood add value 'bored' before 'glad'",
        "source warehouses: column public.warehouses.mood: expected the labels sad, glad, found sad, bored, glad",
    ),
    "lost key": (
        "alter table refunds drop constraint refunds_pkey",
        "source refunds: key of public.refunds: expected key (refund_id), found none",
    ),
    "lost foreign key": (
        "alter table orders drop constraint orders_customer_id_fkey",
        (
            "source orders: foreign key of public.orders: expected foreign key (customer_id)"
            " references public.customers (customer_id), found none"
        ),
    ),
    "lost table": (
        "alter table refunds rename to returns",
        "source refunds: table public.refunds: expected, found no table of that name",
    ),
}


def statements() -> dict[str, str]:
    return {name: shop_sql(source, EVERYTHING) for name, source in shop_sources(settings().sources).items()}


def check(schema: drift.Schema) -> list[Change]:
    with duck.session() as connection:
        duck.attach(connection, "shop", settings().shop_url, read_only=True)
        return drift.check(connection, schema)


@pytest.fixture
def empty_shop(
    shop_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection]:
    """The demo shop's tables without a row, and an enum; its folder may be written into."""
    folder = copytree(ROOT / "include" / "sources" / "demo_shop", tmp_path / "sources")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", shop_database.url("extractor"))
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql://loader@warehouse.invalid/warehouse")
    settings.cache_clear()
    with shop_database.connect("shopkeeper") as shop:
        create_schema(shop)
        shop.execute("create type mood as enum ('sad', 'glad')")
        shop.execute("alter table warehouses add mood mood")
        yield shop
    settings.cache_clear()


@pytest.mark.parametrize("kind", DRIFTS)
def test_each_kind_of_drift_is_named(empty_shop: psycopg.Connection, kind: str) -> None:
    drift.write(drift.observe(statements()), settings().sources)
    schema = drift.expected("unused", statements())
    assert check(schema) == []
    change, message = DRIFTS[kind]
    empty_shop.execute(change.encode())
    with pytest.raises(SchemaDrift) as refused:
        check(schema)
    assert message in str(refused.value)
    assert str(refused.value).count(" | ") == 1  # it alone, and what to do


@pytest.mark.usefixtures("empty_shop")
def test_the_check_is_one_query_of_the_catalogue(shop_database: Database, capfd: pytest.CaptureFixture[str]) -> None:
    drift.write(drift.observe(statements()), settings().sources)
    schema = drift.expected("unused", statements())
    with duck.session() as connection, shop_database.connect() as server:
        duck.attach(connection, "shop", settings().shop_url, read_only=True)
        connection.execute("set pg_debug_show_queries = true")
        connection.execute("begin")
        drift.check(connection, schema)
        read = server.execute(
            "select distinct relation::regclass::text from pg_locks join pg_stat_activity using (pid)"
            " where usename = 'extractor' and relation >= 16384"
        ).fetchall()
    assert capfd.readouterr().err.count("COPY (SELECT") == 1
    assert read == []  # no table of the shop is touched for it


@pytest.mark.parametrize("shop", ["demo_shop", "complete_journey"])
def test_the_shops_that_come_along_say_what_they_are(
    shop: str, shop_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ROOT / "include" / "sources" / shop
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", shop_database.url("extractor"))
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql://loader@warehouse.invalid/warehouse")
    settings.cache_clear()
    with shop_database.connect("shopkeeper") as keeper:
        if shop == "demo_shop":
            create_schema(keeper)
        else:
            for file in ("tables.sql", "keys.sql"):
                keeper.execute((ROOT / "include" / "demo_shop" / shop / file).read_bytes())
    written = drift.write(drift.observe(statements()), tmp_path)
    assert written.read_text() == (folder / drift.FILE).read_text()
    assert check(drift.expected("unused", statements())) == []
    settings.cache_clear()


def test_drift_stops_the_night_with_nothing_written(nights: Nights) -> None:
    nights.shop.execute("alter table orders rename payment_id to payment_reference")
    run = nights.begin()
    with pytest.raises(SchemaDrift, match=r"source orders: column public\.orders\.payment_id: expected text"):
        nightly.extract(run)
    assert [name for name in SOURCES for layer in ("raw", "clean") if lake.version(layer, name) is not None] == []
    assert nights.ask("select count(*) from audit.source_counts") == [(0,)]
    decided = task_defaults()["retry_policy"].evaluate(SchemaDrift("x"), 1, 5)
    assert decided.action is RetryAction.FAIL  # no other try


def test_what_is_new_is_noted_once_and_shown(nights: Nights) -> None:
    nights.shop.execute("alter table orders add gift boolean, alter total type numeric(17, 3)")
    nights.shop.execute("alter table refunds alter quantity type bigint")
    first, second = nights.begin(), nights.begin()
    nightly.extract(first)
    nightly.extract(second)
    assert nights.ask("select run_id, relation, column_name, what from audit.schema_changes order by column_name") == [
        (first, "public.orders", "gift", "new column, boolean"),
        (first, "public.refunds", "quantity", "wider: integer before, bigint now"),
        (first, "public.orders", "total", "wider: numeric(15,3) before, numeric(17,3) now"),
    ]
    assert "<code>public.orders.gift</code>: new column, boolean" in render(first)
    assert "public.orders.gift" not in render(second)


def test_a_shop_without_the_file_must_stay_what_the_first_night_found(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copytree(settings().sources, tmp_path / "sources")
    (folder / drift.FILE).unlink()
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    nightly.extract(nights.begin())
    nights.shop.execute("alter table products alter name type varchar(80)")
    with pytest.raises(SchemaDrift, match=r"public\.products\.name: expected text, found character varying\(80\)"):
        nightly.extract(nights.begin())

    # Another statement is another beginning; writing the file down accepts what there is now.
    with (folder / "products.sql").open("a") as file:
        file.write("and product_id > 0\n")
    nightly.extract(nights.begin())
    nights.shop.execute("alter table orders alter status type varchar(20)")
    with pytest.raises(SchemaDrift, match=r"public\.orders\.status"):
        nightly.extract(nights.begin())
    drift.write(drift.observe(statements()), folder)
    nightly.extract(nights.begin())


@pytest.mark.parametrize("with_file", [True, False])
def test_an_optional_file_that_is_not_filled_in_is_as_none(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, with_file: bool
) -> None:
    folder = copytree(settings().sources, tmp_path / "sources")
    if with_file:  # of the time before the file was there
        drift.write(drift.observe({name: text for name, text in statements().items() if name != "refunds"}), folder)
    else:
        (folder / drift.FILE).unlink()
    (folder / "refunds.sql").write_text("-- refunds: to be filled in\n")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    assert nightly.extract(nights.begin())["refunds"] == 0


def test_keys_that_a_planted_defect_needs_away_are_set_aside_on_purpose(nights: Nights) -> None:
    comments = "select obj_description(oid, 'pg_class') from pg_class where relname in ('orders', 'order_items')"
    before = nights.shop.execute(comments).fetchall()
    schema = drift.expected("unused", statements())
    with nights.shop.transaction():
        plant(nights.shop, ["duplicate", "unknown_customer", "orphan_item"])
    assert check(schema) == []
    nights.shop.execute("alter table refunds drop constraint refunds_pkey")
    with pytest.raises(SchemaDrift, match=r"public\.refunds: expected key"):
        check(schema)
    nights.shop.execute("alter table refunds add primary key (refund_id)")
    with nights.shop.transaction():
        unplant(nights.shop)
    assert check(schema) == []
    assert nights.shop.execute(comments).fetchall() == before
