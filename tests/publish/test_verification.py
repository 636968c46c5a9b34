"""Lake = Postgres: a value, a row, a bit that differs is found, wherever it was changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from include.contract import Column, ContractError, Rebuild, Table, Type
from include.contract.arrow import arrow_schema
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.lake import writes
from include.ledger import runs
from include.ledger.migrations import prepare
from include.ledger.runs import Run
from include.publish.copying import copy_rows
from include.publish.live import write_comments
from include.publish.live_schema import loosen, tighten
from include.publish.table_version import TableVersion
from include.publish.verification import Touched, prove_published
from include.settings import settings
from tests.conftest import Database

RUN = Run("test-published", date(2026, 3, 31), date(2026, 3, 31))
EVERY_KIND = Table(
    schema="reporting",
    name="every_kind",
    grain="One row per number and word.",
    columns=(
        Column("number", Type.INTEGER, "A number."),
        Column("word", Type.TEXT, "A word."),
        Column("other_word", Type.TEXT, "Another.", nullable=True),
        Column("id", Type.UUID, "An id.", nullable=True),
        Column("flag", Type.BOOLEAN, "A flag."),
        Column("other_flag", Type.BOOLEAN, "Another.", nullable=True),
        Column("amount", Type.CENTS, "An amount."),
        Column("other_amount", Type.CENTS, "Another.", nullable=True),
        Column("day", Type.DAY, "A day."),
        Column("month", Type.MONTH, "A month.", nullable=True),
        Column("seen_at", Type.AT, "An instant."),
        Column("gone_at", Type.AT, "Another.", nullable=True),
        Column("ratio", Type.RATIO, "A ratio.", nullable=True),
    ),
    primary_key=("number", "word"),
)
_SEEN = datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_OLD = datetime(1001, 1, 1, 1, 1, 1, 1, UTC)
_UUID = "0b2f4d5e-3c6a-4f0e-9f1d-2a7b8c9d0e1f"
ROWS: list[tuple[Any, ...]] = [
    (1, "a|b", "c", _UUID, True, False, 1234, -5, 20543, 674, _SEEN, _SEEN, 0.1),
    (2, "", None, None, False, None, 0, None, -1, None, datetime(1969, 7, 20, 20, 17, 40, 5, UTC), None, None),
    (2, "a", "", None, False, True, -100, 99, 0, -1, datetime(1970, 1, 1, tzinfo=UTC), None, -0.0),
    (-3, "é\\0'", "\\0", None, True, None, 9 * 10**15, 7, 20543, 0, _SEEN, _SEEN, 1e300),
    (-4, "tab\tnew\nline", "-1", None, True, True, -9 * 10**15, 0, 0, 0, _OLD, None, 1 / 3),
]  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """A table that was loaded."""

    live: psycopg.Connection[Any]
    version: int

    def prove(self, touched: Touched | None = None, table: Table = EVERY_KIND) -> dict[str, tuple[int, int]]:
        """Compare it; gives the figures."""
        some = {table.qualified_name: touched} if touched else {}
        with self.live.transaction():
            prove_published(self.live, RUN, [TableVersion(table, self.version, {RUN.night: self.version})], some)
        [(totals,)] = self.live.execute("select totals from audit.conservation").fetchall()
        return {total["measure"]: (total["one"], total["other"]) for total in totals}

    def refused(self, touched: Touched | None = None, table: Table = EVERY_KIND) -> str:
        """Compare what differs; gives what is said of the first rows."""
        with pytest.raises(ContractError, match="nothing is published") as said:
            self.prove(touched, table)
        return str(said.value).partition("such as ")[2]


@pytest.fixture(params=["by DuckDB", "by COPY"])
def loaded(
    request: pytest.FixtureRequest, warehouse_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loaded]:
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql://unused")
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", warehouse_database.url("loader"))
    monkeypatch.setenv("STOCKTAKE_LAKE", str(tmp_path / "lake"))
    settings.cache_clear()
    prepare()
    runs.open_run(RUN)
    columns = zip(*ROWS, strict=True)
    schema = arrow_schema(EVERY_KIND)
    rows = pa.table([pa.array(list(values), field.type) for values, field in zip(columns, schema, strict=True)], schema)
    version = writes.replace("reporting", "every_kind", rows.to_reader())
    with warehouse_database.connect("loader") as live, duck.session() as session:
        live.execute("set timezone = 'Asia/Kathmandu'")
        loosen(live, EVERY_KIND)
        tighten(live, EVERY_KIND)
        write_comments(live, EVERY_KIND)
        duck.attach(session, "warehouse", settings().warehouse_url, read_only=False)
        values = ", ".join(f"{c.to_warehouse_sql()} as {c.name}" for c in EVERY_KIND.columns)
        stored = duck.relation(lake.files("reporting", "every_kind", version), EVERY_KIND.columns)
        selected = f"select {values}, 1::bigint as _publication_id from {stored}"
        if request.param == "by COPY":
            names = [*(column.name for column in EVERY_KIND.columns), "_publication_id"]
            assert copy_rows(live, session, selected, "reporting.every_kind", names) == len(ROWS)
        else:
            session.execute(f"insert into warehouse.reporting.every_kind by name {selected}")
        yield Loaded(live, version)
    settings.cache_clear()


def test_every_kind_of_value_is_the_same_on_both_sides(loaded: Loaded) -> None:
    totals = loaded.prove()
    assert totals["rows"] == (5, 5)
    assert totals["digest"][0] == totals["digest"][1] > 0


# What is changed in the row (2, ''), the column it is found in, and how both sides show it.
CHANGES = {
    "flag": ("true", "false", "true"),
    "other_word": ("''", "None", ""),
    "id": (f"'{_UUID}'", "None", _UUID),
    "other_flag": ("false", "None", "false"),
    "amount": ("0.01", "0.00", "0.01"),
    "other_amount": ("0", "None", "0.00"),
    "day": ("'1970-01-01'", "1969-12-31", "1970-01-01"),
    "month": ("'1970-01-01'", "None", "1970-01-01"),
    "seen_at": ("seen_at + interval '1 us'", "1969-07-20 20:17:40.000005", "1969-07-20 20:17:40.000006"),
    "gone_at": ("'epoch'", "None", "1970-01-01 00:00:00"),
    "ratio": ("0", "None", "0"),
}


def test_every_changed_value_is_found(loaded: Loaded) -> None:
    for column, (value, in_lake, in_postgres) in CHANGES.items():
        row = f"{column} = {value} where number = 2 and word = ''"
        loaded.live.execute("begin")
        loaded.live.execute(f"update reporting.every_kind set {row}".encode())
        assert loaded.refused() == f"number 2, word : {column} {in_lake} in the lake, {in_postgres} in Postgres"
        loaded.live.execute("rollback")
    assert {"number", "word"} | set(CHANGES) == {column.name for column in EVERY_KIND.columns}
    loaded.live.execute("update reporting.every_kind set ratio = ratio + 5e-17 where number = -4")
    assert loaded.refused().startswith("number -4, word tab\tnew\nline: ratio 0.3333333333333333 in the lake")


def test_rows_that_one_side_lacks_or_swaps_are_found_by_key(loaded: Loaded) -> None:
    loaded.live.execute("update reporting.every_kind set number = 5 where number = 1")
    assert loaded.refused() == "number 1, word a|b: only in the lake; number 5, word a|b: only in Postgres"
    loaded.live.execute("update reporting.every_kind set number = 1 where number = 5")
    loaded.live.execute("update reporting.every_kind set word = 'x' where number = 2 and word = 'a'")
    loaded.live.execute("update reporting.every_kind set word = 'a' where number = 2 and word = ''")
    loaded.live.execute("update reporting.every_kind set word = '' where number = 2 and word = 'x'")
    said = loaded.refused()
    assert "number 2, word : other_word None in the lake,  in Postgres" in said
    assert "number 2, word a: other_word  in the lake, None in Postgres" in said


def test_of_rows_that_were_not_written_only_the_number_is_compared(loaded: Loaded) -> None:
    some = Touched("number in (1, 2)", "exists (select from unnest(array[1, 2]) as keys (n) where n = live.number)")
    assert {name: pair[0] for name, pair in loaded.prove(some).items() if name != "digest"} == {
        "rows": 5,
        "rows_compared": 3,
    }
    loaded.live.execute("update reporting.every_kind set amount = 1 where number = -3")
    loaded.prove(some)
    loaded.live.execute("update reporting.every_kind set amount = 1 where number = 1")
    assert loaded.refused(some).count(" in the lake") == 2
    loaded.live.execute("update reporting.every_kind set amount = 12.34 where number = 1")
    loaded.live.execute("delete from reporting.every_kind where number = -4")
    assert "number -4, word tab\tnew\nline: only in the lake" in loaded.refused(some)


def test_of_a_table_by_night_the_slice_is_compared(loaded: Loaded) -> None:
    slices = replace(EVERY_KIND, rebuild=Rebuild.as_of("day"))
    assert loaded.prove(table=slices)["rows"] == (2, 2)
    loaded.live.execute("delete from reporting.every_kind where day = '1970-01-01'")
    assert loaded.prove(table=slices)["rows"] == (2, 2)
    loaded.live.execute("delete from reporting.every_kind where number = 1")
    assert loaded.refused(table=slices) == "number 1, word a|b: only in the lake"
