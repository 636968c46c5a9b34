"""Shipments from the shop to the published tables: held with their order, and new to a lake of an earlier release."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import narwhals as nw
import pytest

from include.contract import Rebuild, Source
from include.contract.dimension import Dimensions
from include.settings import settings
from include.sources import SOURCES
from tests.changes.kinds import settings_folder
from tests.nights import Nights
from tests.pipeline.test_plan import planned
from transforms.engines import Frame
from transforms.registry import TABLES

NAMES = ("order_lines", "orders", "shipments_daily")


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """Those of shipments, and what they are made from."""
    return NAMES


def forget(patch: pytest.MonkeyPatch) -> None:
    """Declare everything as it was before there were shipments."""
    patch.delitem(SOURCES, "shipment_items")
    patch.delitem(TABLES, "shipments_daily")
    orders = SOURCES["orders"]
    derived = tuple(one for one in orders.derived if one.column.name != "shipments")
    rules = tuple(rule for rule in orders.rules if rule.name != "shipped_has_shipment")
    patch.setitem(SOURCES, "orders", replace(orders, derived=derived, rules=rules))
    patch.setattr(Source, "deriving", lambda source, *_: source)
    now = TABLES["order_lines"]

    def build(orders: Frame, order_items: Frame, refunds: Frame, dimensions: Dimensions, unit_parts: int) -> Frame:
        nothing = refunds.filter(nw.col("quantity") < 0).with_columns(cancelled_on=nw.col("refunded_on"))
        return now.build(orders, order_items, refunds, nothing, dimensions, unit_parts).drop("shipped_units")

    columns = tuple(column for column in now.table.columns if column.name != "shipped_units")
    rules = tuple(rule for rule in now.table.rules if rule.name != "shipped_within_line")
    through = {name: paths for name, paths in now.table.rebuild.through.items() if name != "shipment_items"}
    rebuild = Rebuild("by", "order_id", through=through)
    table = replace(now.table, columns=columns, rules=rules, rebuild=rebuild)
    patch.setitem(TABLES, "order_lines", replace(now, table=table, build=build))


@pytest.mark.long
def test_a_lake_and_a_warehouse_of_an_earlier_release_get_shipments(nights: Nights, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shutil.copytree(settings_folder(), tmp_path / "shop")
        (tmp_path / "shop" / "shipment_items.sql").unlink()
        patch.setenv("STOCKTAKE_SOURCES", str(tmp_path / "shop"))
        settings.cache_clear()
        forget(patch)
        replace(nights, names=NAMES[:2]).report()
    settings.cache_clear()
    assert planned(nights).refused is None
    nights.report()
    sent = "select count(distinct (order_id, shipment_number)), sum(shipment_items.quantity) from shipment_items"
    [(parcels, units)] = nights.shop.execute(f"{sent} join order_items using (order_item_id)".encode()).fetchall()
    counted = "select sum(shipments)::bigint, sum(units_shipped)::bigint from reporting.shipments_daily"
    assert nights.ask(counted) == [(parcels, units)]
    assert nights.ask("select sum(shipped_units)::bigint from reporting.order_lines") == [(units,)]
    after = nights.published()
    nights.report(full_refresh=True)
    assert nights.published() == after


@pytest.mark.after_a_night
@pytest.mark.long
def test_an_order_in_quarantine_takes_its_shipments_along_and_back(nights: Nights) -> None:
    published = nights.published()
    [(order, total, rows)] = nights.shop.execute(
        """
        select order_id, total, count(*)
        from shipment_items join order_items using (order_item_id) join orders using (order_id)
        group by order_id, total
        having count(distinct shipment_number) = 2
        order by order_id desc limit 1
        """
    ).fetchall()
    nights.shop.execute("update orders set total = total + 10, updated_at = now() where order_id = %s", [order])
    nights.report()
    held = nights.ask("select rules from audit.quarantine where outcome = 'open' and source = 'shipment_items'")
    assert held == [(["follows_order_items"],)] * rows
    assert nights.published() != published
    nights.shop.execute("update orders set total = %s, updated_at = now() where order_id = %s", [total, order])
    nights.report()
    assert nights.published() == published
