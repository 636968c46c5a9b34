"""Checksums: what is remembered of a night never hides what changed since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psycopg
import pytest
from pyarrow import parquet

from include.contract import Column, Source, Type
from include.extract.checksums import Sums, shop_sums, whole_shop_sums
from include.extract.sql_files import EVERYTHING, shop_sql, typed_sql
from include.lake import duckdb_session as duck
from include.settings import settings
from tests.conftest import Database

_COLUMNS = {  # of the shop's table: type, a value, and another one
    "number": ("integer", "7", "8"),
    "name": ("varchar(20)", "'a'", "'A'"),
    "note": ("text", "''", "null"),
    "document": ("json", "'{\"a\": 1}'", "'{\"a\":  1}'"),
    "price": ("numeric", "1.10", "1.11"),
    "day": ("date", "'2026-03-29'", "'infinity'"),
    "seen_at": ("timestamptz", "'2026-03-29 01:30+01'", "'2026-03-29 01:30:00.000001+01'"),
    "share": ("double precision", "0.1", "'NaN'"),
    "there": ("boolean", "false", "null"),
    "updated_at": ("timestamptz", "'2026-01-01'", "null"),
}
_TYPES = {
    "number": Type.INTEGER, "name": Type.TEXT, "note": Type.TEXT, "document": Type.JSON, "price": Type.CENTS,
    "day": Type.DAY, "seen_at": Type.AT, "share": Type.RATIO, "there": Type.BOOLEAN,
    "updated_at": Type.AT,
}  # fmt: skip


@dataclass(frozen=True)
class Shop:
    """A shop of one table, read in a session."""

    database: psycopg.Connection
    session: duckdb.DuckDBPyConnection
    source: Source

    def sums(self, *, anew: bool = False) -> Sums:
        """What a night finds that may remember others."""
        everything, typed = shop_sql(self.source, EVERYTHING), typed_sql(self.source, EVERYTHING)
        return whole_shop_sums(self.session, self.source, everything, typed, ignore_cache=anew)

    def right_sums(self) -> Sums:
        """What there is to find."""
        return shop_sums(self.session, self.source, typed_sql(self.source, EVERYTHING))


@pytest.fixture(params=[Type.INTEGER, Type.TEXT])
def shop(
    request: pytest.FixtureRequest, shop_database: Database, own_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """A thousand things with a key of one type, and two without one."""
    key: Type = request.param
    declared = ", ".join(f"{name} {kind}" for name, (kind, _, _) in _COLUMNS.items())
    values = ", ".join(f"{value}::{kind}" for kind, value, _ in _COLUMNS.values())
    sources = own_lake.parent / "sources"
    sources.mkdir()
    (sources / "things.sql").write_text("select * from things where :changed_since is not null")
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", shop_database.url("extractor"))
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(sources))
    settings.cache_clear()
    columns = [Column(name, kind, "A column.", nullable=True) for name, kind in _TYPES.items()]
    source = Source(
        schema="source", name="things", grain="One row per thing.", doc="Things.", rules=(),
        columns=(Column("thing_id", key, "The thing."), *columns), primary_key=("thing_id",),
    )  # fmt: skip
    with shop_database.connect("shopkeeper") as database, duck.session() as session:
        database.execute(f"create table things (thing_id {key.postgres()}, {declared})")
        database.execute(
            f"insert into things select (n * 50)::{key.postgres()}, {values} from generate_series(-10, 989) as n"
            f" union all select null, {values} from generate_series(1, 2)"
        )
        database.execute("grant select on things to extractor")
        duck.attach(session, "shop", settings().shop_url, read_only=True)
        yield Shop(database, session, source)


@pytest.mark.parametrize("column", _COLUMNS)
def test_a_changed_value_is_seen(shop: Shop, column: str) -> None:
    (_, _, other), changed = _COLUMNS[column], "thing_id = (select max(thing_id) from things)"
    before = shop.sums()
    assert before == shop.right_sums()
    shop.database.execute(f"update things set {column} = {other} where {changed}")
    after = shop.sums()
    assert after == shop.right_sums()
    assert sum(before[bucket] != after[bucket] for bucket in before) == 1


@pytest.mark.parametrize(
    "change",
    [
        "delete from things where number(thing_id) = 50",
        "insert into things select * from things where number(thing_id) = 50",
        "update things set thing_id = 51 where number(thing_id) = 50",
        "update things set price = 2 where thing_id is null",
        "update things set price = 1 + mod(number(thing_id), 3) where number(thing_id) in (50, 100)",
        "delete from things",
        "update things set price = price + 1",
    ],
)
def test_rows_that_come_go_and_move_are_seen(shop: Shop, change: str) -> None:
    key = shop.source["thing_id"].type
    shop.sums()
    shop.database.execute(
        change.replace("number(thing_id)", "thing_id::bigint").replace("= 51", f"= 51::{key.postgres()}")
    )
    assert shop.sums() == shop.right_sums()


def test_what_is_remembered_is_not_computed_again_unless_all_is(shop: Shop) -> None:
    right = shop.sums()
    (kept,) = (Path(settings().lake) / "sums" / "things").glob("*.shop.parquet")
    rows = parquet.read_table(kept)
    parquet.write_table(rows.set_column(rows.column_names.index("hashes"), "hashes", [["1"] * rows.num_rows]), kept)
    assert rows.num_rows > len(right) / 2
    remembered = shop.sums()
    assert {bucket for bucket in right if remembered[bucket] == right[bucket]} == {""}
    assert shop.sums(anew=True) == right
    assert shop.sums() == right


def test_what_is_remembered_and_cannot_be_read_is_computed(shop: Shop) -> None:
    right = shop.sums()
    (kept,) = (Path(settings().lake) / "sums" / "things").glob("*.shop.parquet")
    kept.write_bytes(kept.read_bytes()[:-9])
    assert shop.sums() == right
    assert parquet.read_table(kept).num_rows > 0
