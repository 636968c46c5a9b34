"""Every table on every engine, equal to the last bit: a drawn shop, one of many partitions, and one without rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from include.build.digest import first_difference
from include.contract import Type
from tests.transforms.conftest import Reporting, Shop, written
from tests.transforms.test_invariants import AS_OF, KITS, past
from transforms.engines import ENGINES
from transforms.engines.dask_engine import DaskEngine
from transforms.registry import TABLES

pytestmark = pytest.mark.usefixtures("own_lake")


OTHERS = [
    # Every table on a cluster takes a minute and a half; test_clusters.py has some of them.
    pytest.param(engine, marks=[pytest.mark.long] if engine in ("dask", "spark") else [])
    for engine in ENGINES
    if engine != "pandas"
]
TEXT_KEYS = dict.fromkeys(("orders", "order_items", "customers", "products", "warehouses", "refunds"), Type.TEXT)


def _check(one: Reporting, other: Reporting) -> None:
    for name in TABLES:
        left, right = one.built(name), other.built(name)
        names = (one.engine, other.engine)
        assert first_difference(left.files, right.files, left.table, names) is None
        assert other.arrow(name).equals(one.arrow(name)), f"{name}: other rows, or another order, on {other.engine}"


@pytest.mark.parametrize("other", OTHERS)
def test_a_drawn_shop(shop: Shop, other: str, clusters: Callable[[str], None], tmp_path: Path) -> None:
    clusters(other)
    one, again = (Reporting(shop, "2026-01-10", engine, tmp_path / engine, TEXT_KEYS) for engine in ("pandas", other))
    assert one.arrow("orders").num_rows == 6
    _check(one, again)


@pytest.mark.parametrize("other", OTHERS)
def test_a_generated_shop_in_many_partitions(
    other: str, clusters: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clusters(other)
    monkeypatch.setattr(DaskEngine, "rows_per_partition", 200)
    rows = past("tea").rows | {"kit_components": KITS}
    one = Reporting(rows, AS_OF, "pandas", tmp_path / "pandas", {})
    again = Reporting(rows, AS_OF, other, tmp_path / other, {})
    for file in again.folder.glob("source_*.parquet"):
        parquet.write_table(parquet.read_table(file), file, row_group_size=200)
    assert parquet.read_metadata(again.folder / "source_order_items.parquet").num_row_groups > 2
    assert all(one.arrow(name).num_rows for name in TABLES)
    _check(one, again)


def test_a_shop_without_rows(engine: str, tmp_path: Path) -> None:
    """The shop on its first day; on the engines of ``--engines``."""
    one, again = (
        Reporting({}, "2026-01-02", name, tmp_path / f"{place}", {}) for place, name in enumerate(("pandas", engine))
    )
    assert one.arrow("order_lines").num_rows == 0
    _check(one, again)


def test_an_input_without_a_file(engine: str, tmp_path: Path) -> None:
    """As a source's table of the lake is before its first row."""
    schema = pa.schema([("key", pa.int64()), ("name", pa.string()), ("at", pa.timestamp("us", tz="UTC"))])
    assert written(engine, lambda runner: runner.open([], schema), schema, ["key"], tmp_path / "written") == []


def test_the_planted_difference_is_seen(tmp_path: Path) -> None:
    """A cent on one row, as an engine might lose it."""
    reporting = Reporting(past("tea").rows, AS_OF, "pandas", tmp_path, {})
    built = reporting.built("daily_sales")
    rows = reporting.arrow("daily_sales")
    place = rows.schema.get_field_index("tax_cents")
    wrong = [value + (number == 7) for number, value in enumerate(rows["tax_cents"].to_pylist())]
    parquet.write_table(rows.set_column(place, "tax_cents", pa.array(wrong, pa.int64())), tmp_path / "wrong.parquet")
    said = first_difference(built.files, [tmp_path / "wrong.parquet"], built.table, ("pandas", "spark"))
    assert said is not None
    row = rows.slice(7, 1).to_pylist()[0]
    assert said == (
        f"reporting.daily_sales: tax_cents of day {row['day']}, currency {row['currency']} is {row['tax_cents']}"
        f" in pandas, {row['tax_cents'] + 1} in spark"
    )
