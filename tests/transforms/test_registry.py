"""Lineage, order, and what a shop's sources allow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import transforms
from include.contract import Severity
from include.sources import SOURCES
from transforms import registry
from transforms.registry import TABLES, Input, Published, buildable


def test_every_table_file_is_in_the_catalogue_under_its_name() -> None:
    folder = Path(transforms.__file__).parent
    files = {
        (file.parent.name, file.stem)
        for name in ("reporting", "features")
        for file in (folder / name).glob("[a-z]*.py")
    }
    assert files == {(one.table.schema, name) for name, one in TABLES.items()}
    assert files


def test_the_signature_is_the_lineage() -> None:
    assert TABLES["daily_sales"].inputs == (
        Input("reporting_orders", "orders", is_published=True),
        Input("order_lines", "order_lines", is_published=True),
        Input("refunds", "refunds", is_published=False),
        Input("order_refunds", "order_refunds", is_published=False),
    )


def test_the_versions_of_a_source_depend_on_it() -> None:
    assert TABLES["products_history"].inputs == (Input("products_versions", "products_versions", is_published=False),)
    assert TABLES["products_history"].sources == {"products"}
    assert TABLES["products_history"].layers == {"products_versions": ("clean", "products_versions")}
    assert buildable(set(SOURCES) - {"products"}).left_out["products_history"] == "the shop has no source products"


def test_a_table_rebuilt_in_parts_says_how_it_follows_the_calendar() -> None:
    """Its parts are found by what changed; that a day has passed changes no input."""
    in_parts = {name: one for name, one in TABLES.items() if one.table.rebuild.through}
    assert {"order_lines", "daily_sales", "inventory_daily"} <= set(in_parts)
    for name, one in in_parts.items():
        rebuild = one.table.rebuild
        assert set(rebuild.through) == {entry.parameter for entry in one.inputs}, name
        assert bool(rebuild.daily or rebuild.filled) == bool({"as_of", "calendar"} & set(one.parameters)), name
        assert rebuild.daily or "as_of" not in one.parameters, name


def test_a_published_table_named_like_a_source_needs_its_prefix() -> None:
    assert set(TABLES) & set(SOURCES) <= registry._ALSO_SOURCES <= set(SOURCES)
    for one in TABLES.values():
        for entry in one.inputs:
            assert entry.is_published or entry.source in SOURCES
            assert not entry.is_published or entry.name in TABLES
            assert not entry.is_versions or SOURCES[entry.source].history


# Numbers of the shop's own that are the key of no source.
_OTHER_NUMBERS = {"product_group_id"}


def test_every_key_is_a_key_of_some_source() -> None:
    for one in TABLES.values():
        for column in one.table.columns:
            is_key = column.name.endswith("_id") and column.name not in _OTHER_NUMBERS
            assert (column.key_of in SOURCES) == is_key, f"{one.table.name}.{column.name}"


def test_a_published_row_is_never_put_aside() -> None:
    """A rule of a published table stops the night or is recorded; there is no quarantine behind the gate."""
    rules = [rule for one in TABLES.values() for rule in one.table.rules]
    assert rules
    assert {rule.severity for rule in rules} == {Severity.STOP, Severity.WARN}


def test_a_whole_shop_can_have_every_table_after_its_inputs() -> None:
    plan = buildable(SOURCES)
    assert plan.left_out == {}
    assert set(plan.tables) == set(TABLES)
    for place, name in enumerate(plan.tables):
        assert {entry.name for entry in TABLES[name].inputs if entry.is_published} <= set(plan.tables[:place])


def test_a_shop_without_stock_lacks_only_the_stock() -> None:
    plan = buildable(set(SOURCES) - {"inventory", "inventory_movements"})
    assert plan.left_out == {
        "inventory_daily": "the shop has no source inventory; the shop has no source inventory_movements",
        "inventory_health": "inventory_daily is left out; the shop has no source inventory_movements",
        "stockouts": "inventory_daily is left out",
        "kit_availability": "inventory_daily is left out",
        "product_demand": "inventory_daily is left out; the shop has no source inventory_movements",
        "inventory_risk": "inventory_daily is left out; the shop has no source inventory_movements",
        "demand_labels": "inventory_daily is left out; the shop has no source inventory_movements",
    }


def test_what_is_made_from_a_table_left_out_is_left_out() -> None:
    plan = buildable(set(SOURCES) - {"order_items"})
    assert plan.left_out["order_lines"] == "the shop has no source order_items"
    assert plan.left_out["orders"] == "order_lines is left out"
    assert plan.left_out["customers"] == "orders is left out"
    assert "inventory_daily" in plan.tables
    assert [name for name in plan.tables if "order_items" in TABLES[name].sources] == []


def test_an_input_that_nobody_makes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(reporting_moods: object) -> object:
        return reporting_moods

    unknown = Published(TABLES["orders"].table, build)  # type: ignore[arg-type]
    monkeypatch.setattr(registry, "TABLES", {"orders": unknown})
    with pytest.raises(KeyError, match="no published table is called moods"):
        buildable(SOURCES)


def test_importing_the_catalogue_loads_no_engine() -> None:
    """Airflow imports it whenever it parses the DAG files."""
    program = "import sys, transforms.registry; print(*sorted({'pandas', 'pyarrow', 'duckdb'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
