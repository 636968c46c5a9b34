"""Numbers that no shop has are kept aside, and no sum of them overflows; so is an order that lost all its lines."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from include.extract.drift import FILE
from include.settings import settings
from tests.nights import Nights

_UNLIMITED = 2**63 - 1


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """Those that add up units and what they are worth."""
    return ("order_lines", "orders", "inventory_daily")


def held(nights: Nights, source: str) -> dict[str, set[str]]:
    """The rules by key, of the rows of a source in quarantine."""
    return {
        key: set(rules)
        for key, rules in nights.ask("select row_key, rules from audit.quarantine where source = %s", source)
    }


def test_units_that_no_shelf_holds_are_kept_aside(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copytree(settings().sources, tmp_path / "sources")
    (folder / FILE).unlink()  # the columns are wider than the demo shop's
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    nights.shop.execute("alter table inventory alter on_hand type bigint, alter reserved type bigint")
    nights.shop.execute("alter table inventory_movements alter quantity type bigint")
    nights.shop.execute(
        "update inventory set on_hand = %s, reserved = %s, updated_at = now()"
        " where (product_id, warehouse_id) = (3, 1)",
        [_UNLIMITED, _UNLIMITED],
    )
    moves = """
        insert into inventory_movements (product_id, warehouse_id, kind, quantity)
        select product_id, 1, 'adjustment', quantity
        from (values (4, 5 * 10^18::bigint), (4, 5 * 10^18::bigint), (5, 2^31::bigint)) as odd (product_id, quantity)
        returning movement_id::text
    """
    odd = [key for (key,) in nights.shop.execute(moves)]
    nights.report()
    assert held(nights, "inventory") == {"3/1": {"on_hand_credible", "reserved_credible"}}
    assert held(nights, "inventory_movements") == {key: {"quantity_credible"} for key in odd}
    assert nights.ask("select max(closing_value) < 10000000 from reporting.inventory_daily") == [(True,)]


def test_amounts_that_no_order_has_are_kept_aside(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line of 2⁶³ − 1 units; one order whose parts are each as large as an amount can be read."""
    folder = copytree(settings().sources, tmp_path / "sources")
    (folder / FILE).unlink()
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    nights.shop.execute("alter table order_items alter quantity type bigint")
    nights.shop.execute(
        "alter table orders alter subtotal type numeric, alter shipping type numeric, alter tax type numeric,"
        " alter shipping_tax type numeric, alter total type numeric"
    )
    orders = nights.shop.execute(
        "select order_id, min(order_item_id) from order_items where discount is null"
        " and order_item_id not in (select order_item_id from refunds) group by 1 order by 1 limit 2"
    ).fetchall()
    (of_many, line), (of_much, _) = orders
    nights.shop.execute("update order_items set quantity = %s where order_item_id = %s", [_UNLIMITED, line])
    nights.shop.execute(
        "update orders set subtotal = 9e14, shipping = 9e14, tax = 9e14, shipping_tax = 9e14, total = 9e14"
        " where order_id = %s",
        [of_much],
    )
    nights.report()
    assert held(nights, "order_items")[str(line)] == {"quantity_credible", "follows_orders"}
    assert held(nights, "orders")[str(of_many)] == {"lines_accepted"}
    assert {"subtotal_credible", "shipping_credible", "tax_credible"} < held(nights, "orders")[str(of_much)]


@pytest.mark.after_a_night
def test_an_order_that_lost_all_its_lines_is_held_though_they_were_worth_nothing(nights: Nights) -> None:
    """A line of no units: the order's subtotal is nothing, and so is what is left of it."""
    number = nights.shop.execute("select max(order_id) from orders where status = 'delivered'").fetchone()
    assert number is not None
    nights.set_aside(("order_items", "order_items_quantity_check"))
    nights.shop.execute("delete from refunds where order_item_id in (select order_item_id from order_items"
                        " where order_id = %s)", number)  # fmt: skip
    nights.shop.execute(
        "update order_items set quantity = 0, unit_price = 0, discount = null, updated_at = now() where order_id = %s",
        number,
    )
    nights.shop.execute(
        "update orders set subtotal = 0, discount = 0, tax = shipping_tax, updated_at = now(),"
        " total = shipping - shipping_discount + shipping_tax where order_id = %s",
        number,
    )
    nights.report()
    assert held(nights, "orders") == {str(number[0]): {"lines_accepted"}}
    assert nights.ask("select count(*) from reporting.orders where item_count = 0") == [(0,)]
