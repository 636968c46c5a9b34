"""The demo shop with text and UUIDs for keys: the same numbers, on two engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from include.demo_shop.history import fill_history
from include.demo_shop.schema import KeyType, create_schema
from include.extract.drift import FILE
from include.local.embedded_postgres import Cluster
from include.settings import settings
from include.sources import SOURCES
from tests.conftest import SMALL, Database
from tests.nights import GROSS, LAST_DAY, Nights


@pytest.fixture(params=["text", "uuid"])
def other_keys(
    request: pytest.FixtureRequest, cluster: Cluster, nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Nights]:
    """Nights between a shop of other keys and the same warehouse, into an empty lake; each table on two engines."""
    kind: KeyType = request.param
    folder = copytree(settings().sources, tmp_path / "sources")
    single = [name for name, source in SOURCES.items() if len(source.primary_key) == 1]
    (folder / "keys.toml").write_text("".join(f'{name} = "{kind}"\n' for name in single))
    (folder / FILE).unlink()  # what the first night finds is expected then
    database = Database(cluster, "shop").copy()
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", database.url("extractor"))
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    monkeypatch.setenv("STOCKTAKE_LAKE", str(tmp_path / "other_lake"))
    monkeypatch.setenv("STOCKTAKE_PARITY_PERCENT", "100")
    settings.cache_clear()
    with database.connect("shopkeeper") as shop:
        with shop.transaction():
            create_schema(shop, kind)
            fill_history(shop, last_day=LAST_DAY, seed=7, size=SMALL)
        yield replace(nights, shop=shop)
    database.drop()


@pytest.mark.long
def test_keys_are_passed_through_and_change_no_number(other_keys: Nights, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["other_keys"]
    run = other_keys.run(parity="duckdb")
    types = other_keys.ask(
        "select distinct data_type from information_schema.columns where table_schema in ('reporting', 'features')"
        " and column_name in ('order_id', 'customer_id', 'product_id', 'warehouse_id', 'order_item_id')"
    )
    assert types == [(kind,)]
    assert other_keys.ask("select count(*), bool_and(equal) from audit.parity where run_id = %s", run) == [
        (len(other_keys.reporting), True)
    ]
    assert other_keys.ask("select bool_and(complete) from audit.source_counts where run_id = %s", run) == [(True,)]
    assert other_keys.ask(
        "select day, currency, orders from reporting.daily_sales where orders > 0 order by 1, 2"
    ) == list(
        other_keys.shop.execute(
            "select (ordered_at at time zone 'UTC')::date, currency, count(*) from orders"
            " where status <> 'cancelled' group by 1, 2 order by 1, 2"
        ).fetchall()
    )
    assert other_keys.ask(
        "select day, currency, gross_sales from reporting.daily_sales where gross_sales > 0 order by 1, 2"
    ) == list(
        other_keys.shop.execute(
            f"select (coalesce(sold_at, ordered_at) at time zone 'UTC')::date, currency, sum({GROSS})"
            " from order_items join orders using (order_id) where status <> 'cancelled' group by 1, 2 order by 1, 2"
        ).fetchall()
    )
    [(orders,)] = other_keys.ask("select count(*) from reporting.orders")
    assert orders > 1_000
