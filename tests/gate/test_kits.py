"""Kits in a night: what is taken of their components, what is available, recipes that change, and wrong ones."""

from __future__ import annotations

from typing import Final

import pytest

from tests.gate.test_bounds import held
from tests.nights import LAST_DAY, Nights

DEMAND: Final = "select product_id, kits::bigint, units::bigint from reporting.component_demand_daily where kit_id = %s"
SOLD: Final = """
select sum(units)::bigint from (
    select day, product_id, units from reporting.daily_product_sales
    union all
    select day, product_id, units from reporting.component_demand_daily
) as demand
where product_id = %s and day > %s::date - 28
"""
UNITS: Final = "select sum(units_28d)::bigint from reporting.inventory_health where product_id = %s"


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """What is sold and lies on shelves, and the tables of kits."""
    return (
        "order_lines", "daily_product_sales", "inventory_daily", "inventory_health", "stockouts",
        "component_demand_daily", "kit_availability", "kit_components_history",
    )  # fmt: skip


@pytest.mark.after_a_night
def test_what_is_available_of_a_kit(nights: Nights) -> None:
    """The least of its components in the warehouse, those of the kit in it too, as the shop's stock has it."""
    expected = nights.shop.execute(
        """
        with recursive parts as (
            select product_id as kit, component_id as part, units_per_kit as units from kit_components
            union all
            select parts.kit, below.component_id, parts.units * below.units_per_kit
            from parts join kit_components as below on below.product_id = parts.part
        ),
        needed as (
            select kit, part, sum(units) as units from parts
            where part not in (select product_id from kit_components)
            group by kit, part
        )
        select kit, warehouse_id, min(greatest(0, on_hand - reserved) / units)::bigint, count(*)
        from needed join inventory on product_id = part
        group by kit, warehouse_id
        order by 1, 2
        """
    ).fetchall()
    found = nights.ask(
        "select product_id, warehouse_id, available_kits, components from reporting.kit_availability order by 1, 2"
    )
    assert len(expected) == 9
    assert found == expected


@pytest.mark.long
def test_a_kit_that_is_sold_takes_its_components_and_its_sales_are_its_own(nights: Nights) -> None:
    """A line of the day is of a kit, its movements of what is in it. A recipe that is found later moves no past day."""
    [(line, product, units)] = nights.shop.execute(
        """
        select order_item_id, product_id, quantity from order_items join orders using (order_id)
        where ordered_at::date = %s and cancelled_at is null and removed_at is null
        order by order_item_id limit 1
        """,
        [LAST_DAY],
    ).fetchall()
    [(kit,)] = nights.shop.execute("select max(product_id) from products").fetchall()
    nights.shop.execute("delete from kit_components where product_id = %s", [kit])
    nights.shop.execute("insert into kit_components values (%s, %s, 3)", [kit, product])
    nights.shop.execute("update order_items set product_id = %s where order_item_id = %s", [kit, line])
    nights.report()
    assert nights.ask(DEMAND, kit) == [(product, units, 3 * units)]
    assert nights.ask(UNITS, product) == nights.ask(SOLD, product, LAST_DAY)
    assert nights.ask("select product_id from reporting.order_lines where order_item_id = %s", line) == [(kit,)]
    assert nights.ask("select 1 from audit.quarantine") == []
    assert nights.ask("select 1 from audit.expectation_results where rule like '%%explained' and broken > 0") == []

    nights.shop.execute("update kit_components set units_per_kit = 5, updated_at = now() where product_id = %s", [kit])
    before = nights.published()
    nights.report()
    assert nights.published() == before
    nights.report(full_refresh=True)
    assert nights.published() == before


@pytest.mark.after_a_night
@pytest.mark.long
def test_wrong_kits_are_held_and_those_in_them_are_not(nights: Nights) -> None:
    """Five levels are one too many, of the topmost row alone; a cycle of three is held whole; a large kit of kits."""
    free = nights.shop.execute(
        "select product_id from products where product_id not in"
        " (select product_id from kit_components union all select component_id from kit_components) order by 1"
    ).fetchall()
    number = dict(enumerate(product for (product,) in free))
    wrong = {
        "kit_not_nested_deeper": [(0, 1)],
        "kit_in_no_cycle": [(6, 7), (7, 8), (8, 6)],
        "whole_kit_credible": [(9, 10)],
    }
    for kit, component, units in (
        *((level, level + 1, 1) for level in range(5)),
        *((6, 7, 1), (7, 8, 1), (8, 6, 1)),
        *((9, 10, 400), (10, 11, 400)),
    ):
        nights.shop.execute("insert into kit_components values (%s, %s, %s)", [number[kit], number[component], units])
    nights.report()
    assert held(nights, "kit_components") == {
        f"{number[kit]}/{number[component]}": {rule} for rule, rows in wrong.items() for kit, component in rows
    }
    for kit, component in ((8, 6), (10, 11), (4, 5)):
        gone = [number[kit], number[component]]
        nights.shop.execute("delete from kit_components where (product_id, component_id) = (%s, %s)", gone)
    nights.report()
    assert nights.ask("select row_key from audit.quarantine where outcome = 'open'") == []
