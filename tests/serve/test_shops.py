"""The pages of several shops: one for all of them, and below it those of each, with nothing of another's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Database, Done
from tests.serve.a_night import published_night
from tests.serve.conftest import USERS, airflow_of, hold, logged_in

TOKEN = "of-prometheus-and-long-enough-to-be-one"  # noqa: S105 - of the test


@pytest.fixture(scope="module")
def berlin(night_done: Callable[[tuple[str, ...]], Done]) -> Iterator[Database]:
    """What a night of one shop published."""
    with published_night(night_done) as database:
        yield database


@pytest.fixture(scope="module")
def lima(night_done: Callable[[tuple[str, ...]], Done]) -> Iterator[Database]:
    """What a night of another one published, with an order in quarantine since."""
    with published_night(night_done) as database:
        with database.connect("loader") as loader:
            run_id = str(loader.execute("select min(run_id) from audit.publications").fetchall()[0][0])
        hold(database, run_id, "7001", ["status_known"], "110.00", "PEN")
        yield database


@pytest.fixture(scope="module")
def airflow(berlin: Database, lima: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A visitor of an Airflow of three shops, of which one has a warehouse that does not answer."""
    variables = {
        "STOCKTAKE_SHOPS": '["berlin", "lima", "oslo"]',
        "STOCKTAKE_LIMA__TIMEZONE": "America/Lima",
        "STOCKTAKE_METRICS_TOKEN": TOKEN,
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.serve.auth_of_shops.AuthOfShops",
        "STOCKTAKE_OSLO__SHOP_URL": "postgresql://reader@shop.invalid/oslo",
        "STOCKTAKE_OSLO__WAREHOUSE_URL": "postgresql://loader:s3cret-of-oslo@127.0.0.1:1/oslo",
    }
    for name, warehouse in (("BERLIN", berlin), ("LIMA", lima)):
        variables[f"STOCKTAKE_{name}__SHOP_URL"] = f"postgresql://reader@shop.invalid/{name.lower()}"
        variables[f"STOCKTAKE_{name}__WAREHOUSE_URL"] = warehouse.url("loader")
        variables[f"STOCKTAKE_{name}__ANALYST_URL"] = warehouse.url("analyst")
    with airflow_of(berlin, tmp_path_factory.mktemp("airflow"), {**USERS, "berliner": "viewer"}, **variables) as client:
        yield client


@pytest.fixture(scope="module")
def viewer(airflow: httpx.Client) -> Iterator[httpx.Client]:
    """Somebody who may read every DAG."""
    with logged_in(airflow, "viewer") as client:
        yield client


def test_one_page_says_what_came_of_the_last_night_of_every_shop(viewer: httpx.Client) -> None:
    answer = viewer.get("/stocktake/")
    assert answer.status_code == 200, answer.text
    rows = dict(re.findall(r'<a href="/stocktake/shops/(\w+)/">.*?</th>(.*?)</tr>', answer.text, re.DOTALL))
    assert set(rows) == {"berlin", "lima", "oslo"}
    assert "Published" in rows["berlin"]
    assert "110.00\N{NO-BREAK SPACE}PEN" in rows["lima"]
    assert "PEN" not in rows["berlin"]
    assert "No connection" in rows["oslo"]
    assert "s3cret" not in answer.text


def test_the_pages_of_a_shop_are_about_it_alone(viewer: httpx.Client) -> None:
    berlin, lima = (viewer.get(f"/stocktake/shops/{shop}/").text for shop in ("berlin", "lima"))
    assert "1 rows, worth" in lima
    assert "0 rows" in berlin
    assert 'data-home="/stocktake/shops/lima/" data-airflow="/" data-timezone="America/Lima" data-shop="lima"' in lima
    operations = viewer.get("/stocktake/shops/lima/operations").text
    assert 'href="/dags/nightly__lima"' in operations
    assert viewer.get("/stocktake/shops/oslo/").status_code == 503
    assert viewer.get("/stocktake/shops/paris/").status_code == 404


def test_the_api_of_a_shop_answers_from_its_warehouse(viewer: httpx.Client) -> None:
    held = {
        shop: viewer.get(f"/stocktake/shops/{shop}/api/v1/metrics/in_quarantine").json() for shop in ("berlin", "lima")
    }
    assert held["berlin"] != held["lima"]
    rows = [viewer.get(f"/stocktake/shops/{shop}/api/v1/tables/reporting.orders/rows") for shop in ("berlin", "lima")]
    assert {answer.status_code for answer in rows} == {200}
    assert rows[0].headers["etag"] != rows[1].headers["etag"]  # a cache that both share mixes nothing up


def test_airflows_page_of_a_run_leads_to_its_shops_report(viewer: httpx.Client) -> None:
    found = viewer.get("/stocktake/dags/nightly__lima/runs/manual__2026-11-21T00:00:00+00:00")
    assert found.status_code == 307
    assert found.headers["location"] == "/stocktake/shops/lima/runs/manual__2026-11-21T00%3A00%3A00%2B00%3A00"
    assert viewer.get("/stocktake/dags/careless/runs/x").status_code == 404


def test_a_visitor_is_led_to_the_login_and_back(airflow: httpx.Client) -> None:
    for path in ("/stocktake/", "/stocktake/shops/lima/"):
        answer = airflow.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/api/v2/auth/login?next=%2Fstocktake%2F")


def test_prometheus_scrapes_the_figures_of_all_that_answer(airflow: httpx.Client) -> None:
    scraper = {"Authorization": f"Bearer {TOKEN}"}
    answer = airflow.get("/stocktake/metrics", headers=scraper)
    assert answer.status_code == 200, answer.text
    found = {one.name: one.samples for one in text_string_to_metric_families(answer.text)}
    assert {one.labels["shop"] for one in found["stocktake_night_published_timestamp_seconds"]} == {"berlin", "lima"}
    assert [(one.labels["shop"], one.value) for one in found["stocktake_quarantine_rows"]] == [("lima", 1)]
    assert airflow.get("/stocktake/metrics").status_code == 401
    assert airflow.get("/stocktake/", headers=scraper).status_code == 403


def test_who_may_read_one_shops_dags_sees_that_shop_alone(airflow: httpx.Client) -> None:
    run = "runs/test-1"
    with logged_in(airflow, "berliner") as berliner:
        page = berliner.get("/stocktake/").text
        assert set(re.findall(r'href="/stocktake/shops/(\w+)/"', page)) == {"berlin"}
        for path in ("", "api/v1/tables", "api/v1/tables/reporting.orders/rows", "metrics", run):
            assert berliner.get(f"/stocktake/shops/berlin/{path}").status_code in (200, 404), path
            assert berliner.get(f"/stocktake/shops/lima/{path}").status_code == 403, path
        assert berliner.get(f"/stocktake/dags/nightly__lima/{run}").status_code == 403
        scraped = berliner.get("/stocktake/metrics").text
        assert 'shop="berlin"' in scraped
        assert "lima" not in scraped
    assert airflow.get(f"/stocktake/dags/nightly__lima/{run}").status_code == 401
