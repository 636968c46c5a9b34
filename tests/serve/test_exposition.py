"""What Prometheus scrapes: it is what the ledger and the tables say, and only those who may are answered."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from include.local.embedded_postgres import Cluster
from include.serve.exposition import GAUGES
from include.settings import ROOT, Settings
from tests.conftest import Database, Done
from tests.deployments import compose
from tests.deployments.processes import Deployment
from tests.serve.a_night import published_night
from tests.serve.conftest import airflow_of, hold, logged_in

FOLDER = ROOT / "include" / "serve" / "prometheus"
RULES = FOLDER / "rules.yaml"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
TOKEN = "of-prometheus-and-long-enough-to-be-one"  # noqa: S105 - of the test
PATH = "/stocktake/metrics"
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="no Prometheus on this machine (Debian: apt install prometheus)",
)


# What the night of the tests did not do.
HAPPENED = """
insert into audit.restatements (publication_id, schema_name, table_name, day, row_key, metric, old_value, new_value)
select max(publication_id), 'reporting', 'daily_sales', date '2026-03-01', '{}', 'orders', '1', '2'
from audit.publications join audit.runs using (run_id) where kind = 'night';
insert into audit.incidents (kind, night, dag, reason, message, opened_at)
values ('late', '2026-03-02', 'nightly', 'late', 'It is late.', now());
"""


@pytest.fixture(scope="module")
def warehouse(night_done: Callable[[tuple[str, ...]], Done]) -> Iterator[Database]:
    """What a night published, with two orders in quarantine, a restated figure and an incident since."""
    with published_night(night_done) as database:
        with database.connect("loader") as loader:
            loader.execute(HAPPENED)
            run_id = str(loader.execute("select min(run_id) from audit.publications").fetchall()[0][0])
        hold(database, run_id, "7001", ["status_known"], "110.00", "EUR")
        hold(database, run_id, "7002", ["status_known"], "70.50", "EUR")
        yield database


@pytest.fixture(scope="module")
def airflow(warehouse: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A visitor of an Airflow that Prometheus scrapes."""
    with airflow_of(warehouse, tmp_path_factory.mktemp("airflow"), STOCKTAKE_METRICS_TOKEN=TOKEN) as client:
        yield client


def _scraped(airflow: httpx.Client) -> dict[str, dict[tuple[str, ...], float]]:
    """By name and values of the labels, in the order of their names, what is answered."""
    answer = airflow.get(PATH, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.text)
    return {one.name: {tuple(sample.labels.values()): sample.value for sample in one.samples} for one in families}


def test_it_says_what_the_ledger_and_the_tables_say(airflow: httpx.Client, warehouse: Database) -> None:
    found = _scraped(airflow)
    assert list(found) == [one.name for one in GAUGES]
    with warehouse.connect("analyst") as analyst:

        def ask(statement: str) -> Any:
            (row,) = analyst.execute(statement.encode()).fetchall()
            return row[0]

        lines = ask("select count(*) from reporting.order_lines")
        assert found["stocktake_table_rows"][("reporting.order_lines",)] == lines
        last_day = ask("select extract(epoch from max(day)) from reporting.daily_sales")
        assert found["stocktake_table_last_day_timestamp_seconds"][("reporting.daily_sales",)] == last_day
        assert found["stocktake_night_published_day_timestamp_seconds"][()] == last_day
        published = ask("select extract(epoch from max(published_at)) from audit.publications")
        assert found["stocktake_night_published_timestamp_seconds"][()] == pytest.approx(float(published))
        orders = ask("select count(*) from reporting.orders")
        assert found["stocktake_source_rows"][("accepted", "orders")] == orders
        assert found["stocktake_source_rows"][("read", "orders")] >= orders
        proofs = ask("select count(*) from audit.conservation")
        assert found["stocktake_proofs"] == {("held",): proofs, ("failed",): 0}
        took = ask("select sum(seconds) from audit.stages where stage = 'extract'")
        assert found["stocktake_stage_seconds"][("extract",)] == pytest.approx(float(took))
    assert found["stocktake_night_state"] == {("running",): 0, ("success",): 1, ("failed",): 0}
    assert found["stocktake_quarantine_rows"] == {("orders",): 2}
    assert found["stocktake_quarantine_amount"] == {("EUR",): 180.5}
    assert set(found["stocktake_table_complete"].values()) == {1}
    assert found["stocktake_runs_waiting"] == {(): 0}


def test_the_token_is_for_this_and_nothing_else(airflow: httpx.Client) -> None:
    assert airflow.get(PATH).status_code == 401
    for wrong in ("of-somebody-else-and-as-long-as-it-has-to-be", TOKEN[:-1]):
        assert airflow.get(PATH, headers={"Authorization": f"Bearer {wrong}"}).status_code in (401, 403)
    scraper = {"Authorization": f"Bearer {TOKEN}"}
    for path in ("/stocktake/", "/stocktake/status", "/stocktake/api/v1/tables", "/api/v2/dags"):
        assert airflow.get(path, headers=scraper).status_code in (401, 403)
    with logged_in(airflow, "viewer") as viewer:
        assert viewer.get(PATH).status_code == 200


def test_a_short_token_is_refused_and_an_empty_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql:///shop")
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql:///warehouse")
    monkeypatch.setenv("STOCKTAKE_METRICS_TOKEN", "too-short")
    with pytest.raises(ValueError, match="at least 32") as refused:
        Settings()
    assert "too-short" not in str(refused.value)
    monkeypatch.setenv("STOCKTAKE_METRICS_TOKEN", "")
    assert Settings().metrics_token is None


def test_before_the_first_night_there_is_no_figure(warehouse_database: Database, tmp_path: Path) -> None:
    with airflow_of(warehouse_database, tmp_path, STOCKTAKE_METRICS_TOKEN=TOKEN) as empty:
        assert _scraped(empty) == {}


def test_rules_and_dashboard_ask_for_what_there_is() -> None:
    known = {one.name for one in GAUGES}
    for file in ("rules.yaml", "dashboard.json"):
        asked = set(re.findall(r"\bstocktake_\w+", (FOLDER / file).read_text()))
        assert asked
        assert asked <= known, asked - known


@pytest.fixture(scope="module")
def prometheus(
    airflow: httpx.Client, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Prometheus as docker-compose.yaml starts it, which has read an Airflow's figures; here, it does every second."""
    deployment = Deployment(tmp_path_factory.mktemp("watch"), cluster, {"STOCKTAKE_METRICS_TOKEN": TOKEN}, ("watch",))
    port = airflow.base_url.port
    assert port
    deployment.is_at("api-server", 8080, port)
    try:
        deployment.start("prometheus")
        running = deployment.running["prometheus"]
        config = running.folder / "etc" / "prometheus" / "prometheus.yaml"
        said = yaml.safe_load(config.read_text())
        said["global"] = dict.fromkeys(said["global"], "1s")
        config.write_text(yaml.safe_dump(said))
        running.signal(signal.SIGHUP)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{deployment.port('prometheus', 9090)}/api/v1", trust_env=False
        ) as client:
            deadline = time.monotonic() + 60
            while not _found(client, "stocktake_table_rows"):
                assert time.monotonic() < deadline, running.log.read_text()
                time.sleep(0.2)
            yield client
    finally:
        deployment.stop()


def _found(prometheus: httpx.Client, expression: str) -> list[Any]:
    """What Prometheus answers now."""
    answer = prometheus.get("/query", params={"query": expression}).json()
    assert answer["status"] == "success", answer
    return list(answer["data"]["result"])


def _alerts(prometheus: httpx.Client) -> set[str]:
    return {one["labels"]["alertname"] for one in prometheus.get("/alerts").json()["data"]["alerts"]}


@needs_prometheus
def test_prometheus_scrapes_it_and_its_rules_fire(prometheus: httpx.Client, warehouse: Database) -> None:
    """The night of the test is of March: it is late, and it did not fail."""
    (found,) = _found(prometheus, 'stocktake_table_rows{table="reporting.orders"}')
    with warehouse.connect("analyst") as analyst:
        assert analyst.execute("select count(*)::text from reporting.orders").fetchall() == [(found["value"][1],)]
    deadline = time.monotonic() + 60
    # Before it had read anything, another rule would have fired.
    while (alerts := _alerts(prometheus)) != {"StocktakeNightLate"}:
        assert time.monotonic() < deadline, alerts
        time.sleep(0.2)


@needs_prometheus
def test_every_figure_of_a_rule_is_one_that_prometheus_has(prometheus: httpx.Client) -> None:
    """A rule that asks for another never fires. What it compares with a week ago, there is now."""
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    asked = {rule["alert"]: re.findall(r"stocktake_\w+(?:\{[^}]*\})?", rule["expr"]) for rule in rules}
    assert len(asked) == len(rules) > 5
    assert all(asked.values())
    assert [figure for figures in asked.values() for figure in figures if not _found(prometheus, figure)] == []
    subprocess.run(["promtool", "check", "rules", RULES], check=True, capture_output=True)


@needs_prometheus
def test_every_panel_of_the_dashboard_shows_something_after_a_night(prometheus: httpx.Client) -> None:
    panels = {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in DASHBOARD["panels"]}
    assert len(panels) == len(DASHBOARD["panels"]) > 10
    assert all(panels.values())
    assert [title for title, asked in panels.items() if not all(_found(prometheus, one) for one in asked)] == []


def test_grafana_finds_the_dashboard_and_its_figures_where_docker_compose_puts_them() -> None:
    """Grafana itself runs in no test."""
    services = compose.services(dict.fromkeys(compose.variables_of(compose.FILE.read_text()), "x"), ("watch",))
    grafana, files = services["grafana"], services["grafana"].files
    (source,) = yaml.safe_load(files["/etc/grafana/provisioning/datasources/stocktake.yaml"].read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "--web.listen-address=:9090" in " ".join(services["prometheus"].command)
    (chosen,) = DASHBOARD["templating"]["list"]
    assert (chosen["query"], chosen["current"]["value"]) == (source["type"], source["uid"])
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {f"${{{chosen['name']}}}"}
    (shown,) = yaml.safe_load(files["/etc/grafana/provisioning/dashboards/stocktake.yaml"].read_text())["providers"]
    home = grafana.environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(f"{shown['options']['path']}/")
    assert files[home] == FOLDER / "dashboard.json"


def test_no_panel_lies_on_another() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells)) > 0
    assert {x for x, _ in cells} == set(range(24))
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


@needs_prometheus
def test_rules_fire_when_they_mean_to(tmp_path: Path) -> None:
    """Day 0 is published on day 1; day 1 in the early morning of day 2, and at noon of it is late.

    A quarantine that was empty a week ago has no figure of then.
    """
    late = {"exp_annotations": {"summary": "No night was published for the last business day."}}
    late["exp_annotations"]["description"] = "The last published day began 2d 13h 0m 0s ago. Look whether Airflow runs."
    test = {
        "interval": "1m",
        "input_series": [{"series": "stocktake_night_published_day_timestamp_seconds", "values": "0x3700"}],
        "alert_rule_test": [
            {"alertname": "StocktakeNightLate", "eval_time": "2d6h", "exp_alerts": []},
            {"alertname": "StocktakeNightLate", "eval_time": "2d13h", "exp_alerts": [late]},
        ],
    }
    grows = {
        "interval": "1m",
        "input_series": [{"series": 'stocktake_quarantine_rows{source="orders"}', "values": "_x600 21x600"}],
        "alert_rule_test": [
            {
                "alertname": "StocktakeQuarantineGrows",
                "eval_time": "11h",
                "exp_alerts": [{"exp_annotations": {
                    "summary": "More than twice as many rows are in quarantine as a week ago."
                }}],
            }
        ],
    }  # fmt: skip
    written = {"rule_files": [str(RULES)], "tests": [test, grows]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(written))
    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "test.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
