"""Purchase orders in a warehouse of an earlier release, which did not read them."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import narwhals as nw
import pytest

from include.settings import settings
from include.sources import SOURCES
from tests.changes.kinds import Declarations, settings_folder
from tests.nights import LAST_DAY, Nights
from transforms.engines import Frame
from transforms.registry import TABLES
from transforms.reporting import inventory_health

ADDED = ("on_order_units", "overdue_units", "next_expected_on")
NAMES = ("order_lines", "daily_product_sales", "inventory_daily", "inventory_health", "incoming_stock")


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """What is made of stock."""
    return NAMES


@pytest.mark.long
def test_a_warehouse_of_an_earlier_release_gets_them_the_next_night(nights: Nights, tmp_path: Path) -> None:
    """The shelves of the earlier night have nothing on order, as far as was known; those of the next have."""
    with pytest.MonkeyPatch.context() as patch:
        _declare_as_before(patch, tmp_path)
        replace(nights, names=[name for name in NAMES if name != "incoming_stock"]).run(LAST_DAY.replace(day=30))
    settings.cache_clear()
    assert nights.ask("select to_regclass('reporting.incoming_stock') is null") == [(True,)]
    before = nights.ask("select count(*) from reporting.inventory_health")

    nights = replace(nights, names=NAMES)
    nights.run()

    by_night = """
        select night::text, count(*), sum(on_order_units) from reporting.inventory_health group by night order by night
    """
    (earlier, units_then), (later, units_now) = [(row[:2], row[2]) for row in nights.ask(by_night)]
    assert (earlier[0], later[0]) == ("2026-03-30", "2026-03-31")
    assert [(earlier[1],)] == before
    assert not units_then
    of_lines = """
        select sum(open_units) from reporting.incoming_stock
        join reporting.inventory_health using (product_id, warehouse_id) where night = '2026-03-31'
    """
    assert nights.ask(of_lines) == [(units_now,)]
    assert units_now > 100
    after = nights.published()
    nights.run(full_refresh=True)
    assert nights.published() == after


def _declare_as_before(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Declare what was declared before purchase orders were read."""
    shutil.copytree(settings_folder(), folder / "shop")
    (folder / "shop" / "purchase_order_lines.sql").unlink()
    schema = folder / "shop" / "schema.toml"
    without = re.sub(r'(?s)\n\["public\.purchase_order_lines"\].*?(?=\n\["public\.refunds"\])', "", schema.read_text())
    schema.write_text(re.sub(r"(?m)^purchase_order_lines = .*\n", "", without))
    patch.setenv("STOCKTAKE_SOURCES", str(folder / "shop"))
    settings.cache_clear()
    patch.delitem(SOURCES, "purchase_order_lines")
    declared = Declarations(patch, folder / "shop")
    declared.drop_table("incoming_stock")
    table = TABLES["inventory_health"].table
    declared.table(
        "inventory_health",
        _health_before,
        columns=tuple(column for column in table.columns if column.name not in ADDED),
        rules=tuple(rule for rule in table.rules if not rule.reads & set(ADDED)),
    )


def _health_before(
    inventory_daily: Frame,
    daily_product_sales: Frame,
    component_demand_daily: Frame,
    inventory_movements: Frame,
    calendar: Frame,
    as_of: int,
    unit_parts: int,
) -> Frame:
    days = {name: nw.col("day") for name in ("quantity", "received", "cancelled_on", "expected_on")}
    none = inventory_daily.filter(nw.col("day") < 0).select("product_id", "warehouse_id", **days)
    health = inventory_health.build(
        inventory_daily,
        daily_product_sales,
        component_demand_daily,
        none,
        inventory_movements,
        calendar,
        as_of,
        unit_parts,
    )
    return health.drop(ADDED)
