"""Guests from the shop to the published tables: one registers, accounts are merged, an earlier release had none."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.contract import Column, Rebuild
from include.settings import settings
from include.sources import SOURCES
from tests.changes.kinds import Declarations, settings_folder
from tests.nights import FEW, SOME, Nights
from tests.pipeline.test_plan import planned
from transforms.registry import TABLES

MONEY = """
select day, currency, orders, gross_sales, net_sales, tax from reporting.daily_sales order by day, currency
"""
OF_CUSTOMER = """
select lifetime_orders, (select count(*) from reporting.orders as one where one.customer_id = customers.customer_id)
from reporting.customers where customer_id = %s
"""


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """Those that know a customer, and what they are made from."""
    return (*SOME, "customer_rfm", "customer_cohorts")


@pytest.mark.after_a_night
@pytest.mark.long
def test_orders_that_get_another_customer_move_their_figures(nights: Nights) -> None:
    """A guest registers and gets three old orders; two accounts are merged, and one goes."""
    assert nights.ask("select sum(guest_orders) > 20, bool_and(customers <= orders) from reporting.daily_sales") == [
        (True, True)
    ]
    guests = _one(nights, "select count(*) from reporting.orders where customer_id is null")
    assert guests == nights.shop.execute("select count(*) from orders where customer_id is null").fetchall()[0][0]
    money, orders = nights.ask(MONEY), _one(nights, "select count(*) from reporting.orders")
    new, gone, kept = _registers_and_merges(nights)
    merged = sum(_one(nights, OF_CUSTOMER, customer) for customer in (gone, kept))

    nights.run()

    assert nights.ask(MONEY) == money
    assert _one(nights, "select count(*) from reporting.orders") == orders
    assert _one(nights, "select count(*) from reporting.orders where customer_id is null") == guests - 3
    assert nights.ask("select customer_order_number from reporting.orders where customer_id = %s order by 1", new) == [
        (1,), (2,), (3,),
    ]  # fmt: skip
    assert _one(nights, OF_CUSTOMER, new) == 3
    assert nights.ask(OF_CUSTOMER, gone) == []
    assert _one(nights, OF_CUSTOMER, kept) == merged
    for table in ("reporting.customer_rfm", "features.customer_activity"):
        found = dict(nights.ask(f"select customer_id, count(*) from {table} where customer_id = any(%s) group by 1",
                                [new, gone, kept]))  # fmt: skip
        assert found == {new: 1, kept: 1}, table
    incremental = nights.published()
    nights.run(full_refresh=True)
    assert nights.published() == incremental


@pytest.mark.long
def test_a_warehouse_of_an_earlier_release_gets_its_guests(nights: Nights, tmp_path: Path) -> None:
    """Where an order had to have a customer, guests' orders are in quarantine until the night after."""
    nights = replace(nights, names=FEW, approves=True)
    with pytest.MonkeyPatch.context() as patch:
        _declare_as_before(patch, tmp_path)
        nights.run()
    settings.cache_clear()
    (guests,) = nights.shop.execute("select count(*)::int from orders where customer_id is null").fetchall()[0]
    held = "select count(*) from audit.quarantine where outcome = 'open' and rules && array['customer_id_filled']"
    assert _one(nights, held) == guests > 20
    assert _one(nights, "select count(*) from reporting.orders where customer_id is null") == 0

    found = planned(nights)
    assert found.refused is None
    nullable = ["make column customer_id nullable"]
    assert found.warehouse == {"reporting.orders": nullable, "reporting.order_lines": nullable}
    assert "make column customer_id nullable" in str(found)

    nights.run()
    assert _one(nights, held) == 0
    assert _one(nights, "select count(*) from reporting.orders where customer_id is null") == guests
    assert _one(nights, "select sum(guest_orders)::int from reporting.daily_sales") == _one(
        nights, "select count(*) from reporting.orders where customer_id is null and status <> 'cancelled'"
    )
    assert planned(nights).warehouse == {}
    after = nights.published()
    nights.run(full_refresh=True)
    assert nights.published() == after


def _registers_and_merges(nights: Nights) -> tuple[int, int, int]:
    """Three guests' orders get a new customer; a customer's orders become another's.

    Returns:
        The new customer, the one who goes, the one whom the orders go to.
    """
    shop = nights.shop
    [(new,)] = shop.execute(
        "insert into customers (email, name, country, created_at) values ('was.guest@example.com', 'G', 'DE',"
        " (select min(created_at) from customers)) returning customer_id"
    ).fetchall()
    shop.execute(
        "update orders set customer_id = %s, updated_at = now() where order_id in (select order_id from orders"
        " where customer_id is null and status <> 'cancelled' order by order_id limit 3)",
        [new],
    )
    [(gone,), (kept,)] = shop.execute(
        "select customer_id from orders where status <> 'cancelled' and customer_id is not null and customer_id <> %s"
        " group by customer_id having count(*) > 1 order by count(*), customer_id limit 2",
        [new],
    ).fetchall()
    shop.execute("update orders set customer_id = %s, updated_at = now() where customer_id = %s", [kept, gone])
    shop.execute("delete from customers where customer_id = %s", [gone])
    return new, gone, kept


def _declare_as_before(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Declare what was declared before there were guests."""
    shutil.copytree(settings_folder(), folder / "shop")
    patch.setenv("STOCKTAKE_SOURCES", str(folder / "shop"))
    settings.cache_clear()
    declared = Declarations(patch, folder / "shop")
    declared.source("orders", columns=_of_a_customer(SOURCES["orders"].columns))
    declared.table("order_lines", columns=_of_a_customer(TABLES["order_lines"].table.columns))
    declared.table(
        "orders",
        columns=_of_a_customer(TABLES["orders"].table.columns),
        rebuild=Rebuild.by("customer_id", orders="customer_id", order_lines="customer_id"),
    )


def _of_a_customer(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    return tuple(replace(column, nullable=column.nullable and column.name != "customer_id") for column in columns)


def _one(nights: Nights, query: str, *parameters: Any) -> Any:
    return nights.ask(query, *parameters)[0][0]
