"""Real purchases: what is loaded, how it is read as orders, and what the gate says to them.

A slice of the data stands for all of it: two whole days, on the first of which the clocks went back, and one basket
for every kind of line that the .sql files decide about.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, LiteralString

import duckdb
import psycopg
import pytest
from psycopg import sql

from include.contract import Source, Type
from include.contract.types import day_number
from include.demo_shop.complete_journey import AlreadyLoaded, NotLoadable, load, packaged
from include.demo_shop.complete_journey import __main__ as command
from include.extract import snapshot as extraction
from include.extract import sql_files
from include.extract.completeness import kept_proof
from include.extract.reading import Reading, default_sql
from include.gate.acceptance import accept
from include.gate.checks import check_source
from include.gate.versions import ALWAYS
from include.lake import tables as lake
from include.local.embedded_postgres import Cluster
from include.settings import ROOT, settings
from include.sources import shop_sources
from tests.conftest import Database

SOURCES: Final = ROOT / "include" / "sources" / "complete_journey"
TABLES: Final = ("transactions", "products", "demographics")
DAYS: Final = ("2017-11-05", "2017-11-06")

# basket, what it is there for, its business day, subtotal, discount, total
BASKETS: Final = [
    (31198572814, "gasoline in thousandths of a gallon", "2017-01-01", "41.82", "1.82", "40.00"),
    (31198642918, "gasoline as one sale", "2017-01-01", "15.00", "0.00", "15.00"),
    (31242605303, "given away for a loyalty card", "2017-01-03", "9.37", "3.69", "5.68"),
    (31254462049, "a manufacturer's coupon", "2017-01-04", "15.27", "0.00", "15.27"),
    (31254558689, "a coupon as a product that is unknown", "2017-01-03", "2.00", "0.00", "2.00"),
    (31316976266, "rung up and taken back", "2017-01-07", "5.79", "0.00", "5.79"),
    (31336563170, "a coupon that the shop matched", "2017-01-08", "11.30", "1.17", "10.13"),
    (31355422836, "a coupon as a product that is known", "2017-01-10", "0.00", "0.00", "0.00"),
    (32187000016, "two for 1.19, at 3 o'clock when there was no 2", "2017-03-12", "1.20", "0.01", "1.19"),
    (33409567887, "the next day in UTC", "2017-06-01", "10.47", "4.89", "5.58"),
    (33658277228, "144 ears of corn", "2017-06-16", "48.96", "24.96", "24.00"),
    (33768796119, "three for 5.00", "2017-06-21", "12.49", "3.51", "8.98"),
    (33824002593, "something sold that is unknown", "2017-06-25", "12.50", "0.21", "12.29"),
    (40596018693, "the first of two 1 o'clocks", "2017-11-05", "2.79", "0.00", "2.79"),
    (41453083334, "the last of the year", "2017-12-31", "14.09", "3.57", "10.52"),
]

# basket, what it is there for, the rule that holds it, total
HELD: Final = [
    (32811720098, "a cent for nothing", "subtotal_equals_lines", "0.61"),
    (33409713870, "a discount on nothing", "subtotal_equals_lines", "92.58"),
    (31254490424, "nothing sold at all", "lines_accepted", "0.00"),
]

# basket, product, units, price of one, the rules it breaks
LINES: Final = [
    (31198572814, 6534178, 1, "41.82", []),  # 18.192 gallons
    (31198642918, 6533765, 1, "15.00", []),
    (31242605303, 6533159, 1, "3.69", []),
    (31254462049, 826850, 1, "10.59", []),
    (31254490424, 5566398, 0, "0.00", ["follows_orders", "quantity_positive"]),
    (31254558689, 5978656, 0, "0.00", ["quantity_positive"]),
    (31316976266, 1028953, 0, "0.00", ["quantity_positive"]),
    (31336563170, 1050229, 2, "0.66", []),  # 0.95 + 0.12 off + 0.25 matched
    (31355422836, 1053460, 1, "0.00", []),
    (32187000016, 925514, 2, "0.60", []),
    (32811720098, 878234, 0, "0.01", ["follows_orders", "quantity_positive"]),
    (32811720098, 1124729, 1, "0.60", ["follows_orders"]),
    (33409713870, 951907, 0, "0.86", ["follows_orders", "quantity_positive"]),
    (33658277228, 911878, 144, "0.34", []),
    (33768796119, 908988, 3, "1.67", []),
    (33824002593, 929018, 1, "2.69", []),
    (33824002593, 1093587, 1, "3.02", []),
]


@dataclass(frozen=True)
class Night:
    """The slice in a database, and what the gate made of it."""

    database: Database
    files: Path
    loaded: dict[str, int]
    sources: dict[str, Source]
    counts: dict[str, dict[str, int]]

    def shop(self, statement: LiteralString) -> list[tuple[Any, ...]]:
        """Rows of the shop's own tables."""
        with self.database.connect() as connection:
            return connection.execute(statement).fetchall()

    def read(self, source: str, changed_since: str = sql_files.EVERYTHING) -> list[dict[str, Any]]:
        """What the shop's SQL gives for a source, untyped."""
        statement = sql_files.shop_sql(self.sources[source], changed_since)
        with self.database.connect("extractor") as connection:
            cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
            return cursor.execute(statement.encode()).fetchall()

    def layer(self, layer: str, source: str) -> dict[int, dict[str, Any]]:
        """Rows in the lake, by key."""
        rows = duckdb.read_parquet([str(file) for file in lake.files(layer, source)]).to_arrow_table().to_pylist()
        return {row[self.sources[source].primary_key[0]]: row for row in rows}


def cents(amount: str) -> int:
    """An amount in dollars, exactly."""
    return int(Decimal(amount) * 100)


def write_slice(folder: Path) -> None:
    """The published files, cut down to the day and the baskets, with the products and households these name."""
    picked = ", ".join(str(row[0]) for row in [*BASKETS, *HELD])
    with duckdb.connect() as data:
        for table in TABLES:
            data.read_parquet(str(packaged() / f"{table}.parquet")).create_view(f"all_{table}")
        data.execute(
            "create table transactions as select * from all_transactions"
            f" where basket_id in ({picked}) or cast(transaction_timestamp - interval 5 hour as date) in {DAYS}"
        )
        data.execute("create table products as from all_products semi join transactions using (product_id)")
        data.execute("create table demographics as from all_demographics semi join transactions using (household_id)")
        for table in TABLES:
            data.execute(f"copy {table} to '{folder / f'{table}.parquet'}' (format parquet)")


@pytest.fixture(scope="module")
def night(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    files, lake_folder = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("lake")
    write_slice(files)
    database = Database(cluster, "shop").copy()
    with psycopg.connect(database.url("shopkeeper")) as shop:
        loaded = load(shop, files)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STOCKTAKE_SHOP_URL", database.url("extractor"))
        environment.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql://unused")
        environment.setenv("STOCKTAKE_SOURCES", str(SOURCES))
        environment.setenv("STOCKTAKE_LAKE", str(lake_folder))
        environment.setenv("STOCKTAKE_TIMEZONE", "America/New_York")
        settings.cache_clear()
        sources = shop_sources(SOURCES)
        read = extraction.extract(sources, dict.fromkeys(sources, sql_files.EVERYTHING), "run")
        full = dict.fromkeys(sources, True)
        with warnings.catch_warnings():
            # Great Expectations and deltalake use what their own dependencies, or they themselves, deprecate.
            warnings.simplefilter("ignore", DeprecationWarning)
            for name in sources:
                check_source(sources, name, "run", full, read.snapshot_at.isoformat())
            counts = accept(sources, {}, "run", full, kept_proof("run", sources), ALWAYS)
        for name in sources:
            counts[name]["extracted"] = read.sources[name].extracted
        yield Night(database, files, loaded, sources, counts)
    settings.cache_clear()
    database.drop()


def test_every_row_of_the_files_is_loaded_under_its_own_names(night: Night) -> None:
    for table in TABLES:
        published = duckdb.read_parquet(str(night.files / f"{table}.parquet"))
        with night.database.connect() as shop:
            rows = shop.execute(sql.SQL("select * from {}").format(sql.Identifier(table)))
            assert [column.name for column in rows.description or []] == published.columns
            found = sorted(map(repr, rows.fetchall()))
        amounts = [name for name, kind in zip(published.columns, published.types, strict=True) if kind == "DOUBLE"]
        exact = ", ".join(f"{name}::decimal(10, 2) as {name}" for name in amounts)
        relation = published.select(f"* replace ({exact})" if amounts else "*")
        assert found == sorted(map(repr, relation.fetchall()))
        assert night.loaded[table] == len(found) > 0


def test_a_second_load_changes_nothing(night: Night) -> None:
    with psycopg.connect(night.database.url("shopkeeper")) as shop, pytest.raises(AlreadyLoaded, match="transactions"):
        load(shop, night.files)
    assert night.shop("select count(*) from transactions") == [(night.loaded["transactions"],)]


def test_the_command_says_what_it_did(
    night: Night, shop_database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "packaged", lambda: night.files)
    url = shop_database.url("shopkeeper")
    command.fill(url)
    said = capsys.readouterr().out
    assert all(f"{table} {count:,}" in " ".join(said.split()) for table, count in night.loaded.items())
    command.fill(url)
    assert "nothing was changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("defect", "change", "message"),
    [
        ("fraction_of_a_cent", "select * replace (sales_value + 0.001 as sales_value) from published", "sales_value"),
        ("missing_amount", "select * replace (null::double as retail_disc) from published", "retail_disc"),
        ("no_amount", "select * replace ('nan'::double as coupon_disc) from published", "coupon_disc"),
        ("line_twice", "from published union all (from published limit 1)", "transactions_pkey"),
    ],
    ids=lambda value: value if value.isidentifier() else "",
)
def test_files_of_another_kind_are_refused_whole(
    night: Night, shop_database: Database, tmp_path: Path, defect: str, change: str, message: str
) -> None:
    for table in TABLES:
        published = duckdb.read_parquet(str(night.files / f"{table}.parquet"))
        changed = published.query("published", change) if table == "transactions" else published
        changed.write_parquet(str(tmp_path / f"{table}.parquet"))
    with psycopg.connect(shop_database.url("shopkeeper")) as shop, pytest.raises(NotLoadable, match=message):
        load(shop, tmp_path)
    with shop_database.connect() as shop:
        assert shop.execute("select to_regclass('transactions')").fetchone() == (None,), defect


def test_every_source_gives_exactly_its_contract(night: Night) -> None:
    assert set(night.sources) == {
        "customers", "products", "warehouses", "orders", "order_items", "refunds", "order_refunds", "payments",
        "shipment_items",
        "purchase_order_lines", "kit_components",
    }  # fmt: skip
    codes = {Type.INTEGER: "int8", Type.UNITS: "int8", Type.CENTS: "int8", Type.BOOLEAN: "bool", Type.AT: "timestamptz"}
    with night.database.connect("extractor") as shop:
        for source in night.sources.values():
            given = shop.execute(sql_files.shop_sql(source, sql_files.EVERYTHING).encode()).description or []
            names = [column.name for column in given]
            absent = [column.name for column in source.columns if column.optional and column.name not in names]
            assert names == [column.name for column in source.columns if column.name not in absent], source.name
            reading = Reading({one.name: default_sql(one) if one.name in absent else "{}" for one in source.columns})
            typed_sql = sql_files.typed_sql(source, sql_files.EVERYTHING, reading=reading)
            typed = shop.execute(typed_sql.encode()).description or []
            kinds = [shop.adapters.types[column.type_code].name for column in typed[:-1]]
            assert kinds == [codes.get(column.type, "text") for column in source.columns], source.name


def test_no_row_is_lost_on_the_way(night: Night) -> None:
    rows = night.shop("""
        select count(*), count(distinct basket_id), count(distinct household_id), count(distinct store_id)
        from transactions
    """)[0]
    extracted = {name: counts["extracted"] for name, counts in night.counts.items()}
    assert extracted == {
        **dict(zip(("order_items", "orders", "customers", "warehouses"), rows, strict=True)),
        "products": night.loaded["products"],
        "refunds": 0,
        "order_refunds": 0,
        "payments": 0,
        "shipment_items": 0,
        "purchase_order_lines": 0,
        "kit_components": 0,
    }
    for name, counts in night.counts.items():
        assert counts["extracted"] == counts["accepted"] + counts["quarantined"], name
        assert len(night.layer("clean", name)) if counts["accepted"] else extracted[name] == 0


def test_a_key_gives_back_its_basket_and_product(night: Night) -> None:
    lines = night.read("order_items")
    assert len({line["order_item_id"] for line in lines}) == len(lines)
    for line in lines:
        assert divmod(line["order_item_id"], 100_000_000) == (line["order_id"], line["product_id"])


def test_the_published_keys_fit() -> None:
    files = duckdb.read_parquet(str(packaged() / "transactions.parquet"))
    largest = files.aggregate("max(basket_id), max(product_id), min(product_id)").fetchone()
    assert largest
    assert largest[0] * 100_000_000 + 99_999_999 < 2**63
    assert 0 <= largest[2] <= largest[1] < 100_000_000


@pytest.mark.parametrize("expected", BASKETS, ids=lambda row: row[1])
def test_a_basket_is_an_order(night: Night, expected: tuple[int, str, str, str, str, str]) -> None:
    basket, _, day, subtotal, discount, total = expected
    order = night.layer("clean", "orders")[basket]
    amounts = [order[f"{name}_cents"] for name in ("subtotal", "discount", "total")]
    assert amounts == [cents(subtotal), cents(discount), cents(total)]
    assert order["ordered_on"] == day_number(date.fromisoformat(day))
    assert order["ordered_at"] == order["delivered_at"] == order["updated_at"]
    assert basket not in night.layer("quarantine", "orders")


@pytest.mark.parametrize("expected", HELD, ids=lambda row: row[1])
def test_a_basket_that_does_not_add_up_is_held_whole(night: Night, expected: tuple[int, str, str, str]) -> None:
    basket, _, rule, total = expected
    held = night.layer("quarantine", "orders")[basket]
    assert held["_broken"] == [rule]
    assert held["_amount_cents"] == held["total_cents"] == cents(total)
    assert basket not in night.layer("clean", "orders")
    lines = [line for line in night.layer("quarantine", "order_items").values() if line["order_id"] == basket]
    assert len(lines) == len([line for line in night.read("order_items") if line["order_id"] == basket]) > 0
    assert all("follows_orders" in line["_broken"] for line in lines)


@pytest.mark.parametrize("expected", LINES, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_line_has_units_and_a_price(night: Night, expected: tuple[int, int, int, str, list[str]]) -> None:
    basket, product, units, price, broken = expected
    key = basket * 100_000_000 + product
    line = night.layer("quarantine" if broken else "clean", "order_items")[key]
    assert (line["quantity"], line["unit_price_cents"]) == (units, cents(price))
    assert sorted(line.get("_broken", [])) == broken


def test_only_what_is_wrong_is_held(night: Night) -> None:
    """By a rule of its own, from the shop's tables alone: lines without units, and whole baskets."""
    assert set(night.layer("quarantine", "orders")) == {row[0] for row in HELD} | {
        basket
        for (basket,) in night.shop("""
            select basket_id from transactions
            where quantity = 0 and sales_value + retail_disc + coupon_match_disc > 0
            union
            select basket_id from transactions group by basket_id having max(quantity) = 0
        """)
    }
    wrong = night.shop("""
        with held as (
            select basket_id from transactions
            where quantity = 0 and sales_value + retail_disc + coupon_match_disc > 0
            union
            select basket_id from transactions group by basket_id having max(quantity) = 0
        )
        select basket_id * 100000000 + product_id from transactions
        where quantity = 0 or basket_id in (select basket_id from held)
    """)
    assert set(night.layer("quarantine", "order_items")) == {key for (key,) in wrong}
    for name in ("customers", "products", "warehouses", "refunds"):
        assert night.counts[name]["quarantined"] == 0, name


def test_money_is_published_or_held_to_the_cent(night: Night) -> None:
    published = night.layer("clean", "orders")
    held = night.layer("quarantine", "orders")
    received = dict(night.shop("select basket_id, (sum(sales_value) * 100)::bigint from transactions group by 1"))
    assert {key: row["total_cents"] for key, row in (published | held).items()} == received
    assert not set(published) & set(held)
    for order in published.values():
        assert order["subtotal_cents"] - order["discount_cents"] == order["total_cents"] == received[order["order_id"]]
    # What is held beside its order stands for no money.
    lines = night.layer("quarantine", "order_items").values()
    assert {line["_amount_cents"] for line in lines} == {0}


def test_a_discount_is_what_was_taken_off_and_the_rounding(night: Night) -> None:
    known = night.shop("""
        select
            basket_id,
            sum(retail_disc + coupon_match_disc) * 100,
            -- A price is rounded up by less than a cent a unit; gasoline, one unit, not at all.
            coalesce(sum(quantity) filter (where product_type <> 'GASOLINE-REG UNLEADED'), 0)
        from transactions left join products using (product_id)
        group by basket_id
    """)
    orders = night.layer("clean", "orders") | night.layer("quarantine", "orders")
    for basket, taken_off, units in known:
        assert 0 <= orders[basket]["discount_cents"] - taken_off <= units


def test_the_day_is_the_retailers_own() -> None:
    """Every day lies in one of the retailer's weeks, none of them on Christmas; in UTC some lie in two."""
    with duckdb.connect() as data:
        data.execute(f"create view lines as from read_parquet('{packaged() / 'transactions.parquet'}')")
        data.execute(f"create table days as select week, ({_new_york()})::date as day from lines")
        assert data.execute(
            "select min(day)::varchar, max(day)::varchar, count(distinct day) from days"
        ).fetchall() == [("2017-01-01", "2017-12-31", 364)]
        assert data.execute("select count(*) from days where day = '2017-12-25'").fetchall() == [(0,)]
        two = "select count(*) from (select day from days group by day having count(distinct week) > 1)"
        assert data.execute(two).fetchall() == [(0,)]
        data.execute("create or replace table days as select week, transaction_timestamp::date as day from lines")
        assert data.execute(two).fetchall() == [(51,)]


def _new_york() -> str:
    """New York's time in 2017 without a time zone database: summer from 12 March to 5 November, changing at 2:00."""
    return (
        "transaction_timestamp - case when transaction_timestamp >= '2017-03-12 07:00'"
        " and transaction_timestamp < '2017-11-05 06:00' then interval 4 hour else interval 5 hour end"
    )


def test_a_household_is_a_customer_since_its_first_purchase(night: Night) -> None:
    first = dict(
        night.shop("select household_id, min(transaction_timestamp) at time zone 'UTC' from transactions group by 1")
    )
    customers = night.layer("clean", "customers")
    assert {key: row["created_at"] for key, row in customers.items()} == first
    with_demographics = {household for (household,) in night.shop("select household_id from demographics")}
    assert with_demographics < set(customers)  # so some have none


def test_the_window_gives_whole_baskets_from_its_instant_on(night: Night) -> None:
    instant = "2017-11-05 20:00:00+00"
    later = night.shop("""
        select basket_id, count(*) from transactions
        where transaction_timestamp >= '2017-11-05 20:00' group by basket_id
    """)
    assert {order["order_id"] for order in night.read("orders", instant)} == {basket for basket, _ in later}
    assert len(night.read("order_items", instant)) == sum(lines for _, lines in later) > 0
    everything = {order["order_id"]: order for order in night.read("orders")}
    assert all(order == everything[order["order_id"]] for order in night.read("orders", instant))
    new = night.read("customers", instant)
    assert {row["created_at"].isoformat() >= "2017-11-05T20:00:00+00:00" for row in new} == {True}
    assert night.read("products", instant) == []


@pytest.mark.parametrize("source", ["orders", "order_items", "customers", "warehouses", "products"])
def test_the_windows_own_instant_belongs_to_it(night: Night, source: str) -> None:
    everything = night.read(source)
    latest = max(row["updated_at"] for row in everything)
    found = night.read(source, latest.isoformat())
    assert sorted(map(repr, found)) == sorted(repr(row) for row in everything if row["updated_at"] == latest)
    assert found
