"""Kits in a warehouse of an earlier release, which did not read them."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import narwhals as nw
import pytest

from include.contract import Rebuild
from include.settings import settings
from include.sources import SOURCES
from tests.changes.kinds import Declarations, settings_folder
from tests.nights import LAST_DAY, Nights
from transforms.engines import Frame
from transforms.reporting import inventory_health, stockouts

OF_KITS = ("component_demand_daily", "kit_availability", "kit_components_history")
NAMES = ("order_lines", "daily_product_sales", "inventory_daily", "inventory_health", "stockouts", *OF_KITS)


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """What is made of stock."""
    return NAMES


@pytest.mark.long
def test_a_warehouse_of_an_earlier_release_gets_them_the_next_night(nights: Nights, tmp_path: Path) -> None:
    """What kits are made of when they are first read, they always were."""
    with pytest.MonkeyPatch.context() as patch:
        _declare_as_before(patch, tmp_path)
        replace(nights, names=[name for name in NAMES if name not in OF_KITS]).run(LAST_DAY.replace(day=30))
    settings.cache_clear()
    assert nights.ask("select to_regclass('reporting.kit_availability') is null") == [(True,)]

    [(kit, component)] = nights.shop.execute(
        "select max(product_id), max(component_id) from kit_components"
        " where product_id = (select max(product_id) from kit_components)"
    ).fetchall()
    nights.shop.execute(
        "update order_items set product_id = %s, updated_at = now() where order_item_id ="
        " (select max(order_item_id) from order_items join orders using (order_id)"
        " where product_id = %s and cancelled_at is null and removed_at is null)",
        [kit, component],
    )
    nights = replace(nights, names=NAMES)
    nights.run()
    versions = "select count(*), min(valid_from)::text, count(valid_to) from reporting.kit_components_history"
    [(rows,)] = nights.shop.execute("select count(*) from kit_components").fetchall()
    assert nights.ask(versions) == [(rows, "1970-01-01", 0)]
    assert nights.ask("select count(distinct product_id), count(distinct night) from reporting.kit_availability") == [
        (3, 1)
    ]
    [(components,)] = nights.shop.execute("select count(*) from kit_components where product_id = %s", [kit]).fetchall()
    assert nights.ask("select count(*) from reporting.component_demand_daily where kit_id = %s", kit) == [(components,)]
    after = nights.published()
    nights.run(full_refresh=True)
    assert nights.published() == after


def _declare_as_before(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Declare what was declared before kits were read."""
    shutil.copytree(settings_folder(), folder / "shop")
    (folder / "shop" / "kit_components.sql").unlink()
    schema = folder / "shop" / "schema.toml"
    without = re.sub(r'(?s)\n\["public\.kit_components"\].*?(?=\n\["public\.order_items"\])', "", schema.read_text())
    schema.write_text(re.sub(r"(?m)^kit_components = .*\n", "", without))
    patch.setenv("STOCKTAKE_SOURCES", str(folder / "shop"))
    settings.cache_clear()
    patch.delitem(SOURCES, "kit_components")
    declared = Declarations(patch, folder / "shop")
    for name in OF_KITS:
        declared.drop_table(name)
    for name in ("product_demand", "inventory_risk", "demand_labels"):
        declared.drop_table(name)
    declared.table("inventory_health", _health_before)
    of_two = Rebuild.by("product_id", inventory_daily="product_id", daily_product_sales="product_id", daily=True)
    declared.table("stockouts", _stockouts_before, rebuild=of_two)


def _health_before(
    inventory_daily: Frame,
    daily_product_sales: Frame,
    purchase_order_lines: Frame,
    inventory_movements: Frame,
    calendar: Frame,
    as_of: int,
    unit_parts: int,
) -> Frame:
    none = daily_product_sales.filter(nw.col("day") < 0)
    return inventory_health.build(
        inventory_daily,
        daily_product_sales,
        none,
        purchase_order_lines,
        inventory_movements,
        calendar,
        as_of,
        unit_parts,
    )


def _stockouts_before(inventory_daily: Frame, daily_product_sales: Frame, as_of: int, unit_parts: int) -> Frame:
    none = daily_product_sales.filter(nw.col("day") < 0)
    return stockouts.build(inventory_daily, daily_product_sales, none, as_of, unit_parts)
