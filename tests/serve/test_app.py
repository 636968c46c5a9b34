"""The pages in Airflow's own API server, with its own login, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from include.ledger import runs
from include.local.embedded_postgres import SUPERUSER, Cluster
from tests.conftest import Database
from tests.serve.conftest import extracted, ledger_in, published, token_of
from transforms.registry import TABLES

RUN_ID = "scheduled__2026-11-22T01:00:00+00:00"
FAILED = "manual__2026-11-22T08:15:30.123456+01:00_a-b.c~d"
PATHS = ["/stocktake/", "/stocktake/runs", "/stocktake/status", f"/stocktake/runs/{RUN_ID}", "/stocktake/runs/unknown"]


@pytest.fixture(scope="module")
def warehouse(cluster: Cluster) -> Iterator[Database]:
    """A warehouse with a published night in its ledger, and a failed one."""
    database = Database(cluster, "warehouse").copy()
    with ledger_in(database):
        published(database, RUN_ID)
        extracted(FAILED)
        runs.finish_run(FAILED, "failed", "publish: OperationalError: gone")
        runs.record_tables([(TABLES["orders"].table, ["orders"], None)])
    yield database
    database.drop()


@pytest.fixture(scope="module")
def token(airflow: httpx.Client) -> str:
    """What Airflow gives to someone who logs in."""
    return token_of(airflow, "admin")


def ask(airflow: httpx.Client, token: str, path: str) -> httpx.Response:
    return airflow.get(path, headers={"Cookie": f"_token={token}"})


@pytest.mark.parametrize("path", [*PATHS, "/stocktake/openapi.json", "/stocktake/docs"])
def test_nothing_is_shown_without_a_login(airflow: httpx.Client, path: str) -> None:
    answer = airflow.get(path)
    assert answer.status_code in ({404} if path.endswith(("docs", ".json")) else {401})
    assert RUN_ID not in answer.text
    assert "loader" not in answer.text


@pytest.mark.parametrize("path", [PATHS[0], "/stocktake/tables/reporting.orders?filter=order_id%3D1&filter=a%3Db"])
def test_a_browser_without_a_login_is_led_to_it_and_back(airflow: httpx.Client, path: str) -> None:
    login = airflow.get(path, headers={"Accept": "text/html,*/*;q=0.8"}, follow_redirects=True)
    assert login.status_code == 200
    assert login.url.path == "/auth/login"
    assert login.url.params["next"] == path


@pytest.mark.parametrize("path", PATHS[:4])
def test_a_forged_login_is_none(airflow: httpx.Client, token: str, path: str) -> None:
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{signature[::-1]}"
    assert ask(airflow, forged, path).status_code in (401, 403)


def test_the_list_links_to_every_run(airflow: httpx.Client, token: str) -> None:
    home = ask(airflow, token, "/stocktake/runs")
    assert home.status_code == 200
    links = re.findall(r'href="(/stocktake/runs/[^"]+)"', home.text)
    assert len(links) == 2
    for link, run_id in zip(links, [FAILED, RUN_ID], strict=True):
        assert f'<dd class="key">{run_id}</dd>' in ask(airflow, token, link).text
    assert "Failed in publish, nothing was published: OperationalError: gone" in home.text
    assert "2 rows are in quarantine" in home.text


@pytest.mark.parametrize("run_id", [RUN_ID, RUN_ID.replace("+", "%2B").replace(":", "%3A")], ids=["plain", "quoted"])
def test_a_run_is_found_however_its_id_is_written(airflow: httpx.Client, token: str, run_id: str) -> None:
    answer = ask(airflow, token, f"/stocktake/runs/{run_id}")
    assert answer.status_code == 200
    assert RUN_ID in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_unknown_run_has_a_page_that_says_so(airflow: httpx.Client, token: str) -> None:
    answer = ask(airflow, token, "/stocktake/runs/%3Cscript%3E")
    assert answer.status_code == 404
    assert "The ledger has no run &lt;script&gt;." in answer.text
    # No id has a NUL: Postgres has no such text.
    assert ask(airflow, token, "/stocktake/runs/%00").status_code == 404


def test_the_status_page_is_what_analysts_see(airflow: httpx.Client, token: str) -> None:
    answer = ask(airflow, token, "/stocktake/status")
    assert answer.status_code == 200
    assert "reporting.orders" in answer.text
    assert "published, some rows are in quarantine" in answer.text


def test_a_warehouse_out_of_reach_has_a_page_that_says_so(
    airflow: httpx.Client, token: str, warehouse: Database, cluster: Cluster
) -> None:
    with psycopg.connect(cluster.url("postgres", SUPERUSER), autocommit=True) as server:
        server.execute(f"alter database {warehouse.name} allow_connections false")
        try:
            answers = [ask(airflow, token, path) for path in PATHS]
        finally:
            server.execute(f"alter database {warehouse.name} allow_connections true")
    assert [answer.status_code for answer in answers] == [503] * len(PATHS)
    password = psycopg.conninfo.conninfo_to_dict(warehouse.url("loader"))["password"]
    for answer in answers:
        assert "no connection to the warehouse" in answer.text
        assert str(password) not in answer.text


def test_airflow_has_registered_everything(airflow: httpx.Client, token: str) -> None:
    authorization = {"Authorization": f"Bearer {token}"}
    errors = airflow.get("/api/v2/plugins/importErrors", headers=authorization).json()
    assert errors["import_errors"] == []
    plugins = airflow.get("/api/v2/plugins", headers=authorization).json()["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "stocktake"]
    assert [app["url_prefix"] for app in ours["fastapi_apps"]] == ["/stocktake"]
    assert [(view["name"], view["destination"]) for view in ours["external_views"]] == [
        ("Stocktake", "nav"),
        ("Night report", "dag_run"),
    ]
    assert ours["listeners"] == ["include.ledger.listener", "include.pipeline.metrics", "include.pipeline.pools"]
    assert ask(airflow, token, f"/{ours['external_views'][0]['href']}").status_code == 200
    href = ours["external_views"][1]["href"].replace("{RUN_ID}", RUN_ID)
    assert ask(airflow, token, f"/{href}").status_code == 200
