"""Extraction: one snapshot of all tables, nothing lost on the way, every value as it was."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from include.contract import Column, Type
from include.demo_shop.live import Traffic, trade
from include.extract import snapshot, sql_files
from include.extract.source_rows import SourceRows
from include.extract.statements import StatementsRefused
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.pipeline import nightly
from include.settings import settings
from include.sources import SOURCES, shop_sources
from tests.conftest import Database
from tests.nights import Nights


def raw(run: str, statement: str) -> list[tuple[Any, ...]]:
    """The rows of a query on lake/raw, as one run read it; sources by name."""
    with duckdb.connect() as connection:
        for name in SOURCES:
            files = ", ".join(duck.quoted(file) for file in lake.files("raw", name, run=run))
            connection.execute(f"create view {name} as select * from read_parquet([{files}])")
        return connection.execute(statement).fetchall()


def read_everything(run: str) -> snapshot.Extraction:
    sources = shop_sources(settings().sources)
    return snapshot.extract(sources, dict.fromkeys(sources, sql_files.EVERYTHING), run)


@pytest.mark.usefixtures("nights")
def test_all_tables_are_of_one_snapshot_while_the_shop_trades(old_shop: Database) -> None:
    stop = threading.Event()

    def customers() -> None:
        while not stop.is_set():
            asyncio.run(trade(old_shop.url("shopkeeper"), Traffic(customers=8, seconds=1.0)))

    trading = threading.Thread(target=customers)
    before = read_everything("before")
    trading.start()
    try:
        runs = [f"during-{number}" for number in range(4)]
        counts = [read_everything(run) for run in runs]
    finally:
        stop.set()
        trading.join()
    assert counts[-1].sources["orders"].extracted > before.sources["orders"].extracted
    for run, count in zip(runs, counts, strict=True):
        assert all(read.extracted == read.source_rows for read in count.sources.values())
        assert raw(
            run,
            """
            select count(*) from orders full join (
                select order_id, sum(quantity * unit_price_cents) filter (removed_at is null) as lines
                from order_items group by order_id
            ) as items using (order_id)
            where subtotal_cents is distinct from lines
            """,
        ) == [(0,)]
        assert raw(
            run,
            """
            select count(*) from inventory full join (
                select product_id, warehouse_id,
                    sum(quantity) filter (kind not in ('reservation', 'release')) as moved
                from inventory_movements group by all
            ) as movements using (product_id, warehouse_id)
            where on_hand is distinct from moved
            """,
        ) == [(0,)]


def test_values_that_the_lake_cannot_hold_are_kept_as_text(nights: Nights) -> None:
    nights.shop.execute("alter table order_items alter unit_price type numeric")
    for number, price in enumerate(["NaN", "Infinity", "1.0005", "99999999999999999999"], 1):
        nights.shop.execute("update order_items set unit_price = %s where order_item_id = %s", [price, number])
    nights.shop.execute("update refunds set refunded_at = '-infinity' where refund_id = 1")
    read_everything("run")
    assert raw("run", "select order_item_id, unit_price_cents, _unreadable from order_items order by 1 limit 5")[
        :4
    ] == [
        (1, None, "unit_price = NaN"),
        (2, None, "unit_price = Infinity"),
        (3, None, "unit_price = 1.0005"),
        (4, None, "unit_price = 99999999999999999999"),
    ]
    assert raw("run", "select refunded_at, _unreadable from refunds where refund_id = 1") == [
        (None, "refunded_at = -infinity")
    ]
    assert raw("run", "select count(*) from order_items where _unreadable is null and unit_price_cents is null") == [
        (0,)
    ]


def written(column: str, kind: Column) -> str:
    """A column of the shop as text; amounts with the decimals that they have in the lake."""
    return f"{column}::numeric(18, 3)::text" if kind.type is Type.CENTS else f"{column}::text"


def test_every_value_arrives_as_it_was(nights: Nights) -> None:
    read_everything("run")
    called = {"payments.payment_id": "transaction_id", "shipment_items.shipment_id": "shipment_number"}
    for name, source in SOURCES.items():
        computed = (
            *("tax_due", "tracking_number", "product_name", "cost_currency"),
            *(f"order_items.{name}" for name in ("subtotal", "tax", "unit_price", "discount")),
        )  # not the shop's own
        own = [column for column in source.columns if not {column.name, f"{name}.{column.name}"} & set(computed)]
        texts = [written(called.get(f"{name}.{column.name}", column.name), column) for column in own]
        shop = nights.shop.execute(f"select {', '.join(texts)} from {name}".encode()).fetchall()
        values = ", ".join(
            f"({c.lake_name} / 1000)::decimal(18, 3)::varchar"
            if c.type is Type.CENTS
            else f"strftime({c.lake_name} at time zone 'UTC', '%Y-%m-%d %H:%M:%S.%f')"
            if c.type is Type.AT
            else f"{c.lake_name}::varchar"
            for c in own
        )
        instants = [index for index, column in enumerate(own) if column.type is Type.AT]
        for theirs, ours in zip(sorted(shop), sorted(raw("run", f"select {values} from {name}")), strict=True):
            for index, (left, right) in enumerate(zip(theirs, ours, strict=True)):
                if index in instants and left is not None:
                    assert left.removesuffix("+00").ljust(20, ".").ljust(26, "0")[:26] == right
                else:
                    assert left == right, (name, own[index].name)


@pytest.mark.usefixtures("nights")
def test_a_column_that_a_statement_leaves_out_has_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copytree(settings().sources, tmp_path / "sources")
    given = {name: (folder / f"{name}.sql").read_text() for name in ("orders", "order_items")}
    without = re.sub(r"    shipping(_discount|_tax)?,\n", "", given["orders"])
    (folder / "orders.sql").write_text(without)
    (folder / "order_items.sql").write_text(re.sub(r"    case [^\n]* as discount,\n", "", given["order_items"]))
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    read_everything("without")
    assert raw(
        "without", "select distinct shipping_cents, shipping_discount_cents, shipping_tax_cents from orders"
    ) == [(0, 0, 0)]
    assert raw("without", "select distinct discount_cents, tax_cents from order_items") == [(None, None)]
    (folder / "orders.sql").write_text(given["orders"])
    read_everything("given")
    assert raw("given", "select max(shipping_cents) from orders where currency = 'USD'") == [(5390,)]


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [("half_up", [101, 102, -101, 103]), ("half_even", [100, 102, -100, 102])],
)
def test_an_amount_that_is_finer_than_a_cent_is_rounded_where_the_shop_says_so(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounding: str, expected: list[int]
) -> None:
    folder = copytree(settings().sources, tmp_path / "sources")
    (folder / "shop.toml").write_text(f'[money]\nrounding = "{rounding}"\n')
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    nights.shop.execute("alter table order_items drop constraint order_items_unit_price_check")
    nights.shop.execute("alter table order_items alter unit_price type numeric")
    for number, price in enumerate(["1.005", "1.0151", "-1.005", "1.025", "NaN"], 1):
        nights.shop.execute("update order_items set unit_price = %s where order_item_id = %s", [price, number])
    read_everything("run")
    found = raw("run", "select unit_price_cents, _unreadable from order_items order by order_item_id limit 5")
    assert found == [*((cents, None) for cents in expected), (None, "unit_price = NaN")]


def test_a_run_read_again_replaces_its_rows_and_no_others(nights: Nights) -> None:
    read_everything("first")
    read_everything("second")
    nights.shop.execute("update products set unit_cost = 1.23, updated_at = now()")
    read_everything("second")
    first, second = (raw(run, "select count(*), max(unit_cost_cents) from products") for run in ("first", "second"))
    assert first[0][0] == second[0][0] == 43  # kits among them
    assert second == [(43, 1230)]
    assert first != second


@pytest.mark.long
def test_a_changed_row_brings_its_twins(nights: Nights) -> None:
    nights.report()
    nights.set_aside(("products", "products_pkey"))
    nights.shop.execute(
        "insert into products select product_id, sku || '-twin', name, category, unit_cost, unit_price, is_active,"
        " created_at, now() from products where product_id = 7"
    )
    run = nights.begin()
    assert nightly.extract(run)["products"] == 2


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        (
            lambda file: file.write_text("select no_such_column from orders"),
            r"orders.sql:1: the shop has no column no_such_column",
        ),
        (
            lambda file: file.write_text("select order_id from orders"),
            r"orders.sql:1: the column customer_id is missing",
        ),
    ],
)
@pytest.mark.usefixtures("nights")
def test_sql_that_cannot_be_read_names_file_and_line(
    breakage: Callable[[Path], Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (*settings().sources.glob("*.sql"), settings().sources / "dimensions.toml"):
        (tmp_path / file.name).write_text(file.read_text())
    breakage(tmp_path / "orders.sql")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(tmp_path))
    settings.cache_clear()
    with pytest.raises(StatementsRefused, match=message):
        read_everything("run")
    assert [lake.files("raw", name, run="run") for name in SOURCES] == [[]] * len(SOURCES)


@pytest.mark.usefixtures("nights")
def test_a_shop_that_cannot_be_reached_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql://extractor:hunter2@127.0.0.1:1/shop")
    settings.cache_clear()
    with pytest.raises(ConnectionError, match=r'"extractor@127.0.0.1:1/shop"') as refused:
        read_everything("run")
    error: BaseException | None = refused.value
    while error:
        assert "hunter2" not in str(error)
        error = error.__cause__ or error.__context__


def test_a_shop_that_goes_away_while_it_is_read_is_trouble_that_may_pass(
    nights: Nights, old_shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamped = SourceRows.stamped

    def kill_and_read(reading: Any, *rest: Any) -> Any:
        if reading.source.name == "order_items":
            with old_shop.connect() as killer:
                killer.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and usename = 'extractor'"
                )
        return stamped(reading, *rest)

    monkeypatch.setattr(SourceRows, "stamped", kill_and_read)
    with pytest.raises(OSError, match=r"order_items|terminating connection"):
        read_everything("run")
    monkeypatch.setattr(SourceRows, "stamped", stamped)
    assert read_everything("run").sources["order_items"].extracted > 0
    assert nights.shop.execute("select 1").fetchone() == (1,)


def test_the_extractor_never_writes(nights: Nights) -> None:
    with duck.session() as connection:
        duck.attach(connection, "shop", SecretStr(settings().shop_url.get_secret_value()), read_only=False)
        with pytest.raises(duckdb.Error, match=r"read-only transaction|permission denied"):
            connection.execute("delete from shop.public.refunds")
    assert nights.shop.execute("select count(*) > 0 from refunds").fetchone() == (True,)
