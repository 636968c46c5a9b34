"""Two shops on one Airflow: their nights run side by side, and each is as it would be alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from include.local.embedded_postgres import SUPERUSER, Cluster
from tests.deployments.stack import DIGESTS, SHAPES, Deployed, Shape, deployed
from tests.end_to_end.conftest import ZONE

pytestmark = pytest.mark.long

SHOPS = {"berlin": ZONE, "lima": "America/Lima"}
RUN = "side_by_side"  # of both: what a run leaves is told apart by its shop as well


@pytest.fixture(scope="module")
def both(
    shop_server: Cluster, local_night: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """The demo shop, and another one with the same rows and another clock; no night has run yet."""
    assert local_night
    with psycopg.connect(shop_server.url("postgres", SUPERUSER), autocommit=True) as server:
        server.execute("create database lima template shop")
    variables = {"STOCKTAKE_SHOPS": '["berlin", "lima"]', "STOCKTAKE_LIMA__TIMEZONE": SHOPS["lima"]}
    for shop, database in (("berlin", "shop"), ("lima", "lima")):
        shop_server.provision(shop=database, warehouse=f"warehouse_{shop}")
        prefix = f"STOCKTAKE_{shop.upper()}__"
        variables[f"{prefix}SHOP_URL"] = shop_server.url(database, "extractor")
        variables[f"{prefix}WAREHOUSE_URL"] = shop_server.url(f"warehouse_{shop}", "loader")
        variables[f"{prefix}ANALYST_URL"] = shop_server.url(f"warehouse_{shop}", "analyst")
    folder = tmp_path_factory.mktemp("shops") / "of"
    with deployed(folder, shop_server, SHAPES["local"] | Shape(variables=variables)) as stack:
        yield stack


@pytest.fixture(scope="module")
def nights(both: Deployed) -> dict[str, str]:
    """How the nights of both ended, which began together, with one id."""
    for shop, zone in SHOPS.items():
        day = datetime.now(ZoneInfo(zone)).date() - timedelta(days=1)
        asked = {"dag_run_id": RUN, "logical_date": None, "conf": {"date": day.isoformat()}}
        answer = both.api("POST", f"dags/nightly__{shop}/dagRuns", json=asked)
        assert answer.status_code == 200, answer.text
    for shop in SHOPS:
        both.api("PATCH", f"dags/nightly__{shop}", json={"is_paused": False})
    ended = {shop: both.ended(RUN, f"nightly__{shop}") for shop in SHOPS}
    for dag in ("nightly", "features"):  # the schedule's own night follows, and finds nothing new
        for shop in SHOPS:
            for run in both.runs(f"{dag}__{shop}"):
                both.ended(run["dag_run_id"], f"{dag}__{shop}")
    return ended


def asked_of(cluster: Cluster, shop: str, query: str) -> list[tuple[Any, ...]]:
    """What a shop's warehouse answers."""
    with psycopg.connect(cluster.url(f"warehouse_{shop}", "loader")) as warehouse:
        return warehouse.execute(query.encode()).fetchall()


def test_each_is_what_it_would_be_alone(
    nights: dict[str, str], shop_server: Cluster, local_night: dict[str, str]
) -> None:
    assert nights == dict.fromkeys(SHOPS, "success")
    assert dict(asked_of(shop_server, "berlin", DIGESTS)) == local_night
    lima = dict(asked_of(shop_server, "lima", DIGESTS))
    assert lima.keys() == local_night.keys()
    products, sales = "reporting.products", "reporting.daily_sales"
    assert lima[products].partition(":")[0] == local_night[products].partition(":")[0]  # rows
    assert lima[sales] != local_night[sales]  # its days begin at other hours


def test_each_ledger_knows_its_own_runs_alone(nights: dict[str, str], shop_server: Cluster) -> None:
    assert nights
    for shop in SHOPS:
        runs = asked_of(shop_server, shop, "select distinct dag, state from audit.runs order by dag")
        assert runs == [("features", "success"), ("nightly", "success")]
        assert asked_of(shop_server, shop, f"select dag from audit.runs where run_id = '{RUN}'") == [("nightly",)]


def test_neither_shop_takes_all_slots_from_the_other(both: Deployed, nights: dict[str, str]) -> None:
    assert nights
    pools = {one["name"]: one["slots"] for one in both.api("GET", "pools").json()["pools"]}
    assert {name: pools.get(name) for name in ("stocktake_berlin", "stocktake_lima")} == {
        "stocktake_berlin": 2, "stocktake_lima": 2,
    }  # fmt: skip
    assert {task["pool"] for task in both.tasks(RUN, "nightly__lima").values()} == {"stocktake_lima"}
    begun = {shop: [one["start_date"] for one in both.tasks(RUN, f"nightly__{shop}").values()] for shop in SHOPS}
    ended = {shop: max(one["end_date"] for one in both.tasks(RUN, f"nightly__{shop}").values()) for shop in SHOPS}
    assert all(min(filter(None, begun[shop])) < min(ended.values()) for shop in SHOPS), "one waited for the other's end"


def test_a_shop_whose_warehouse_is_away_holds_up_no_other(
    both: Deployed, nights: dict[str, str], shop_server: Cluster
) -> None:
    """The other's night, begun beside its own, is published."""
    assert nights
    with psycopg.connect(shop_server.url("postgres", SUPERUSER), autocommit=True) as server:
        server.execute("alter database warehouse_lima with allow_connections false")
        server.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'warehouse_lima'")
    try:
        both.trigger("nightly__lima")
        run = both.trigger("nightly__berlin").json()["dag_run_id"]
        assert both.ended(run, "nightly__berlin") == "success"
        page = both.airflow.get("/stocktake/", headers={"Authorization": f"Bearer {both.token}"})
        assert page.status_code == 200
        assert "No connection" in page.text
    finally:
        with psycopg.connect(shop_server.url("postgres", SUPERUSER), autocommit=True) as server:
            server.execute("alter database warehouse_lima with allow_connections true")
