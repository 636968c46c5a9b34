"""Products over several nights: renamed, their numbers given again, deleted, and grouped by what is above them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from include.settings import settings
from tests.changes.kinds import settings_folder
from tests.nights import LAST_DAY, Nights

DAYS = [LAST_DAY + timedelta(days=number) for number in range(3)]
FACTS = ("order_lines", "orders", "daily_sales", "daily_product_sales", "inventory_daily")
GROUP = '[range]\nsource = "products"\ncolumn = "product_group_name"\nmeaning = "What the product is a variant of."\n'
VERSIONS = """
select valid_from, valid_to, sku, is_active from reporting.products_history where product_id = %s order by valid_from
"""


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """The facts, what they are grouped by, and what products are and were."""
    return (*FACTS, "daily_sales_by", "products", "products_history")


def sold_as(nights: Nights, *products: int) -> set[tuple[int, str | None]]:
    """Under which numbers some products were sold."""
    return set(
        nights.ask("select product_id, sku from reporting.order_lines where product_id = any(%s)", list(products))
    )


@pytest.mark.long
def test_a_number_that_changes_or_is_given_again_moves_no_line(nights: Nights, at: Callable[..., None]) -> None:
    """The history has it from the night that found it; lines stay with their product, under the number of their day."""
    at(DAYS[0])
    nights.report(DAYS[0])
    [(gone, gone_sku), (heir, heir_sku), (other, other_sku)] = nights.shop.execute(
        "select product_id, sku from products where is_active and product_id not in"
        " (select product_id from order_items where order_items.sku <> products.sku) order by product_id limit 3"
    ).fetchall()
    before, totals = sold_as(nights, gone, heir, other), nights.published()["reporting.daily_product_sales"]
    assert before == {(gone, gone_sku), (heir, heir_sku), (other, other_sku)}

    nights.shop.execute("update products set is_active = false, updated_at = now() where product_id = %s", [gone])
    nights.shop.execute("update products set sku = 'NEW', updated_at = now() where product_id = %s", [other])
    at(DAYS[1])
    nights.report(DAYS[1])
    nights.shop.execute("update products set sku = %s, updated_at = now() where product_id = %s", [gone_sku, heir])
    at(DAYS[2])
    nights.report(DAYS[2])
    assert sold_as(nights, gone, heir, other) == before
    assert nights.published()["reporting.daily_product_sales"] == totals
    assert [nights.ask(VERSIONS, product)[1:] for product in (gone, heir, other)] == [
        [(DAYS[1], None, gone_sku, False)],
        [(DAYS[2], None, gone_sku, True)],
        [(DAYS[1], None, "NEW", True)],
    ]
    assert nights.ask("select product_id from reporting.products where sku = %s order by 1", gone_sku) == [
        (gone,), (heir,),
    ]  # fmt: skip
    incremental = nights.published()
    at(DAYS[2], hour=6)
    nights.report(DAYS[2], full_refresh=True)
    assert nights.published() == incremental


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_product_that_is_deleted_takes_no_past_day_along(nights: Nights) -> None:
    """Facts keep what the order and the movement said; only what the product's own row says is gone, and named."""
    before, days = nights.published(), nights.ask("select count(*) from reporting.daily_sales")
    [(product,)] = nights.shop.execute(
        "select product_id from order_items group by 1 order by count(*) desc limit 1"
    ).fetchall()
    worth = "select count(*), count(closing_value), sum(closing_units) from reporting.inventory_daily"
    [(shelf_days, _, units)] = nights.ask(f"{worth} where product_id = %s", product)
    naming = ("order_items", "inventory", "inventory_movements", "purchase_order_lines", "kit_components")
    nights.set_aside(
        *((table, f"{table}_product_id_fkey") for table in naming),
        ("kit_components", "kit_components_component_id_fkey"),
    )
    nights.shop.execute("delete from products where product_id = %s", [product])
    run_id = nights.report()
    after = nights.published()
    facts = [f"reporting.{name}" for name in FACTS if name != "inventory_daily"]
    assert {name: after[name] for name in facts} == {name: before[name] for name in facts}
    assert nights.ask("select count(*) from reporting.daily_sales") == days
    assert nights.ask(f"{worth} where product_id = %s", product) == [(shelf_days, 0, units)]
    assert nights.ask(
        "select sku, name, lifetime_units > 0 from reporting.products where product_id = %s", product
    ) == [(None, None, True)]
    assert nights.ask(VERSIONS, product)[-1][1] is not None or nights.ask(VERSIONS, product)[-1][0] < LAST_DAY
    assert nights.ask("select count(*) from audit.quarantine where outcome = 'open'") == [(0,)]
    [(broken,)] = nights.ask(
        "select broken from audit.expectation_results where run_id = %s and rule = 'product_exists'"
        " and table_name = 'source.order_items'",
        run_id,
    )
    assert broken > 0


@pytest.mark.after_a_night
@pytest.mark.long
def test_sales_can_be_grouped_by_what_is_above_the_product(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a dimension of the folder, and by joining the products; both add up to what the lines come to."""
    shutil.copytree(settings_folder(), tmp_path / "shop")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(tmp_path / "shop"))
    settings.cache_clear()
    with (tmp_path / "shop" / "dimensions.toml").open("a") as file:
        file.write(GROUP)
    nights.report()
    by_dimension = nights.ask(
        "select value, sum(units) from reporting.daily_sales_by where dimension = 'range'"
        " group by 1 having sum(units) > 0 order by 1"
    )
    assert len(by_dimension) > 10
    assert by_dimension == nights.ask(
        "select product_group_name, sum(units) from reporting.daily_product_sales join reporting.products"
        " using (product_id) group by 1 having sum(units) > 0 order by 1"
    )
