"""A whole night in a real Airflow that tells collectors everything; then one whose collectors are away."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from include.serve.exposition import GAUGES
from tests.end_to_end.conftest import Machine, standalone
from tests.lineage.schemas import faults
from tests.telemetry.collector import Collector, attributes, collecting
from transforms.registry import TABLES

REPORTING = [name for name, one in TABLES.items() if one.table.schema == "reporting"]


@dataclass(frozen=True)
class Told:
    """A night, and what collectors were told of it: over HTTP, and the events of lineage in a file too."""

    machine: Machine
    done: subprocess.CompletedProcess[str]
    collector: Collector
    file: Path


def variables(url: str, file: Path) -> dict[str, str]:
    """What turns everything on."""
    transports = [
        {"type": "file", "log_file_path": str(file), "append": True},
        {"type": "http", "url": url, "timeout": 1, "retry": {"total": 0}},
    ]
    return {
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "AIRFLOW__TRACES__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_METRIC_EXPORT_INTERVAL": "2000",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "composite", "transports": transports}),
    }


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The first night of an empty machine, with everything on."""
    state, file = tmp_path_factory.mktemp("stocktake"), tmp_path_factory.mktemp("lineage") / "events.json"
    try:
        with collecting() as collector:
            done = standalone(state, "nightly", **variables(collector.url, file))
            assert done.returncode == 0, done.stderr
            yield Told(Machine(state, set()), done, collector, file)
    finally:
        standalone(state, "stop")
        shutil.rmtree((state / "postgres" / "server").resolve(), ignore_errors=True)
        shutil.rmtree(state)


def below(spans: list[Span], parent: Span) -> list[Span]:
    """The spans directly below one."""
    return [span for span in spans if span.parent_span_id == parent.span_id]


def test_a_night_is_one_trace_from_the_run_down_to_the_slow_statement(told: Told) -> None:
    [root] = [span for span in told.collector.spans if span.name == "dag_run.nightly"]
    assert not root.parent_span_id
    spans = [span for span in told.collector.spans if span.trace_id == root.trace_id]
    tasks = below(spans, root)
    seconds = dict(
        told.machine.warehouse(
            "select stage, seconds from audit.stages join audit.runs using (run_id) where kind = 'night'"
        )
    )
    stages: dict[str, Span] = {}
    for task in tasks:
        assert root.start_time_unix_nano <= task.start_time_unix_nano <= task.end_time_unix_nano
        for worker in below(spans, task):
            assert worker.name == task.name.replace("task_run.", "worker.")
            stages |= {span.name: span for span in below(spans, worker) if span.name in seconds}
    assert {task.name for task in tasks} >= {"task_run.extract", "task_run.builds.orders", "task_run.publish"}
    assert set(stages) == set(seconds)
    for name, span in stages.items():
        assert (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9 == pytest.approx(seconds[name], abs=0.5)
    statements = [span for span in spans if "db.query.text" in attributes(span.attributes)]
    assert statements
    for span in statements:
        assert span.end_time_unix_nano - span.start_time_unix_nano > 1e9
        said = str(attributes(span.attributes)["db.query.text"])
        for value in (f"{told.machine.state}", f"{told.machine.last_closed_day}", "password", "://"):
            assert value not in said
    features = [span for span in told.collector.spans if span.name == "dag_run.features"]
    assert len(features) == 1


def test_the_scheduler_sends_the_figures_beside_airflows_own_metrics(told: Told) -> None:
    sent = {name for name, _, _ in told.collector.points}
    # Nothing is in quarantine, nothing was restated, and there are no incidents.
    assert {gauge.name for gauge in GAUGES} - sent <= {
        "stocktake_quarantine_rows", "stocktake_quarantine_amount", "stocktake_restated_figures",
        "stocktake_incidents_open",
    }  # fmt: skip
    rows = {
        (labels["source"], labels["outcome"]): value
        for name, labels, value in told.collector.points
        if name == "stocktake_source_rows"
    }
    assert rows["orders", "accepted"] == told.machine.shop("select count(*) from orders")[0][0]
    assert "airflow.ti.finish" in told.collector.names


def test_every_task_is_told_to_lineage_by_its_schemas_once_begun_and_once_ended(told: Told) -> None:
    events = [json.loads(line) for line in told.file.read_text().splitlines() if line]
    assert [fault for event in events for fault in faults(event)] == []
    types: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in events:
        types[event["job"]["name"], event["run"]["runId"]].append(event["eventType"])
    assert Counter(map(tuple, types.values())) == {("START", "COMPLETE"): len(types)}
    ended = {event["job"]["name"]: event for event in events if event["eventType"] == "COMPLETE"}
    assert set(ended) >= {"nightly", "features", *(f"nightly.builds.{name}" for name in REPORTING)}
    published = {dataset["name"].partition(".")[2] for dataset in ended["nightly.publish"]["outputs"]}
    assert published == {f"reporting.{name}" for name in REPORTING}
    rows = {
        dataset["name"].partition(".")[2]: dataset["outputFacets"]["outputStatistics"]["rowCount"]
        for dataset in ended["nightly.publish"]["outputs"]
    }
    for name in ("reporting.orders", "reporting.daily_sales"):
        assert rows[name] == told.machine.warehouse(f"select count(*) from {name}")[0][0]

    def key(event: dict[str, Any]) -> tuple[str, str]:
        return event["run"]["runId"], event["eventType"]

    assert sorted(map(key, told.collector.events)) == sorted(map(key, events))


def test_no_secret_is_told(told: Told) -> None:
    everything = b"".join(told.collector.raw) + told.file.read_bytes()
    home = told.machine.state / "demo_shop" / "airflow"
    secrets = [
        value
        for file in (told.machine.state / "postgres" / "passwords.json", home / "secrets.json", home / "logins.json")
        for value in json.loads(file.read_text()).values()
    ]
    assert len(secrets) > 6
    assert [value for value in secrets if str(value).encode() in everything] == []


def test_collectors_that_are_away_fail_nothing(told: Told, tmp_path: Path) -> None:
    """The same night again, with collectors where nobody listens."""
    asked = variables("http://127.0.0.1:9", tmp_path / "events.json")
    done = standalone(told.machine.state, "nightly", "--dry-run", **asked)
    assert done.returncode == 0, done.stderr
