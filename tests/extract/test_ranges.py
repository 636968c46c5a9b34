"""A large source is read in ranges by several connections: the same rows, the same proof, each row exactly once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest

from include.contract import Column, Source, Type
from include.extract import ranges, snapshot
from include.extract.completeness import Incomplete, ShopSums
from include.extract.ranges import Order, in_order
from include.extract.readers import readers
from include.extract.snapshot import extract
from include.extract.source_rows import SourceRows
from include.extract.sql_files import EVERYTHING, Range, shop_sql
from include.extract.statements import StatementsRefused, shop_connection
from include.extract.work import shop_row
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.settings import settings
from tests.conftest import Database
from tests.extract.test_readers import handled, none_left

_ROWS = 3_000
_PLAIN = "select thing_id, part, note, updated_at from things"

# How keys lie, as an expression of the row's number n; their type; and of what ranges are made.
_KEYS = {
    "in order": ("n", "bigint", Type.INTEGER),
    "skewed": ("case when n < 2900 then n else n::bigint * 1000000007 end", "bigint", Type.INTEGER),
    "negative": ("-7 * n", "integer", Type.INTEGER),
    "few values": ("n % 7", "integer", Type.INTEGER),  # with part it is a key
    "uuid": ("md5(n::text)::uuid", "uuid", Type.UUID),
    "text": ("chr(65 + n % 60) || 'É%''' || n", "text", Type.TEXT),
    "missing": ("nullif(n % 50, 0) * n", "bigint", Type.INTEGER),
}
_STATEMENTS = {
    "blocks": _PLAIN,
    "blocks of one of two": "select t.thing_id, t.part, t.note, t.updated_at from things as t join labels using (part)",
    "keys": "with all_of_them as (select * from things) select thing_id, part, note, updated_at from all_of_them",
}


@dataclass(frozen=True)
class Shop:
    """A shop of one table."""

    database: psycopg.Connection
    server: Database
    source: Source
    file: Path

    def divided(self, connections: int = 3) -> list[Range]:
        """The ranges in which it is read."""
        return in_order([self.source], ["things"], connections).ranges.get("things", [])

    def read(self, connections: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[Any], ShopSums]:
        """Its rows in the lake and its sums, as so many connections read them."""
        monkeypatch.setenv("STOCKTAKE_SHOP_CONNECTIONS", str(connections))
        settings.cache_clear()
        run = f"by-{connections}"
        counts = extract({"things": self.source}, {"things": EVERYTHING}, run).sources["things"]
        files = ", ".join(map(duck.quoted, lake.files("raw", "things", run=run)))
        rows = duckdb.sql(f"select thing_id, part, note from read_parquet([{files}])").fetchall() if files else []
        assert counts.extracted == counts.source_rows == len(rows)
        return Counter(rows), ShopSums.kept(run, "things")


def shop_of(database: psycopg.Connection, keys: str) -> None:
    """Fill it."""
    expression, kind, _ = _KEYS[keys]
    database.execute(f"create table things (thing_id {kind}, part integer, note text, updated_at timestamptz)".encode())
    notes = "repeat('x', n % 90), now()"
    database.execute(f"insert into things select {expression}, n, {notes} from generate_series(1, {_ROWS}) n".encode())
    database.execute(b"create index on things (thing_id)")
    database.execute(b"create table labels as select part from things group by part")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few thousand rows are a large source."""
    monkeypatch.setattr(ranges, "FEWEST_ROWS", 1)
    monkeypatch.setattr(ranges, "_EACH", 100)
    monkeypatch.setattr(ranges, "_MOST_COST", 100.0)


@pytest.fixture
def shop(
    request: pytest.FixtureRequest, shop_database: Database, own_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """Three thousand things, whose keys lie in some way."""
    keys = getattr(request, "param", "in order")
    file = own_lake.parent / "sources" / "things.sql"
    file.parent.mkdir()
    file.write_text(_PLAIN)
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", shop_database.url("extractor"))
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(file.parent))
    settings.cache_clear()
    source = Source(
        schema="source", name="things", grain="One row per thing.", doc="Things.", rules=(),
        columns=(
            Column("thing_id", _KEYS[keys][2], "The thing."),
            Column("part", Type.INTEGER, "Its part."),
            Column("note", Type.TEXT, "A note.", nullable=True),
            Column("updated_at", Type.AT, "When.", nullable=True),
        ),
        primary_key=("thing_id", "part"),
    )  # fmt: skip
    with shop_database.connect("shopkeeper") as database:
        shop_of(database, keys)
        database.execute("analyze")
        database.execute("grant select on all tables in schema public to extractor")
        yield Shop(database, shop_database, source, file)


def rows_of(some: list[Range], source: Source) -> Counter[Any]:
    """What ranges give together."""
    with shop_connection() as connection:
        found = Counter[Any]()
        for one in some:
            statement = one.of(shop_sql(source, EVERYTHING))
            found.update(
                connection.execute(f"select thing_id, part, note, updated_at from ({statement}) as r".encode())
            )
        return found


@pytest.mark.parametrize("of", _STATEMENTS)
@pytest.mark.parametrize("shop", [name for name in _KEYS if name != "few values"], indirect=True)
def test_every_row_is_in_exactly_one_range(shop: Shop, of: str) -> None:
    shop.file.write_text(_STATEMENTS[of])
    some = shop.divided()
    assert len(some) > 3
    assert all(bool(one.place) == of.startswith("blocks") for one in some)
    whole = Counter(shop.database.execute("select thing_id, part, note, updated_at from things").fetchall())
    assert rows_of(some, shop.source) == whole


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("create view seen as select * from things offset 0", 0),  # every range would read all of it
        (
            "create view seen as select thing_id, part, note, updated_at from things",
            10,
        ),  # from the least to the greatest key
        ("create view seen as select t.* from things as t right join generate_series(1, 9) on false", 0),
        (
            """
            create table seen (like things) partition by range (part);
            create table a partition of seen for values from (0) to (1000);
            create table b partition of seen default;
            insert into seen select * from things;
            """,
            10,
        ),
    ],
)
def test_what_is_no_plain_table_is_divided_where_that_costs_the_shop_little(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, made: str, expected: int
) -> None:
    monkeypatch.setattr(ranges, "_MOST_COST", 9.0)
    shop.database.execute(made.encode())
    shop.database.execute("grant select on seen to extractor")
    shop.file.write_text("select thing_id, part, note, updated_at from seen")
    some = shop.divided()
    assert bool(some) == bool(expected), some
    if some:
        assert len(some) >= expected
        assert rows_of(some, shop.source) == Counter(
            shop.database.execute("select thing_id, part, note, updated_at from seen").fetchall()
        )


@pytest.mark.parametrize("shop", ["few values"], indirect=True)
def test_a_key_that_begins_with_few_values_is_divided_by_blocks_alone(shop: Shop) -> None:
    assert rows_of(shop.divided(), shop.source).total() == _ROWS
    shop.file.write_text(_STATEMENTS["keys"])
    assert shop.divided() == []


def test_what_would_cost_the_shop_a_whole_scan_for_every_range_is_not_divided(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.file.write_text(_STATEMENTS["keys"].replace("from things)", "from things offset 0)"))
    assert shop.divided()
    monkeypatch.setattr(ranges, "_MOST_COST", 9.0)
    assert not shop.divided()


def test_a_row_without_a_partner_is_in_a_range_too(shop: Shop) -> None:
    shop.database.execute("insert into labels values (-1), (-2)")
    statement = "select t.thing_id, labels.part, t.note, t.updated_at from things as t right join labels using (part)"
    shop.file.write_text(statement)
    some = shop.divided()
    assert some
    assert rows_of(some, shop.source) == Counter(shop.database.execute(statement.encode()).fetchall())


def test_a_small_source_and_what_is_read_of_a_window_are_not_divided(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop.divided()
    assert in_order([shop.source], [], 3).ranges == {}
    monkeypatch.setattr(ranges, "FEWEST_ROWS", _ROWS * 2)
    assert not shop.divided()


@pytest.mark.parametrize("shop", ["skewed", "uuid", "missing"], indirect=True)
@pytest.mark.parametrize("of", ["blocks", "keys"])
def test_several_connections_read_and_prove_what_one_does(shop: Shop, of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.file.write_text(_STATEMENTS[of])
    by: set[int] = set()
    read = SourceRows.of

    def noted(rows: SourceRows, connection: duckdb.DuckDBPyConnection, *asked: Any) -> pa.RecordBatchReader:
        time.sleep(0.02)
        by.add(shop_row(connection, "select pg_backend_pid()")[0])
        return read(rows, connection, *asked)

    one = shop.read(1, monkeypatch)
    monkeypatch.setattr(SourceRows, "of", noted)
    assert shop.read(3, monkeypatch) == one
    assert len(by) == 3
    assert sum(one[0].values()) == _ROWS


def test_an_empty_table_has_no_ranges(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.database.execute("truncate things")
    rows, sums = shop.read(3, monkeypatch)
    assert not rows
    assert sums.rows == 0


def test_a_row_that_moves_while_it_is_read_is_seen_once_as_it_was(shop: Shop) -> None:
    shop.database.execute("create index on things (note)")
    some = shop.divided()
    moved = threading.Event()

    def read(connection: duckdb.DuckDBPyConnection, one: Range) -> Iterator[pa.RecordBatch]:
        if one == some[0]:
            with shop.server.connect("shopkeeper") as shopkeeper:
                shopkeeper.execute("update things set note = 'moved', thing_id = thing_id + 5000")
            moved.set()
        assert moved.wait(20)
        statement = one.of(shop_sql(shop.source, EVERYTHING))
        yield from connection.execute("from postgres_query('shop', ?)", [statement]).to_arrow_reader(1000)

    before = Counter(shop.database.execute("select thing_id, note from things").fetchall())
    with readers(3) as reading:
        shop_row(reading.first, "select count(*) from things")
        found = reading.read(
            ["things"],
            lambda connection, name: [
                row for batch in reading.divided(connection, name, read) for row in batch.to_pylist()
            ],
            {"things": some},
        )
    assert Counter((row["thing_id"], row["note"]) for row in found["things"]) == before


@pytest.mark.parametrize("of", ["blocks", "keys"])
def test_a_range_that_loses_rows_or_reads_them_twice_is_found_by_the_proof(
    shop: Shop, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.file.write_text(_STATEMENTS[of])

    def broken(bound: str) -> Any:
        def order(*asked: Any) -> Order:
            found = in_order(*asked)
            some = found.ranges["things"]
            low, _, high = some[2].where.partition(" and ")
            wrong = some[1].where.partition(" and ")[0] if bound == "below" else f"{low} and thing_id <> 1500"
            where = f"{wrong} and {high}" if bound == "below" else f"({some[2].where}) and part % 50 <> 0"
            return replace(found, ranges={"things": [*some[:2], replace(some[2], where=where), *some[3:]]})

        return order

    for bound in ("below", "lost"):
        monkeypatch.setattr(snapshot, "in_order", broken(bound))
        with pytest.raises(Incomplete, match=rf"things: the shop has {_ROWS:,} rows, the copy"):
            shop.read(3, monkeypatch)


def test_an_error_in_one_range_stops_the_others_and_names_the_file(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = "case when part > 600 then note || pg_sleep(0.2)::text end"
    shop.file.write_text(f"select thing_id, 1 / (part - 400) as part, {slow} as note, updated_at from things")
    started = time.monotonic()
    with pytest.raises(StatementsRefused, match=r"things.sql: it divides by zero"):
        shop.read(3, monkeypatch)
    assert time.monotonic() - started < 30
    assert none_left(shop.server)
    assert lake.files("raw", "things") == []


def test_an_interrupted_task_leaves_nothing_in_the_shop(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.file.write_text("select thing_id, part, note || pg_sleep(0.2)::text as note, updated_at from things")
    monkeypatch.setattr("include.extract.statements._ROWS", 1)
    started = time.monotonic()
    threading.Timer(4, os.kill, [os.getpid(), signal.SIGINT]).start()
    with handled(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        shop.read(3, monkeypatch)
    assert time.monotonic() - started < 30  # a range takes 50 s
    assert none_left(shop.server)
    assert lake.files("raw", "things") == []
