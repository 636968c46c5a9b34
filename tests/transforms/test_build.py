"""Opening inputs, cutting off the future, writing what the table declares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pytest
from pyarrow import parquet

from include.contract import Column, ContractError, Source, Table, Type
from include.contract.arrow import arrow_schema
from include.sources import SOURCES
from tests.transforms.conftest import FIRST_DAY, Report, Shop, day, source_table, written
from transforms import build as building
from transforms.build import as_known, build, calendar
from transforms.engines import ENGINES, Frame, Local, choose
from transforms.registry import TABLES, Published

PARCELS = Source(
    "source",
    "parcels",
    "One row per parcel.",
    (
        Column("parcel_id", Type.INTEGER, "It."),
        Column("sent_on", Type.DAY, "When it was sent.", nullable=True),
        Column("lost_on", Type.DAY, "When it was lost.", nullable=True),
        Column("blame", Type.TEXT, "Who lost it.", nullable=True),
        Column("updated_at", Type.AT, "When written.", nullable=True),
    ),
    ("parcel_id",),
    begins="sent_on",
    later={"lost_on": ("blame",)},
)


def test_what_came_later_was_not_known(engine: str, tmp_path: Path) -> None:
    drawn = """
        parcel_id sent_on    lost_on    blame
        1         2026-01-05 2026-01-05 post
        2         2026-01-05 2026-01-06 dog
        3         2026-01-06 2026-01-06 post
        4         2026-01-04 -          cat
        5         -          -          -
    """
    rows = written(
        engine,
        lambda runner: as_known(runner.frame(source_table(PARCELS, drawn)), PARCELS, day("2026-01-05")),
        arrow_schema(PARCELS),
        ["parcel_id"],
        tmp_path,
    )
    found = [(row["parcel_id"], row["lost_on"], row["blame"]) for row in rows]
    assert found == [(1, day("2026-01-05"), "post"), (2, None, None), (4, None, None)]


def test_the_calendar_counts_as_the_world_does() -> None:
    days = {row["day"]: row for row in calendar(day("2025-12-28"), day("2026-01-04")).to_pylist()}
    assert len(days) == 8
    assert days[day("2025-12-28")]["day_of_week"] == 7
    assert days[day("2025-12-29")] == {
        "day": day("2025-12-29"),
        "year": 2025,
        "month": 12,
        "month_number": 55 * 12 + 11,
        "day_of_month": 29,
        "day_of_week": 1,
        "iso_year": 2026,
        "iso_week": 1,
    }


def test_files_hold_the_declared_schema_in_key_order(report: Report, shop: Shop) -> None:
    tables = report(shop)
    for name in TABLES:
        built = tables.built(name)
        for file in built.files:
            schema = parquet.read_schema(file)
            assert pa.schema([field.with_nullable(True) for field in schema]) == arrow_schema(built.table)
        rows = tables.rows(name)
        keys = [tuple(row[built.table[column].lake_name] for column in built.table.primary_key) for row in rows]
        assert keys == sorted(set(keys))
        assert built.rows == len(rows)


def test_no_files_are_no_rows_but_the_same_columns(engine: str, tmp_path: Path) -> None:
    files: dict[str, list[str]] = {entry.parameter: [] for entry in TABLES["order_lines"].inputs}
    built = build("order_lines", files, SOURCES, as_of=10, first_day=lambda: 1, engine=engine, into=tmp_path)
    assert built.rows == 0
    assert parquet.read_schema(built.files[0]).names == [column.lake_name for column in built.table.columns]


def test_a_file_may_lack_a_new_column_and_hold_others(engine: str, tmp_path: Path) -> None:
    """The lake's older files were written before a column existed, and carry columns of the lake's own."""
    whole = source_table(SOURCES["orders"], "order_id customer_id currency\n1 1 EUR\n")
    old = whole.drop_columns(["seconds_to_ship"]).append_column("_night", pa.array(["2026-01-01"]))
    parquet.write_table(old, tmp_path / "old.parquet")
    with ENGINES[engine](Local()) as runner:
        frame = runner.open([str(tmp_path / "old.parquet")], arrow_schema(SOURCES["orders"]))
        assert frame.collect_schema().names() == whole.column_names


@pytest.mark.parametrize(("name", "package"), [("spark", "pyspark"), ("dask", "distributed")])
def test_an_engine_that_the_image_lacks_says_which_extra_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as Python finds it where it is not installed
    with pytest.raises(ValueError, match=f"orders: {name} is to build it.*install the extra {name}"):
        choose("orders", name, [], Local())
    with pytest.raises(ValueError, match=f"orders: {name} is to build it"):
        choose("orders", "auto", [], Local(engines={"orders": name}))
    assert choose("orders", "auto", [], Local()) == "pandas"


def test_keys_may_be_text(pandas_report: Report, shop: Shop) -> None:
    """The same shop with text for keys publishes the same numbers; test_parity.py has it on every engine."""
    keys = dict.fromkeys(("orders", "order_items", "customers", "products", "warehouses", "refunds"), Type.TEXT)
    text, whole = pandas_report(shop, keys=keys), pandas_report(shop)
    for name in TABLES:
        assert [_as_numbers(row) for row in text.rows(name)] == whole.rows(name)
    assert {type(row["customer_id"]) for row in text.rows("customers")} == {str}


def _as_numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {name: int(value) if value and name.endswith("_id") else value for name, value in row.items()}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> dict[str, Published]:
    """Tables that only the test knows."""
    tables = dict(TABLES)
    monkeypatch.setattr(building, "TABLES", tables)
    return tables


WEIGHTS = Table(
    "reporting",
    "weights",
    "One row per order.",
    (Column("order_id", Type.INTEGER, "It."), Column("weight", Type.INTEGER, "Its weight.", nullable=True)),
    ("order_id",),
)


def _build(engine: str, tmp_path: Path) -> None:
    parquet.write_table(
        source_table(SOURCES["orders"], f"order_id ordered_on\n1 {FIRST_DAY}\n"), tmp_path / "orders.parquet"
    )
    files = {"orders": [str(tmp_path / "orders.parquet")]}
    into = tmp_path / "out"
    build("weights", files, SOURCES, as_of=day(FIRST_DAY), first_day=lambda: day(FIRST_DAY), engine=engine, into=into)


def test_a_build_returns_what_its_table_declares(planted: dict[str, Published], engine: str, tmp_path: Path) -> None:
    def weigh(orders: Frame) -> Frame:
        return orders.select("order_id", "status")

    planted["weights"] = Published(WEIGHTS, weigh)
    with pytest.raises(ContractError, match=r"weights: the build lacks \['weight'\] and returns .*\['status'\]"):
        _build(engine, tmp_path)


def test_a_value_that_does_not_fit_is_an_error(planted: dict[str, Published], engine: str, tmp_path: Path) -> None:
    def weigh(orders: Frame) -> Frame:
        return orders.select("order_id", weight=nw.col("order_id") / 2)

    planted["weights"] = Published(WEIGHTS, weigh)
    with pytest.raises((pa.ArrowInvalid, TypeError), match="truncated"):
        _build(engine, tmp_path)
