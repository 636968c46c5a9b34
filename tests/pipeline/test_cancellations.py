"""A shop says that its cancellations are returns: its past is written again once, and by no cancelling after that."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from include.settings import settings
from tests.changes.kinds import settings_folder
from tests.nights import SHOP_TOML, SOME, Nights
from tests.pipeline.test_plan import planned

DAYS = """
select * from reporting.daily_sales where day < (select max(day) - 1 from reporting.daily_sales) order by day, currency
"""
TOTALS = "select currency, sum(total_sales), sum(net_sales) from reporting.daily_sales group by 1 order by 1"


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """Those that have balances."""
    return SOME


def days(nights: Nights) -> list[tuple[Any, ...]]:
    """The days of sales but for the last two, without the publication."""
    return [row[:-1] for row in nights.ask(DAYS)]


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_shop_whose_cancellations_become_returns(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every proof holds on each night, or it would not be published."""
    totals, void = nights.ask(TOTALS), days(nights)
    [(cancelled,)] = nights.ask("select count(*) from reporting.orders where status = 'cancelled'")
    assert cancelled > 10
    shutil.copytree(settings_folder(), tmp_path / "shop")
    (tmp_path / "shop" / "shop.toml").write_text(f'{SHOP_TOML}[trade]\ncancellations = "returns"\n')
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(tmp_path / "shop"))
    settings.cache_clear()
    assert "are checked anew: derived column voided_on is another one" in planned(nights).sources["orders"]

    nights.report()
    assert nights.ask("select count(*), count(voided_on) from reporting.orders where status = 'cancelled'") == [
        (cancelled, 0)
    ]
    assert nights.ask("select sum(cancelled_orders) from reporting.daily_sales") == [(cancelled,)]
    returns = days(nights)
    assert returns != void
    assert nights.ask(TOTALS) == totals  # an order that came back whole adds nothing up

    changed = nights.shop.execute(
        "update orders set status = 'cancelled', cancelled_by = 'shop', cancellation_reason = 'test',"
        " cancelled_at = (select max(ordered_at) from orders), shipped_at = null, delivered_at = null,"
        " updated_at = now() where order_id in (select order_id from orders where status = 'delivered' limit 20)"
    )
    assert changed.rowcount == 20
    nights.report()
    assert nights.ask("select sum(cancelled_orders) from reporting.daily_sales") == [(cancelled + 20,)]
    assert days(nights) == returns
    published = nights.published()
    nights.report(full_refresh=True)
    assert nights.published() == published
