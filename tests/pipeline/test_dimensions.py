"""Dimensions from the shop's folder to the published tables, without a line of Python."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.settings import settings
from tests.changes.kinds import Declarations, settings_folder
from tests.nights import GROSS, Nights
from tests.pipeline.test_plan import planned

# Of the shop itself: orders that were not cancelled, all that was sold of them, exchanged since or not, and what is of
# the account's country.
IN_THE_SHOP = f"""
with lines as (
    select order_id, sum({GROSS}) as sold
    from order_items join orders using (order_id)
    group by 1
)
select
    coalesce(case %(dimension)s when 'home' then customers.country else orders.shipping_address ->> 'country' end, ''),
    count(*), sum(lines.sold)
from orders
join lines using (order_id)
left join customers using (customer_id)
where status <> 'cancelled' and orders.ordered_at < date '2026-04-01'
group by 1 order by 1
"""
PUBLISHED = """
select value, sum(orders), sum(gross_sales) from reporting.daily_sales_by where dimension = %s
group by 1 having sum(orders) > 0 order by 1
"""
HOME = '[home]\nsource = "customers"\ncolumn = "country"\nmeaning = "The country of the account."\n'


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """Those that have dimensions, and the sums of their values."""
    return ("order_lines", "orders", "daily_sales", "daily_sales_by")


def grouped(nights: Nights, dimension: str) -> None:
    """A dimension's values are published as the shop has them; something is of each."""
    expected = nights.shop.execute(IN_THE_SHOP, {"dimension": dimension}).fetchall()
    assert len(expected) > 3
    assert nights.ask(PUBLISHED, dimension) == expected


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_dimension_that_is_declared_is_grouped_by_from_the_next_night_on(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A customer who moves takes all orders along, on all their days, and the night after that is none of a rebuild."""
    grouped(nights, "country")
    shutil.copytree(settings_folder(), tmp_path / "shop")
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(tmp_path / "shop"))
    settings.cache_clear()
    declared = Declarations(monkeypatch, tmp_path / "shop")
    with (declared.folder / "dimensions.toml").open("a") as file:
        file.write(HOME)
    found = planned(nights)
    assert found.sources == {
        "orders": "all 1,498 rows are checked anew: derived column customers_country is new",
    }
    assert found.warehouse == {
        "reporting.order_lines": ["add column home text"],
        "reporting.orders": ["add column home text"],
    }
    assert "reporting.daily_sales_by" in found.lake

    nights.run()

    grouped(nights, "home")
    grouped(nights, "country")
    assert not planned(nights).lake
    moved = nights.shop.execute(
        "update customers set country = 'XK', updated_at = now() where customer_id = ("
        " select customer_id from orders"
        " where customer_id > 0 and status <> 'cancelled' and ordered_at < date '2026-04-01'"
        " group by 1 order by count(*) desc, 1 limit 1) returning customer_id"
    ).fetchall()[0][0]
    before = nights.ask("select count(*) from reporting.order_lines where customer_id = %s and home <> 'XK'", moved)

    nights.run()

    grouped(nights, "home")
    assert nights.ask("select count(*) from reporting.order_lines where home = 'XK'") == before
    after = nights.published()
    nights.run(full_refresh=True)
    assert nights.published() == after
