"""The plan says what the next night will do because declarations changed, and does none of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from include.contract import Column, Type
from include.pipeline.plan import Known, Plan, plan
from include.settings import settings
from include.sources import shop_sources
from tests.changes.kinds import Declarations, settings_folder
from tests.nights import Nights
from transforms.registry import TABLES, buildable


def planned(nights: Nights) -> Plan:
    """The plan of the tables that these nights build."""
    left_out = buildable(shop_sources(settings().sources)).left_out
    return plan(
        Known(one.table, one.sources, left_out.get(name), one.code)
        for name, one in TABLES.items()
        if name in nights.names
    )


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declarations:
    shutil.copytree(settings_folder(), tmp_path / "shop")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(tmp_path / "shop"))
    settings.cache_clear()
    return Declarations(monkeypatch, tmp_path / "shop")


def test_before_the_first_night_everything_is_to_be_done(nights: Nights) -> None:
    assert planned(nights).first
    assert str(planned(nights)).startswith("Nothing is published yet")


@pytest.mark.after_a_night
def test_of_an_older_ledger_only_the_warehouse_can_be_planned(nights: Nights) -> None:
    nights.warehouse.execute(
        "delete from audit.migrations where number > 1; alter table audit.source_counts drop column definition"
    )
    found = planned(nights)
    assert found.migrations
    assert "are applied first" in str(found)
    assert nights.ask("select count(*) from audit.migrations") == [(1,)]


@pytest.mark.after_a_night
def test_every_change_of_a_declaration_is_planned_and_the_night_does_it(nights: Nights, declared: Declarations) -> None:
    assert "Nothing is declared otherwise" in str(planned(nights))

    orders = TABLES["orders"].table
    note = Column("note", Type.TEXT, "What the payment provider calls it.", nullable=True)
    source = shop_sources(settings().sources)["orders"]
    declared.source("orders", columns=(*source.columns, note))
    declared.sql("orders", "payment_id,", "payment_id, payment_id as note,")
    declared.table(
        "orders", columns=tuple(replace(c, nullable=True) if c.name == "units" else c for c in orders.columns)
    )
    nights.warehouse.execute("create schema marts; create view marts.sums as select units from reporting.orders")
    before = nights.ask("select attname, attnotnull from pg_attribute where attrelid = 'reporting.orders'::regclass")
    found = planned(nights)
    assert found.sources == {
        "orders": "all 1,498 rows are read anew: column note is new, its SQL is another one",
    }
    assert found.lake["reporting.orders"] == "built in full: its definition is another one"
    assert found.warehouse == {"reporting.orders": ["make column units nullable"]}
    assert found.refused is None
    assert "make column units nullable" in str(found)
    after = nights.ask("select attname, attnotnull from pg_attribute where attrelid = 'reporting.orders'::regclass")
    assert before == after

    run_id = nights.report()
    assert nights.ask("select source, anew from audit.source_counts where run_id = %s and anew <> '{}'", run_id) == [
        ("orders", ["column note is new", "its SQL is another one"])
    ]
    assert planned(nights).sources == planned(nights).warehouse == {}


@pytest.mark.after_a_night
def test_what_a_dropped_column_would_break_is_planned_and_the_night_refuses_to_begin(
    nights: Nights, declared: Declarations
) -> None:
    nights.warehouse.execute("create schema marts; create view marts.tax as select sum(tax) from reporting.orders")
    orders = TABLES["orders"].table
    declared.table("orders", columns=tuple(column for column in orders.columns if column.name != "tax"))
    said = r"reporting.orders: the column tax is to be dropped, and view marts.tax needs it"
    assert said in (planned(nights).refused or "")
    with pytest.raises(ValueError, match=said):
        nights.begin()
