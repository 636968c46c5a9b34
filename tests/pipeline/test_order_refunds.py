"""Money that no line explains, from the shop to the published tables; an earlier release did not read it."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import narwhals as nw
import pytest

from include.contract import Column, Dimensions, Rebuild
from include.settings import settings
from include.sources import SOURCES
from tests.changes.kinds import Declarations, settings_folder
from tests.nights import FEW, Nights
from transforms.engines import Frame
from transforms.registry import TABLES
from transforms.reporting import daily_sales
from transforms.reporting import orders as orders_table

GIVEN_BACK = ("other_refunds", "shipping_refunds", "tax_refunds")
OF_DAYS = "select sum(other_refunds), sum(shipping_refunds), sum(tax_refunds) from reporting.daily_sales"
OF_ORDERS = f"{OF_DAYS.replace('daily_sales', 'orders')} where status <> 'cancelled'"
IN_THE_SHOP = """
select
    coalesce(sum(amount), 0),
    coalesce(sum(order_refunds.shipping), 0),
    coalesce(sum(order_refunds.tax), 0) + (
        select coalesce(sum(refunds.tax), 0)
        from refunds join order_items using (order_item_id) join orders using (order_id)
        where status <> 'cancelled' and order_id <> %(without)s
    )
from order_refunds left join orders using (order_id)
where status is distinct from 'cancelled' and order_id is distinct from %(without)s
"""
OF_NO_ORDER = "select sum(amount), sum(shipping), sum(tax) from order_refunds where order_id is null"


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """A few are enough."""
    return FEW


@pytest.mark.after_a_night
@pytest.mark.long
def test_it_shares_the_fate_of_its_order_and_stands_alone_without_one(nights: Nights) -> None:
    """Its order does not add up for a night, then is cancelled; the money of no order stays where it is."""
    assert nights.ask(OF_DAYS) == _shop(nights)
    of_no_order = nights.shop.execute(OF_NO_ORDER).fetchall()[0]
    found = nights.ask(OF_ORDERS)[0]
    assert [sum(pair) for pair in zip(found, of_no_order, strict=True)] == list(_shop(nights)[0])
    assert nights.ask(
        "select bool_and(total_sales = net_sales - other_refunds + shipping - shipping_refunds + tax - tax_refunds)"
        " from reporting.daily_sales"
    ) == [(True,)]
    [(order,)] = nights.shop.execute(
        "select order_id from order_refunds join orders using (order_id) where status = 'delivered' limit 1"
    ).fetchall()

    nights.shop.execute("update orders set total = total + 10, updated_at = now() where order_id = %s", [order])
    nights.run()
    assert nights.ask(
        "select distinct rules from audit.quarantine where source = 'order_refunds' and outcome = 'open'"
    ) == [(["follows_orders"],)]
    assert nights.ask(OF_DAYS) == _shop(nights, without=order)

    nights.shop.execute(
        "update orders set total = total - 10, status = 'cancelled', cancelled_at = delivered_at, delivered_at = null,"
        " shipped_at = null, cancelled_by = 'shop', cancellation_reason = 'test', updated_at = now()"
        " where order_id = %s",
        [order],
    )
    nights.run()
    assert nights.ask(OF_DAYS) == _shop(nights)
    assert nights.ask(
        "select other_refunds + shipping_refunds > 0 from reporting.orders where order_id = %s", order
    ) == [(True,)]

    nights.shop.execute("delete from order_refunds where order_id is null")
    nights.shop.execute(
        "update order_refunds set order_id = null, refunded_at = refunded_at - interval '400 days', updated_at = now()"
        " where order_refund_id = (select max(order_refund_id) from order_refunds)"
    )
    nights = replace(nights, approves=True)
    nights.run()
    assert nights.ask(OF_DAYS) == _shop(nights)
    incremental = nights.published()
    nights.run(full_refresh=True)
    assert nights.published() == incremental


@pytest.mark.long
def test_a_warehouse_of_an_earlier_release_gets_it_the_next_night(nights: Nights, tmp_path: Path) -> None:
    nights = replace(nights, names=FEW)
    with pytest.MonkeyPatch.context() as patch:
        _declare_as_before(patch, tmp_path)
        nights.run()
    settings.cache_clear()
    columns = "select count(*) from information_schema.columns where column_name = 'other_refunds'"
    assert nights.ask(columns) == [(0,)]

    nights.run()

    assert nights.ask(columns) == [(2,)]
    assert nights.ask(OF_DAYS) == _shop(nights)
    after = nights.published()
    nights.run(full_refresh=True)
    assert nights.published() == after


def _shop(nights: Nights, without: int = 0) -> list[tuple[Any, ...]]:
    """What was given back in the shop, but of cancelled orders and of one order."""
    return nights.shop.execute(IN_THE_SHOP, {"without": without}).fetchall()


def _declare_as_before(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Declare what was declared before money could go back without a line."""
    shutil.copytree(settings_folder(), folder / "shop")
    (folder / "shop" / "order_refunds.sql").unlink()
    schema = folder / "shop" / "schema.toml"
    without = re.sub(r'(?s)\n\["public\.order_refunds"\].*?(?=\n\["public\.orders"\])', "", schema.read_text())
    schema.write_text(re.sub(r"(?m)^order_refunds = .*\n", "", without))
    patch.setenv("STOCKTAKE_SOURCES", str(folder / "shop"))
    settings.cache_clear()
    patch.delitem(SOURCES, "order_refunds")
    declared = Declarations(patch, folder / "shop")
    declared.table(
        "orders",
        _orders_before,
        columns=_without(TABLES["orders"].table.columns),
        rebuild=Rebuild.by("order_id", orders=("order_id", "customer_id@orders"), order_lines="order_id"),
    )
    declared.table(
        "daily_sales",
        _daily_sales_before,
        columns=_without(TABLES["daily_sales"].table.columns),
        rules=tuple(rule for rule in TABLES["daily_sales"].table.rules if not _names_it(*rule.reads)),
        rebuild=Rebuild.by(
            "day",
            reporting_orders="ordered_on",
            order_lines="order_item_id@refunds",
            refunds="refunded_on",
            filled="currency@reporting_orders",
        ),
    )


def _orders_before(orders: Frame, order_lines: Frame, dimensions: Dimensions) -> Frame:
    return _cut(orders_table.build(orders, order_lines, _none(orders), dimensions))


def _daily_sales_before(
    reporting_orders: Frame, order_lines: Frame, refunds: Frame, calendar: Frame, minor_units: int
) -> Frame:
    none = _none(reporting_orders)
    return _cut(daily_sales.build(reporting_orders, order_lines, refunds, none, calendar, minor_units))


def _none(rows: Frame) -> Frame:
    """No refunds, from the rows of orders."""
    amounts = {name: nw.col("ordered_on") for name in ("amount_cents", "shipping_cents", "tax_cents", "refunded_on")}
    return rows.filter(nw.col("order_id").is_null()).select("order_id", "currency", **amounts)


def _cut(rows: Frame) -> Frame:
    return rows.drop([f"{name}_cents" for name in GIVEN_BACK])


def _without(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    return tuple(column for column in columns if column.name not in GIVEN_BACK)


def _names_it(*columns: str) -> bool:
    return bool({f"{name}_cents" for name in GIVEN_BACK} & {*columns})
