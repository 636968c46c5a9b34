"""Payments from the shop to the published tables: held with their order, and new to a lake of an earlier release."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from include.settings import settings
from include.sources import SOURCES
from tests.changes.kinds import settings_folder
from tests.nights import Nights
from tests.pipeline.test_plan import planned
from transforms.registry import TABLES

NAMES = ("order_lines", "orders", "daily_sales", "payments_daily", "receivables_daily")
IN_THE_END = """
select currency, receivable from reporting.receivables_daily
where day = (select max(day) from reporting.receivables_daily) order by currency
"""


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """Those of payments, and what they are made from."""
    return NAMES


@pytest.mark.after_a_night
@pytest.mark.long
def test_an_order_in_quarantine_takes_its_payments_along_and_back(nights: Nights) -> None:
    before, published = nights.ask(IN_THE_END), nights.published()
    [(order, total)] = nights.shop.execute(
        "select order_id, total from orders where status = 'delivered' and currency = 'EUR' and order_id in"
        " (select order_id from payments group by order_id having count(*) = 1)"
        " order by order_id desc limit 1"
    ).fetchall()
    nights.shop.execute("update orders set total = total + 10, updated_at = now() where order_id = %s", [order])
    nights.report()
    held = nights.ask("select rules from audit.quarantine where outcome = 'open' and source = 'payments'")
    assert held == [(["follows_orders"],)]
    assert nights.ask(IN_THE_END) == before  # neither its sale nor its money counts
    assert nights.ask("select sum(net_payments) from reporting.payments_daily where currency = 'EUR'") == [
        (nights.shop.execute(
            "select sum(case kind when 'capture' then amount else -amount end) from payments"
            " where currency = 'EUR' and order_id is distinct from %s", [order]
        ).fetchall()[0][0],)
    ]  # fmt: skip
    nights.shop.execute("update orders set total = %s, updated_at = now() where order_id = %s", [total, order])
    nights.report()
    assert nights.published() == published


@pytest.mark.long
def test_a_lake_and_a_warehouse_of_an_earlier_release_get_payments(nights: Nights, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shutil.copytree(settings_folder(), tmp_path / "shop")
        (tmp_path / "shop" / "payments.sql").unlink()
        patch.setenv("STOCKTAKE_SOURCES", str(tmp_path / "shop"))
        settings.cache_clear()
        patch.delitem(SOURCES, "payments")
        patch.delitem(TABLES, "payments_daily")
        patch.delitem(TABLES, "receivables_daily")
        replace(nights, names=NAMES[:3]).report()
    settings.cache_clear()
    assert planned(nights).refused is None
    nights.report()
    [(rows,)] = nights.shop.execute("select count(*) from payments where kind = 'capture'").fetchall()
    assert nights.ask("select sum(payments)::bigint from reporting.payments_daily") == [(rows,)]
    after = nights.published()
    nights.report(full_refresh=True)
    assert nights.published() == after
