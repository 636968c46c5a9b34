"""Prices and costs in their own currency, and article numbers that two products share."""

from __future__ import annotations

import pytest

from include.lake import tables as lake
from tests.gate.test_bounds import held
from tests.nights import LAST_DAY, Nights


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """What a product's cost is in."""
    return ("order_lines", "orders", "inventory_daily")


def shared(nights: Nights, run_id: str) -> int:
    """How many products share their article number, as the night of a run says."""
    [(broken,)] = nights.ask(
        "select broken from audit.expectation_results where run_id = %s and rule = 'sku_of_one_product'", run_id
    )
    return int(broken)


def holders() -> dict[int, int | None]:
    """By product, how many have its article number, as the lake has it."""
    import duckdb

    rows = duckdb.read_parquet(lake.files("clean", "products")).project("product_id, sku_holders").fetchall()
    return dict(rows)


@pytest.mark.after_a_night
def test_amounts_of_a_product_are_judged_in_their_currency(nights: Nights) -> None:
    """40 million dong are 1,300 euros; 40 million euros are no price. A cost without a currency has the price's."""
    price = "update products set unit_price = %s, price_currency = %s, updated_at = now() where product_id = %s"
    for product, amount, currency in (
        (1, 40_000_000, "VND"), (2, 40_000_000, "EUR"), (3, "40000000.50", "VND"), (4, 3_000_000_001, "VND"),
        (5, 40, "EURO"), (6, "40.50", "JPY"), (7, 40_000_000, None),
    ):  # fmt: skip
        nights.shop.execute(price, [amount, currency or "EUR", product])
    # In a lake of three decimals; what a shelf of units is worth fits Postgres's numeric(18) up to here.
    nights.shop.execute("update products set unit_cost = 9000000 where product_id = 1")
    nights.shop.execute("update products set unit_cost = 40000000 where product_id = 2")
    nights.shop.execute("update products set unit_cost = 20 where product_id in (3, 4, 5, 6)")
    nights.shop.execute("update products set unit_cost = 100000000, unit_price = 1 where product_id = 7")
    nights.shop.execute("update products set price_currency = 'VND' where product_id = 7")
    nights.report()
    assert held(nights, "products") == {
        "2": {"price_credible", "cost_credible"},
        "3": {"amounts_in_smallest_units"},
        "4": {"price_credible"},
        "5": {"price_currency_known"},
        "6": {"amounts_in_smallest_units"},
        "7": {"cost_credible"},
    }
    assert nights.ask(
        "select distinct product_id, currency, closing_value / closing_units from reporting.inventory_daily"
        " where product_id in (1, 8) and closing_units > 0 and day = %s and product_id = 1",
        LAST_DAY,
    ) == [(1, "VND", 9_000_000)]
    assert nights.ask("select distinct currency from reporting.inventory_daily where product_id = 8") == [("EUR",)]


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_number_that_two_products_share_is_a_warning_until_one_of_them_is_sold_no_more(nights: Nights) -> None:
    """Of both, though only one was written; and a full refresh finds the same."""
    [(first, second)] = nights.shop.execute(
        "select min(product_id), max(product_id) from products where is_active"
    ).fetchall()
    nights.set_aside(("products", "products_sku_key"))
    nights.shop.execute(
        "update products set sku = (select sku from products where product_id = %s), updated_at = now()"
        " where product_id = %s",
        [first, second],
    )
    assert shared(nights, nights.report()) == 2
    assert held(nights, "products") == {}
    assert (holders()[first], holders()[second]) == (2, 2)
    nights.shop.execute("update products set is_active = false, updated_at = now() where product_id = %s", [first])
    assert shared(nights, nights.report()) == 0
    incremental = holders()
    assert (incremental[first], incremental[second]) == (None, 1)
    nights.report(full_refresh=True)
    assert holders() == incremental


@pytest.mark.after_a_night
@pytest.mark.long
@pytest.mark.parametrize("none", ["", " "])
def test_products_without_a_number_share_none(nights: Nights, none: str) -> None:
    nights.set_aside(("products", "products_sku_key"))
    nights.shop.execute("update products set sku = %s, updated_at = now()", [none])
    assert shared(nights, nights.report()) == 0
    assert set(holders().values()) == {None}
