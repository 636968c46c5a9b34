"""Money finer than a cent, in yen and in dinars, tax and discounts by line: what is a rounding passes, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shutil import copytree

import pytest

from include.extract.drift import FILE
from include.ledger import runs
from include.ledger.summary import summary
from include.pipeline import nightly, republish
from include.pipeline.one_shop import OtherDecimals
from include.pipeline.plan import plan
from include.pipeline.run_request import WrongRequest
from include.settings import settings
from include.training.entities import EveryEntity
from include.training.sets import training_set
from tests.nights import EUROS, LAST_DAY, Nights

# Prices with 19 % tax in them, as a shop that computes with fractions takes it out and rounds nothing.
_FINE = f"""
{EUROS}
alter table order_items
    alter unit_price type numeric, alter discount type numeric, add tax numeric;
alter table orders
    drop constraint orders_discount_check,
    alter subtotal type numeric, alter discount type numeric, alter tax type numeric, alter shipping_tax type numeric,
    alter shipping type numeric, alter shipping_discount type numeric, alter total type numeric;
update order_items set unit_price = unit_price / 1.19, discount = coalesce(discount, 0) / 1.19;
update order_items set tax = (quantity * unit_price - discount) * 0.19;
update orders set
    subtotal = lines.subtotal, discount = lines.discount, shipping = shipping / 1.19,
    shipping_discount = shipping_discount / 1.19, shipping_tax = (shipping - shipping_discount) / 1.19 * 0.19,
    tax = lines.tax + (shipping - shipping_discount) / 1.19 * 0.19,
    total = round(lines.subtotal - lines.discount + lines.tax + shipping - shipping_discount, 2)
from (
    select order_id, sum(quantity * unit_price) as subtotal, sum(discount) as discount, sum(tax) as tax
    from order_items where removed_at is null group by order_id
) as lines
where lines.order_id = orders.order_id;
delete from refunds;
"""


@pytest.fixture
def fine(nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    """Nights of a shop that computes with fractions of a cent, and knows tax and discount of every line."""
    folder = copytree(settings().sources, tmp_path / "sources")
    (folder / FILE).unlink()
    orders, lines = folder / "orders.sql", folder / "order_items.sql"
    start, _, end = orders.read_text().partition("    -- The shop's only rate")
    orders.write_text(f"{start}    null::numeric as tax_due,\n{end.partition('as tax_due,')[2]}")
    lines.write_text(
        lines.read_text().replace("as unit_price,", "as unit_price, quantity * unit_price as subtotal, tax,")
    )
    (folder / "shop.toml").write_text('[money]\nrounding = "half_up"\n')
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    nights.shop.execute(_FINE)
    yield nights
    settings.cache_clear()


def test_what_a_shop_rounds_elsewhere_passes_and_is_shown(fine: Nights) -> None:
    fine.report()
    assert fine.ask("select source, row_key, rules from audit.quarantine") == []
    parts = "gross_sales - discount + shipping + tax + rounding"
    assert fine.ask(f"select count(*) from reporting.orders where total <> {parts}") == [(0,)]
    # No order has a line with more than five amounts, or more than eight lines.
    assert fine.ask(
        "select count(*) filter (where rounding <> 0) > 100, max(abs(rounding)) <= 0.10 from reporting.orders"
    )[0] == (True, True)
    assert fine.ask(
        "select count(*) from reporting.order_lines where abs((gross_sales - discount_allocated) * 0.19 - tax) > 0.01"
    ) == [(0,)]
    shop = fine.shop.execute(
        "select currency, sum(total) from orders where status <> 'cancelled' group by 1 order by 1"
    )
    published = fine.ask(
        "select currency, sum(total) from reporting.orders where status <> 'cancelled' group by 1 order by 1"
    )
    assert published == shop.fetchall()


def test_more_than_a_rounding_is_held(fine: Nights) -> None:
    """Each in an order of its own: its total, its subtotal, its discount, a line's tax, a line's subtotal."""
    orders = [
        number
        for (number,) in fine.shop.execute("select order_id from orders where discount > 1 order by order_id limit 6")
    ]
    for change, number in zip(
        (
            "update orders set total = total + 0.08 where order_id = %s",
            "update orders set subtotal = subtotal + 0.05, total = total + 0.05 where order_id = %s",
            "update orders set discount = discount - 0.05, total = total + 0.05 where order_id = %s",
            "update order_items set tax = tax + 0.06 where order_id = %s",
            "update order_items set unit_price = unit_price + 10 where order_id = %s",
        ),
        orders,
        strict=False,
    ):
        fine.shop.execute(change.encode(), [number])
    fine.shop.execute("update orders set total = total + 0.01 where order_id = %s", [orders[5]])
    fine.report()
    found = dict(fine.ask("select row_key, rules from audit.quarantine where source = 'orders'"))
    assert {key: set(rules) for key, rules in found.items()} == {
        str(orders[0]): {"total_equals_parts"},
        str(orders[1]): {"subtotal_equals_lines"},
        str(orders[2]): {"discount_covers_lines"},
        str(orders[3]): {"tax_equals_lines"},
        str(orders[4]): {"subtotal_equals_lines"},
    }


def test_lines_have_no_more_tax_than_their_order_though_one_has_none_of_its_own(fine: Nights) -> None:
    """Of one order a line has a euro more than the order; of another the tax of a line is not known."""
    too_much, unknown = fine.shop.execute(
        "select order_id, min(order_item_id), max(order_item_id) from order_items"
        " group by 1 having count(*) > 1 order by 1 limit 2"
    ).fetchall()
    fine.shop.execute("update order_items set tax = null where order_item_id in (%s, %s)", [too_much[2], unknown[2]])
    fine.shop.execute(
        "update order_items set tax = (select tax + 1 from orders where order_id = %s) where order_item_id = %s",
        too_much[:2],
    )
    fine.report()
    assert fine.ask("select row_key, rules from audit.quarantine where source = 'orders'") == [
        (str(too_much[0]), ["tax_equals_lines"])
    ]
    known = "select count(*) filter (where tax is not null) from reporting.order_lines where order_item_id = %s"
    assert [fine.ask(known, line) for line in unknown[1:]] == [[(1,)], [(0,)]]


def test_a_subtotal_that_is_not_the_price_of_its_units_is_held(fine: Nights) -> None:
    lines = Path(settings().sources) / "order_items.sql"
    lines.write_text(
        lines.read_text().replace(
            "quantity * unit_price as subtotal", "quantity * unit_price + (order_item_id = 7)::integer as subtotal"
        )
    )
    fine.report()
    assert fine.ask(
        "select row_key from audit.quarantine where source = 'order_items' and 'subtotal_of_price' = any(rules)"
    ) == [("7",)]


def test_a_shop_that_rounds_may_have_parts_of_a_yen(fine: Nights) -> None:
    """1,000 yen with 10 % in them are 909.09 without: that is a rounding too, and the order adds up."""
    fine.shop.execute("update orders set currency = 'JPY' where order_id <= 20")
    for table in ("payments", "order_refunds"):
        fine.shop.execute(f"update {table} set currency = 'JPY' where order_id <= 20".encode())
    fine.report()
    assert fine.ask("select source, row_key, rules from audit.quarantine") == []
    assert fine.ask(
        """
        with spread as (
            select orders.order_id, orders.gross_sales, discount, sum(discount_allocated) as discounts
            from reporting.orders
            join reporting.order_lines using (order_id)
            where orders.currency = 'JPY'
            group by 1, 2, 3
        )
        select bool_or(gross_sales <> round(gross_sales)), bool_and(discounts = discount) from spread
        """
    ) == [(True, True)]


def test_without_a_word_of_the_shop_no_fraction_is_rounded(fine: Nights) -> None:
    (Path(settings().sources) / "shop.toml").unlink()
    with pytest.raises(Exception, match=r"orders: [\d,]+ of [\d,]+ rows would be in quarantine.*readable"):
        fine.report()


# Euros become yen, a hundred each, and dollars become dinars, so that every amount of theirs has three decimals.
_YEN_AND_DINARS = f"""
{EUROS}
alter table order_items
    alter unit_price type numeric, alter unit_cost type numeric, alter discount type numeric;
alter table orders
    drop constraint orders_discount_check,
    alter subtotal type numeric, alter discount type numeric, alter tax type numeric, alter shipping_tax type numeric,
    alter shipping type numeric, alter shipping_discount type numeric, alter total type numeric;
alter table refunds alter amount type numeric, alter tax type numeric;
alter table order_refunds alter amount type numeric, alter shipping type numeric, alter tax type numeric;
alter table payments alter amount type numeric;
create temp table factors (currency text, code text, factor numeric);
insert into factors values ('EUR', 'JPY', 100), ('USD', 'KWD', 0.1);
update order_items set
    unit_price = unit_price * factor, unit_cost = unit_cost * factor, discount = order_items.discount * factor
from orders join factors using (currency) where orders.order_id = order_items.order_id;
update refunds set amount = refunds.amount * factor, tax = refunds.tax * factor
from order_items join orders using (order_id) join factors using (currency)
where order_items.order_item_id = refunds.order_item_id;
update order_refunds set
    amount = amount * factor, shipping = shipping * factor, tax = tax * factor, currency = code
from factors where factors.currency = order_refunds.currency;
update payments set amount = amount * factor, currency = code
from factors where factors.currency = payments.currency;
update orders set
    subtotal = subtotal * factor, discount = discount * factor, shipping = shipping * factor,
    shipping_discount = shipping_discount * factor, tax = tax * factor, shipping_tax = shipping_tax * factor,
    total = total * factor, currency = code
from factors where factors.currency = orders.currency;
"""


@pytest.fixture
def yen(nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    """Nights of a shop that sells in yen and in Kuwaiti dinars."""
    folder = copytree(settings().sources, tmp_path / "sources")
    (folder / FILE).unlink()
    orders = folder / "orders.sql"
    start, _, end = orders.read_text().partition("    -- The shop's only rate")
    orders.write_text(f"{start}    null::numeric as tax_due,\n{end.partition('as tax_due,')[2]}")
    (folder / "shop.toml").write_text("[money]\ndecimals = 3\n")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    settings.cache_clear()
    nights.shop.execute(_YEN_AND_DINARS)
    yield nights
    settings.cache_clear()


def test_yen_and_dinars_are_exact(yen: Nights) -> None:
    yen.report()
    assert yen.ask("select source, row_key, rules from audit.quarantine") == []
    sums = "select currency, count(*), sum(subtotal), sum(total), sum(tax) from orders where status <> 'cancelled'"
    shop = yen.shop.execute(f"{sums} group by 1 order by 1").fetchall()
    assert [currency for currency, *_ in shop] == ["JPY", "KWD"]
    assert (
        yen.ask(
            "select currency, count(*), sum(gross_sales), sum(total), sum(tax) from reporting.orders"
            " where status <> 'cancelled' group by 1 order by 1"
        )
        == shop
    )
    # Spread over lines in whole yen, and in fils that no cent could hold.
    assert yen.ask(
        """
        select
            currency,
            bool_and(discount_allocated = round(discount_allocated, case currency when 'JPY' then 0 else 3 end)),
            bool_or(discount_allocated <> round(discount_allocated, 2)),
            bool_or(own_discount < discount_allocated)
        from reporting.order_lines group by 1 order by 1
        """
    ) == [("JPY", True, False, True), ("KWD", True, True, True)]
    assert yen.ask(
        "select count(*) from reporting.daily_sales where abs(average_order_value * orders - (select sum(gross_sales -"
        " discount) from reporting.orders where ordered_on = day and orders.currency = daily_sales.currency and"
        " status <> 'cancelled')) > 0.001"
    ) == [(0,)]
    assert yen.ask(
        "select distinct numeric_scale from information_schema.columns where data_type = 'numeric'"
        " and table_schema = 'reporting'"
    ) == [(3,)]


def test_what_a_currency_has_not_is_held_and_shown_as_it_is(yen: Nights) -> None:
    """Half a yen in an order, and in the price of another one's line; thousandths of what is now called euros."""
    order = yen.shop.execute(
        "update orders set tax = tax + 0.5, total = total + 0.5 where order_id = (select min(order_id) from orders"
        " where currency = 'JPY') returning order_id::text, round(total, 2), currency"
    ).fetchall()
    euros = yen.shop.execute(
        "update orders set currency = 'EUR' where order_id = (select min(order_id) from orders"
        " where currency = 'KWD' and total <> round(total, 2)) returning order_id::text, round(total, 2), currency"
    ).fetchall()
    [(line,)] = yen.shop.execute(
        "update order_items set unit_price = unit_price + 0.5 where order_item_id = (select max(order_item_id)"
        " from order_items join orders using (order_id) where currency = 'JPY') returning order_item_id"
    ).fetchall()
    run = yen.run()
    held = "select row_key, amount, currency from audit.quarantine where source = %s and %s = any(rules) order by 3"
    assert yen.ask(held, "orders", "amounts_in_smallest_units") == [*euros, *order]
    assert [key for key, *_ in yen.ask(held, "order_items", "amounts_in_smallest_units")][-1:] == [str(line)]
    assert re.search(r"At stake in quarantine: .*orders?", summary(run))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the shop's own, so that a test can write its shop.toml, which says nothing."""
    made = copytree(settings().sources, tmp_path / "sources")
    (made / "shop.toml").unlink()
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(made))
    settings.cache_clear()
    yield made
    settings.cache_clear()


_DAY_BEFORE = LAST_DAY - timedelta(days=1)
_ACTIVITY = EveryEntity("customer_activity", (_DAY_BEFORE,)), ["customer_activity.net_sales_90d"]
_AMOUNTS = {
    "orders": "select order_id, total::float, rounding::float from reporting.orders order by 1",
    "products": "select product_id, valid_from, unit_price::float from reporting.products_history order by 1, 2",
    "features": "select as_of, customer_id, net_sales_90d::float from features.customer_activity"
    f" where as_of = '{_DAY_BEFORE}' order by 2",
}


@pytest.mark.long
def test_a_shop_that_begins_to_sell_in_dinars_keeps_what_nights_have_kept(nights: Nights, folder: Path) -> None:
    """Histories, slices and past publications have two decimals in the lake; a version says how many it has."""
    nights.shop.execute(EUROS)
    nights, day = replace(nights, names=("order_lines", "orders", "products_history", "customer_activity")), _DAY_BEFORE
    nights.run(day)
    nights.shop.execute("update products set unit_price = unit_price + 1, updated_at = now() where product_id <= 3")
    nights.run()
    before = {name: nights.ask(asked) for name, asked in _AMOUNTS.items()}
    known = training_set(*_ACTIVITY, known_only=False)
    [(publication,)] = nights.ask(
        "select max(publication_id) from audit.publications join audit.runs using (run_id) where kind = 'night'"
    )

    (folder / "shop.toml").write_text("[money]\ndecimals = 3\n")
    assert plan([]).refused is None
    nights.shop.execute(
        """
        update orders set shipping = shipping + 0.004, total = total + 0.004, currency = 'KWD'
        where order_id = (
            select max(order_id) from orders
            where (subtotal - discount) % 0.1 = 0 and status <> 'cancelled' and order_id not in (
                select order_id from payments where order_id is not null
                union all
                select order_id from order_refunds where order_id is not null
            )
        )
        """
    )
    nights.run()
    after = {name: nights.ask(asked) for name, asked in _AMOUNTS.items()}
    assert (after["products"], after["features"]) == (before["products"], before["features"])
    changed = [(old[1:], new[1:]) for old, new in zip(before["orders"], after["orders"], strict=True) if old != new]
    assert [(round(new[0] - old[0], 6), new[1]) for old, new in changed] == [(0.004, 0)]
    again = training_set(*_ACTIVITY, known_only=False)
    cents, fils = (table["customer_activity__net_sales_90d_cents"].to_pylist() for table in (known, again))
    assert any(cents)
    assert fils == [one and one * 10 for one in cents]
    republish.begin("put back", {"night": LAST_DAY.isoformat(), "publication": publication})
    republish.publish("put back", nights.reporting)
    runs.finish_run("put back", "success")
    assert nights.ask(_AMOUNTS["orders"]) == before["orders"]
    nights.run(full_refresh=True)
    assert {name: nights.ask(asked) for name, asked in _AMOUNTS.items()} == after


def test_fewer_decimals_than_those_of_the_lake_are_refused(nights: Nights, folder: Path) -> None:
    """Amounts would be rounded."""
    nights.shop.execute(EUROS)
    nights.report()
    (folder / "shop.toml").write_text("[money]\ndecimals = 0\n")
    run = nights.begin()
    with pytest.raises(OtherDecimals, match=r"with 2 decimals, and shop\.toml says 0.*`decimals = 2`"):
        nightly.extract(run)
    runs.finish_run(run, "failed")
    with pytest.raises(WrongRequest, match=r"with 2 decimals, and shop\.toml says 0"):
        republish.begin("put back", {"night": LAST_DAY.isoformat()})
    assert "with 2 decimals, and shop.toml says 0" in (plan([]).refused or "")
    (folder / "shop.toml").write_text("[money]\ndecimals = 2\n")
    nights.report()
