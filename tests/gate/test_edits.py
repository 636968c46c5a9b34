"""An order that was edited: what was taken out of it has no part in its amounts, and each line has a day of its own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from shutil import copytree

import pytest

from include.extract.drift import FILE
from include.settings import settings
from tests.nights import LAST_DAY, Nights

# A line for 50.00 that was in an order from the start and taken out on the last day but one.
_REMOVED = """
insert into order_items (order_id, product_id, warehouse_id, quantity, unit_price, unit_cost, removed_at)
select order_id, product_id, warehouse_id, 1, 50, 20, %(removed_at)s::timestamptz
from order_items where order_id = %(order)s limit 1
returning order_item_id
"""


@pytest.fixture
def edited(nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nights:
    """Nights of a shop that keeps what is taken out of an order."""
    folder = copytree(settings().sources, tmp_path / "sources")
    (folder / FILE).unlink()
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    return nights


def _orders(nights: Nights) -> list[int]:
    """Orders of long before the last day, with nothing refunded."""
    found = nights.shop.execute(
        "select order_id from orders where status = 'delivered' and delivered_at < %s and currency = 'EUR'"
        " and order_id not in (select order_id from refunds join order_items using (order_item_id))"
        " order by 1 limit 3",
        [LAST_DAY],
    )
    return [order for (order,) in found]


@pytest.mark.long
def test_what_was_taken_out_is_a_sale_of_its_day_and_a_return_of_the_other(edited: Nights) -> None:
    order, *_ = _orders(edited)
    edited.report()
    query = "select day, gross_sales, returns, net_sales from reporting.daily_sales where currency = 'EUR' order by 1"
    edited.shop.execute("update orders set currency = 'EUR' where order_id = %s", [order])
    edited.report()
    before = {row[0]: row[1:] for row in edited.ask(query)}
    edited.shop.execute(_REMOVED, {"order": order, "removed_at": f"{LAST_DAY} 10:00+00"})
    edited.report()
    after = {row[0]: row[1:] for row in edited.ask(query)}
    assert edited.ask("select source, row_key, rules from audit.quarantine where outcome = 'open'") == []
    [(day,)] = edited.ask("select ordered_on from reporting.orders where order_id = %s", order)
    assert {on: [new - old for new, old in zip(after[on], before[on], strict=True)] for on in after
            if after[on] != before[on]} == {day: [50, 0, 50], LAST_DAY: [0, 50, -50]}  # fmt: skip
    assert edited.ask(
        "select rounding, gross_sales - discount + shipping + tax - total from reporting.orders where order_id = %s",
        order,
    ) == [(0, 0)]


def test_a_line_of_a_time_that_cannot_be_is_held(edited: Nights) -> None:
    """Taken out before it was ordered, added before, taken out before it was added."""
    first, second, third = _orders(edited)
    first_line = "(select min(order_item_id) from order_items where order_id = %s)"
    edited.shop.execute(_REMOVED, {"order": first, "removed_at": "2000-01-01 00:00+00"})
    edited.shop.execute(
        f"update order_items set sold_at = '2000-01-01' where order_item_id = {first_line}".encode(), [second]
    )
    [(third_line,)] = edited.shop.execute(_REMOVED, {"order": third, "removed_at": f"{LAST_DAY} 10:00+00"}).fetchall()
    edited.shop.execute(
        "update order_items set sold_at = %s where order_item_id = %s", [f"{LAST_DAY} 11:00+00", third_line]
    )
    edited.report()
    held = edited.ask("select rules from audit.quarantine where source = 'order_items'")
    own = sorted(rule for (rules,) in held for rule in rules if rule != "follows_orders")
    assert own == ["ordered_before_removed", "ordered_before_sold", "sold_before_removed"]
    assert {key for (key,) in edited.ask("select row_key from audit.quarantine where source = 'orders'")} >= {
        str(second)
    }


def test_an_edit_after_the_last_day_is_no_rounding(edited: Nights) -> None:
    """A line is taken out in the morning after it: the order is the shop's already, and so is what its total is."""
    order, *_ = _orders(edited)
    edited.shop.execute(_REMOVED, {"order": order, "removed_at": f"{LAST_DAY + timedelta(days=1)} 08:00+00"})
    edited.report()
    assert edited.ask(
        "select removed_on from reporting.order_lines where order_id = %s and unit_price = 50", order
    ) == [(None,)]
    assert edited.ask("select count(*) from reporting.orders where rounding <> 0") == [(0,)]


def test_refunds_of_an_order_are_good_also_after_it_was_edited(edited: Nights) -> None:
    """What was paid for a line was given back before another was taken out, and the order's discount is as it was."""
    [(order, line)] = edited.shop.execute(
        "select order_id, min(order_item_id) from order_items join orders using (order_id)"
        " where status = 'delivered' and currency = 'EUR' and order_items.discount is null and orders.discount = 0"
        " and delivered_at < %s"
        " and order_item_id not in (select order_item_id from refunds)"
        " group by 1 having count(*) = 1 order by 1 limit 1",
        [LAST_DAY - timedelta(days=5)],
    ).fetchall()
    edited.shop.execute(
        "insert into refunds (order_item_id, quantity, amount, restocked, refunded_at)"
        " select order_item_id, 1, round(unit_price * quantity * 0.9, 2), false, %s from order_items"
        " where order_item_id = %s",
        [LAST_DAY - timedelta(days=2), line],
    )
    edited.shop.execute(_REMOVED, {"order": order, "removed_at": f"{LAST_DAY} 10:00+00"})
    edited.shop.execute(
        "update orders set discount = round(subtotal * 0.2, 2), tax = round(subtotal * 0.08, 2) + shipping_tax,"
        " total = subtotal - round(subtotal * 0.2, 2) + shipping - shipping_discount + shipping_tax"
        " + round(subtotal * 0.08, 2) where order_id = %s",
        [order],
    )
    edited.report()
    assert edited.ask("select rules from audit.quarantine where source = 'refunds'") == []
