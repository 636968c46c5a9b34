"""Stock as shops keep it: reservations that match no movement, and movements that are taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from include.settings import settings
from tests.nights import SHOP_TOML, Nights

LAST = "select {} from reporting.inventory_daily where day = (select max(day) from reporting.inventory_daily)"


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """What is made of stock alone."""
    return ("inventory_daily",)


def last_day(nights: Nights, columns: str) -> tuple[Any, ...]:
    """Figures of the last day."""
    (row,) = nights.ask(LAST.format(columns))
    return tuple(row)


def of_shop(nights: Nights) -> tuple[Any, ...]:
    """What is reserved, what is available and how many shelves are empty, as the shop itself has it."""
    [row] = nights.shop.execute(
        "select sum(reserved), sum(on_hand - reserved), count(*) filter (where on_hand <= reserved) from inventory"
    ).fetchall()
    return tuple(row)


FIGURES = "sum(reserved), sum(available), count(*) filter (where is_stockout)"


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_shop_without_reservation_movements_is_one_like_any_other(nights: Nights) -> None:
    """No past day has a reservation that is less than none."""
    nights.shop.execute("delete from inventory_movements where kind in ('reservation', 'release')")
    nights.shop.execute("update inventory set reserved = 0, updated_at = now()")
    nights = replace(nights, approves=True)
    nights.report(full_refresh=True)
    assert last_day(nights, FIGURES) == of_shop(nights)
    assert nights.ask("select min(reserved), max(reserved) from reporting.inventory_daily") == [(0, 0)]
    assert last_day(nights, "min(unexplained_reserved), max(unexplained_reserved)") == (0, 0)

    # A shop that keeps a number and no movements: its number is true on its day.
    nights.shop.execute("update inventory set reserved = least(on_hand, 2), updated_at = now()")
    nights.report()
    assert last_day(nights, FIGURES) == of_shop(nights)
    assert last_day(nights, "max(unexplained_reserved)") == (2,)


@pytest.mark.after_a_night
def test_a_reservation_that_was_never_released_is_no_stock_out(nights: Nights) -> None:
    """33 are reserved by a movement, on a shelf on which the shop itself has them available."""
    [(product, warehouse, on_hand, reserved, line)] = nights.shop.execute(
        "select product_id, warehouse_id, on_hand, reserved, min(order_item_id)"
        " from inventory join inventory_movements using (product_id, warehouse_id)"
        " where on_hand > reserved group by 1, 2, 3, 4 having min(order_item_id) > 0 order by on_hand desc limit 1"
    ).fetchall()
    shelf = f"product_id = {product} and warehouse_id = {warehouse}"
    nights.shop.execute(
        "insert into inventory_movements (movement_id, product_id, warehouse_id, kind, quantity, order_item_id,"
        " moved_at, updated_at) select max(movement_id) + 1, %s, %s, 'reservation', %s, %s, max(moved_at), now()"
        " from inventory_movements",
        [product, warehouse, on_hand - reserved, line],
    )
    run = nights.report()
    figures = "reserved, available, is_stockout, unexplained_reserved"
    assert nights.ask(f"{LAST.format(figures)} and {shelf}") == [
        (reserved, on_hand - reserved, False, reserved - on_hand)
    ]
    assert last_day(nights, FIGURES) == of_shop(nights)
    assert nights.ask(
        "select table_name, broken from audit.expectation_results where run_id = %s and rule = 'reserved_explained'"
        " order by 1",
        run,
    ) == [("reporting.inventory_daily", 1), ("source.inventory", 1)]
    [(held, totals)] = nights.ask(
        "select held, totals from audit.conservation where run_id = %s and audit = 'stock_on_hand'", run
    )
    assert held
    [both] = [(one["one"], one["other"]) for one in totals if one["measure"] == "reserved"]
    assert both == (of_shop(nights)[0],) * 2


@pytest.mark.after_a_night
def test_movements_that_are_taken_back_are_netted_and_the_night_goes_on(nights: Nights) -> None:
    """A receipt of -5 goes back to the vendor; a return of -2 and a shipment of +3 were errors."""
    [(product, warehouse, day)] = nights.shop.execute(
        "select product_id, warehouse_id, max(moved_at)::date from inventory_movements"
        " join inventory using (product_id, warehouse_id) where on_hand > 10 group by 1, 2 order by 1, 2 limit 1"
    ).fetchall()
    shelf = f"product_id = {product} and warehouse_id = {warehouse}"
    moved = (
        f"select received, shipped, returned, closing_units from reporting.inventory_daily where {shelf} and day = %s"
    )
    [(received, shipped, returned, closing)] = nights.ask(moved, day)
    for kind, quantity in (("receipt", -5), ("return", -2), ("shipment", 3)):
        nights.shop.execute(
            "insert into inventory_movements (movement_id, product_id, warehouse_id, kind, quantity, moved_at,"
            " updated_at) select max(movement_id) + 1, %s, %s, %s, %s, %s, now() from inventory_movements",
            [product, warehouse, kind, quantity, day],
        )
    nights.shop.execute(f"update inventory set on_hand = on_hand - 4, updated_at = now() where {shelf}".encode())
    run = nights.report()
    assert nights.ask(moved, day) == [(received - 5, shipped - 3, returned - 2, closing - 4)]
    assert nights.ask("select count(*) from audit.quarantine") == [(0,)]
    assert nights.ask(
        "select broken from audit.expectation_results where run_id = %s and rule = 'movement_not_reversed'", run
    ) == [(3,)]
    assert last_day(nights, FIGURES) == of_shop(nights)


@pytest.mark.after_a_night
def test_a_shop_that_takes_backorders_owes_what_is_reserved_above_what_lies_there(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same shelf is held until the shop's folder says so; then it is accepted, from the quarantine."""
    nights.shop.execute("alter table inventory drop constraint inventory_reserved_check")
    [(product, warehouse)] = nights.shop.execute(
        "update inventory set reserved = on_hand + 5, updated_at = now() where (product_id, warehouse_id) ="
        " (select product_id, warehouse_id from inventory where on_hand > 0 order by 1, 2 limit 1)"
        " returning product_id, warehouse_id"
    ).fetchall()
    nights.report()
    held = "select row_key, rules from audit.quarantine where outcome = 'open'"
    assert nights.ask(held) == [(f"{product}/{warehouse}", ["reserved_within_on_hand"])]

    folder = copytree(settings().sources, tmp_path / "sources")
    (folder / "shop.toml").write_text(f"{SHOP_TOML}[stock]\nbackorders = true\n")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    nights.report()
    assert nights.ask(held) == []
    shelf = f"product_id = {product} and warehouse_id = {warehouse}"
    assert nights.ask(f"{LAST.format('available, is_stockout')} and {shelf}") == [(-5, True)]
    assert last_day(nights, FIGURES) == of_shop(nights)
    settings.cache_clear()


@pytest.mark.after_a_night
def test_a_shelf_is_in_no_day_before_it_was_known(nights: Nights) -> None:
    """9001 is listed the day after, 9002 comes that day, 9003 lies there unexplained, 9004 was never stocked."""
    for product, listed, on_hand in ((9001, "04-01", 5), (9002, "01-01", 6), (9003, "01-01", 4), (9004, "01-01", 0)):
        nights.shop.execute(
            "insert into products (product_id, sku, name, category, unit_cost, unit_price, created_at, updated_at)"
            " values (%s, %s, 'new', 'new', 1, 2, %s, now())",
            [product, f"new-{product}", f"2026-{listed} 10:00+00"],
        )
        nights.shop.execute(
            "insert into inventory (product_id, warehouse_id, on_hand, reserved, updated_at)"
            " values (%s, 1, %s, 0, now())",
            [product, on_hand],
        )
    nights.shop.execute(
        "insert into inventory_movements (movement_id, product_id, warehouse_id, kind, quantity, moved_at, updated_at)"
        " select max(movement_id) + 1, 9002, 1, 'receipt', 6, '2026-04-01 10:00+00', now() from inventory_movements"
    )
    nights.report()
    assert nights.ask(
        "select product_id, day::text, closing_units, unexplained_units, is_stocked, is_stockout"
        " from reporting.inventory_daily where product_id > 9000 order by 1"
    ) == [(9003, "2026-03-31", 4, 4, True, False), (9004, "2026-03-31", 0, 0, False, False)]
