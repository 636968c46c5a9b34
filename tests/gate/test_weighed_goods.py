"""Goods that are weighed: a shop of kilograms with three decimals, night by night."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from shutil import copytree

import pytest

from include.extract.drift import FILE
from include.ledger import runs
from include.pipeline import nightly, republish
from include.pipeline.one_shop import FILE as FILE_OF_SHOP
from include.pipeline.one_shop import OtherDecimals, other_decimals
from include.pipeline.plan import plan
from include.pipeline.run_request import WrongRequest
from include.settings import settings
from tests.nights import EUROS, LAST_DAY, SHOP_TOML, SOME, Nights

# A piece becomes 50 g, at twenty times the price of a kilogram: no amount of money is another one.
_WEIGHED = """
alter table order_items
    alter quantity type numeric, alter unit_price type numeric, alter unit_cost type numeric;
alter table products alter unit_price type numeric, alter unit_cost type numeric;
alter table refunds alter quantity type numeric;
alter table shipment_items alter quantity type numeric;
alter table purchase_order_lines
    alter quantity type numeric, alter received type numeric, alter unit_cost type numeric;
alter table inventory
    alter on_hand type numeric, alter reserved type numeric, alter reorder_point type double precision;
alter table inventory_movements alter quantity type double precision;
update order_items set quantity = quantity * 0.05, unit_price = unit_price * 20, unit_cost = unit_cost * 20;
update products set unit_price = unit_price * 20, unit_cost = unit_cost * 20;
update refunds set quantity = quantity * 0.05;
update shipment_items set quantity = quantity * 0.05;
update purchase_order_lines set quantity = quantity * 0.05, received = received * 0.05, unit_cost = unit_cost * 20;
update inventory set
    on_hand = on_hand * 0.05, reserved = reserved * 0.05,
    reorder_point = round((reorder_point * 0.05)::numeric, 3);
update inventory_movements set quantity = round((quantity * 0.05)::numeric, 3);
"""

# Prices per kilogram that do not divide: 333 g at 9.99 are 3.32667, at a cost of 5.01 1.66833.
_UNEVEN = """
create temp table weighed as
    select order_item_id, order_id, round(0.333 * 9.99, 2) - quantity * unit_price as more
    from order_items
    where order_id in (
        select order_id
        from orders
        join order_items using (order_id)
        where orders.discount = 0 and coalesce(order_items.discount, 0) = 0
            and not exists (
                select from refunds join order_items as line using (order_item_id) where line.order_id = orders.order_id
            )
        group by order_id
        having count(*) = 1
        order by order_id
        limit 5
    );
update order_items set quantity = 0.333, unit_price = 9.99, unit_cost = 5.01
from weighed where weighed.order_item_id = order_items.order_item_id;
update shipment_items set quantity = 0.333
from weighed where weighed.order_item_id = shipment_items.order_item_id;
update orders set
    subtotal = subtotal + more,
    tax = round((subtotal + more - discount + shipping - shipping_discount) * 0.1, 2),
    total = subtotal + more - discount + shipping - shipping_discount
        + round((subtotal + more - discount + shipping - shipping_discount) * 0.1, 2)
from weighed where weighed.order_id = orders.order_id
"""


@pytest.fixture
def weighed(nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    """Nights of a shop that counts in kilograms, to the gram."""
    folder = copytree(settings().sources, tmp_path / "sources")
    (folder / FILE).unlink()
    orders = folder / "orders.sql"
    start, _, end = orders.read_text().partition("    -- The shop's only rate")
    orders.write_text(f"{start}    null::numeric as tax_due,\n{end.partition('as tax_due,')[2]}")
    (folder / "shop.toml").write_text("[units]\ndecimals = 3\n")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    nights.shop.execute(EUROS)
    nights.shop.execute(_WEIGHED)
    yield Nights(nights.shop, nights.warehouse, SOME)
    settings.cache_clear()


def test_what_is_weighed_is_published_to_the_gram(weighed: Nights) -> None:
    for statement in _UNEVEN.split(";"):
        weighed.shop.execute(statement.encode())
    weighed.run()
    assert weighed.ask("select source, row_key, rules from audit.quarantine") == []
    lines = "select sum(quantity), sum(round(quantity * unit_price, 2)), sum(round(quantity * unit_cost, 2))"
    shop = weighed.shop.execute(f"{lines}, count(*) from order_items where quantity <> round(quantity)").fetchall()
    assert (
        weighed.ask(
            "select sum(quantity), sum(gross_sales), sum(cost), count(*) from reporting.order_lines"
            " where quantity <> round(quantity)"
        )
        == shop
    )
    assert weighed.ask(
        "select count(*), min(gross_sales), max(gross_sales), min(cost), max(cost) from reporting.order_lines"
        " where quantity = 0.333"
    ) == [(5, Decimal("3.33"), Decimal("3.33"), Decimal("1.67"), Decimal("1.67"))]
    assert weighed.ask(
        "select distinct data_type, numeric_scale from information_schema.columns where table_schema = 'reporting'"
        " and column_name in ('units', 'quantity', 'on_hand', 'closing_units', 'available', 'refunded_units')"
    ) == [("numeric", 3)]
    # A day adds up: units, their price, and what they cost.
    assert weighed.ask(
        """
        select count(*)
        from reporting.daily_sales
        join (
            select sold_on as day, currency, sum(quantity) as units, sum(gross_sales) as gross_sales
            from reporting.order_lines where not is_void group by 1, 2
        ) as lines using (day, currency)
        where daily_sales.units <> lines.units or daily_sales.gross_sales <> lines.gross_sales
        """
    ) == [(0,)]
    assert weighed.ask(
        "select count(*) from reporting.daily_product_sales"
        " where abs(average_price * units - (gross_sales - discounts)) > 0.0001"
    ) == [(0,)]
    # What lies on a shelf, and what it is worth.
    stock = weighed.shop.execute(
        "select sum(on_hand), sum(reserved), sum(round(on_hand * unit_cost, 2)) from inventory join products"
        " using (product_id)"
    ).fetchall()
    assert (
        weighed.ask(
            "select sum(closing_units), sum(reserved), sum(closing_value) from reporting.inventory_daily"
            " where day = %s",
            LAST_DAY,
        )
        == stock
    )


@pytest.mark.long
def test_the_next_nights_are_incremental_and_add_up(weighed: Nights) -> None:
    weighed.run()
    [(line, order)] = weighed.shop.execute(
        "select min(order_item_id), order_id from order_items join orders using (order_id) where orders.discount = 0"
        " and status = 'delivered' and not exists (select from refunds where refunds.order_item_id ="
        " order_items.order_item_id) group by order_id having count(*) = 1 and min(quantity) = 0.05"
        " order by order_id limit 1"
    ).fetchall()
    weighed.shop.execute(
        "insert into refunds (order_item_id, quantity, amount, restocked, refunded_at, updated_at)"
        " select order_item_id, 0.017, round(0.017 * unit_price, 2), false, now(), now() from order_items"
        " where order_item_id = %s",
        [line],
    )
    weighed.shop.execute("update refunds set refunded_at = %s where quantity = 0.017", [f"{LAST_DAY} 12:00+00"])
    weighed.run()
    [(refunded, units)] = weighed.ask(
        "select refunded_quantity, refunded_units from reporting.order_lines join reporting.orders using (order_id)"
        " where order_id = %s",
        order,
    )
    assert (refunded, units) == (Decimal("0.017"), Decimal("0.017"))
    night = weighed.published()
    weighed.run(full_refresh=True)
    assert weighed.published() == night


@pytest.mark.long
def test_what_is_finer_than_a_gram_and_what_is_too_much_is_held_and_shown_as_it_is(weighed: Nights) -> None:
    lines = [
        line for (line,) in weighed.shop.execute("select order_item_id from order_items order by order_item_id limit 3")
    ]
    weighed.shop.execute("update order_items set quantity = 0.3505 where order_item_id = %s", [lines[0]])
    weighed.shop.execute("alter table order_items drop constraint order_items_quantity_check")
    weighed.shop.execute("update order_items set quantity = -0.35 where order_item_id = %s", [lines[1]])
    weighed.shop.execute("update order_items set quantity = 1000000.001 where order_item_id = %s", [lines[2]])
    weighed.report()
    held = "select rules, row_values->>'quantity', row_values->>'_unreadable' from audit.quarantine where row_key = %s"
    found = [weighed.ask(f"{held} and source = 'order_items'", str(line))[0] for line in lines]
    assert [("readable" in rules, value, unreadable) for rules, value, unreadable in found] == [
        (True, None, "quantity = 0.3505"),
        (False, "-0.350", None),
        (False, "1000000.001", None),
    ]
    assert "quantity_positive" in found[1][0]
    assert "quantity_credible" in found[2][0]


def test_a_shop_of_parts_is_known_without_its_file_and_gets_no_more_decimals(weighed: Nights) -> None:
    """What a part of a unit comes to is rounded to the last decimal of the lake: past lines would be other amounts."""
    replace(weighed, names=("order_lines",)).report()
    (Path(settings().lake) / FILE_OF_SHOP).write_text("")  # as the refusal of another shop says
    assert other_decimals() is None
    (settings().sources / "shop.toml").write_text(f"{SHOP_TOML}[units]\ndecimals = 3\n")
    assert "counts amounts with 2 decimals, and shop.toml says 3: what a part of a unit" in (other_decimals() or "")


def test_other_decimals_than_those_of_the_lake_are_refused(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices, counts and past publications are read as they stand: each would be a thousand times too small."""
    nights.report()
    folder = copytree(settings().sources, tmp_path / "sources")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    (folder / "shop.toml").write_text(f"{SHOP_TOML}[units]\ndecimals = 3\n")
    refusal = r"counts units with 0 decimals, and shop.toml says 3.*`decimals = 0` below \[units\]"
    run = nights.begin()
    with pytest.raises(OtherDecimals, match=refusal):
        nightly.extract(run)
    runs.finish_run(run, "failed")
    with pytest.raises(WrongRequest, match=refusal):
        republish.begin("put back", {"night": LAST_DAY.isoformat()})
    assert "counts units with 0 decimals" in (plan([]).refused or "")
    (folder / "shop.toml").write_text(f"{SHOP_TOML}[units]\ndecimals = 0\n")
    nights.report()
    settings.cache_clear()
