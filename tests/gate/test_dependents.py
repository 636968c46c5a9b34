"""A rule across tables: a change of what a derived column needs has the rows checked again that need it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from include.contract import Column, Derived, Source, Type
from include.contract.families import check_needs
from include.contract.rules import at_most
from include.ledger import copies
from include.sources import SOURCES
from tests.nights import LAST_DAY, Nights

RULE = "shelf_before_delivery"
_MOVED = """
(
    select max(moved.moved_at)
    from inventory_movements as moved
    join order_items as line using (order_item_id)
    where line.order_id = row.order_id and moved.kind = 'shipment'
    and coalesce(line.sold_at, row.ordered_at) = row.ordered_at
)
"""


@pytest.fixture
def rule_of_two_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders with a rule that looks at movements: nothing leaves the shelf after it was delivered, but in exchange."""
    orders = SOURCES["orders"]
    moved = Derived(
        Column("last_moved_at", Type.AT, "When its last unit left the shelf.", nullable=True),
        _MOVED,
        needs=("order_items", "inventory_movements"),
        through={"inventory_movements": "order_id@order_items"},
    )
    declared = replace(
        orders,
        derived=(*orders.derived, moved),
        rules=(*orders.rules, at_most("last_moved_at", "delivered_at", RULE, "A shipment precedes its delivery.")),
    )
    check_needs({**SOURCES, "orders": declared})
    monkeypatch.setitem(cast("dict[str, Source]", SOURCES), "orders", declared)


def held(nights: Nights) -> list[tuple[Any, ...]]:
    """The orders that the rule holds."""
    return nights.ask("select row_key from audit.quarantine where outcome = 'open' and %s = any(rules)", RULE)


@pytest.mark.usefixtures("rule_of_two_tables")
@pytest.mark.long
def test_a_row_is_checked_again_when_a_row_of_another_table_changes(nights: Nights) -> None:
    """A shipment is moved past its delivery, then to another line, then deleted; no order is written to."""
    nights.report()
    assert held(nights) == []
    [(order, movement)] = nights.shop.execute(
        "select order_id, movement_id from orders join order_items using (order_id)"
        " join inventory_movements as moved using (order_item_id)"
        " where status = 'delivered' and moved.kind = 'shipment' order by 1, 2 limit 1"
    ).fetchall()
    nights.set_aside(("inventory_movements", "inventory_movements_order_item_id_fkey"))
    move = "update inventory_movements set {}, updated_at = clock_timestamp() where movement_id = %s"
    for what, expected in (
        (f"moved_at = (select delivered_at + interval '1 hour' from orders where order_id = {order})", [(str(order),)]),
        ("order_item_id = null", []),
        (f"order_item_id = (select min(order_item_id) from order_items where order_id = {order})", [(str(order),)]),
    ):
        nights.shop.execute(move.format(what).encode(), [movement])
        run = nights.report()
        assert held(nights) == expected, what
        assert copies.snapshot_of(run)[1]["orders"] != "-infinity"
    nights.shop.execute("delete from inventory_movements where movement_id = %s", [movement])
    nights.report()
    assert held(nights) == []


@pytest.mark.after_a_night
def test_a_shipment_is_looked_at_again_when_its_line_turns_out_to_be_reserved(nights: Nights) -> None:
    """As the lake has it: a shipment of a line that was never reserved changes no reservation."""
    from deltalake import DeltaTable

    from include.lake import tables as lake

    def changes() -> bool:
        rows = DeltaTable(lake.folder("clean", "inventory_movements")).to_pyarrow_table(
            columns=["movement_id", "changes_reserved"]
        )
        return bool(dict(zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True))[shipment])

    [(shipment, reservation)] = nights.shop.execute(
        "select shipped.movement_id, reserved.movement_id from inventory_movements as shipped"
        " join inventory_movements as reserved using (order_item_id, product_id, warehouse_id)"
        " where shipped.kind = 'shipment' and reserved.kind = 'reservation' order by 1 limit 1"
    ).fetchall()
    assert changes() is True
    nights.shop.execute(
        "update inventory_movements set kind = 'adjustment', updated_at = now() where movement_id = %s", [reservation]
    )
    nights.report(LAST_DAY)
    assert changes() is False
