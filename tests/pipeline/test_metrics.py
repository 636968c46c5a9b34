"""The figures that the scheduler sends: those that Prometheus scrapes, as the ledger has them when they are sent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.jobs.job import Job
from airflow.sdk.execution_time.task_runner import TaskRunnerMarker
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from include.pipeline import metrics
from include.serve.exposition import GAUGES, read
from include.settings import settings
from tests.conftest import Database
from tests.nights import Nights
from tests.telemetry.collector import Collector, collecting


@pytest.fixture
def collector() -> Iterator[Collector]:
    """What is sent is taken."""
    with collecting() as taken:
        yield taken


@pytest.fixture
def provider(collector: Collector) -> Iterator[MeterProvider]:
    """Airflow's metrics are on; they are sent when the test says."""
    exporter = OTLPMetricExporter(f"{collector.url}/v1/metrics")
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=10_000_000)])
    yield provider
    provider.shutdown()


def sent(collector: Collector, provider: MeterProvider) -> dict[tuple[str, ...], float]:
    """What is sent now: by name and labels."""
    collector.points.clear()
    provider.force_flush()
    return {(name, *map(str, sorted(labels.items()))): value for name, labels, value in collector.points}


def scraped() -> dict[tuple[str, ...], float]:
    """What Prometheus would find now."""
    return {
        (gauge.name, *map(str, sorted(labels.items()))): value
        for gauge, found in read([None]).items()
        for labels, value in found
    }


@pytest.mark.after_a_night
def test_what_is_sent_is_what_prometheus_scrapes_and_follows_the_ledger(
    nights: Nights, collector: Collector, provider: MeterProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_SAME_SECONDS", -1)
    metrics.send(provider.get_meter("stocktake"))
    expected = scraped()
    assert sent(collector, provider) == expected
    # Waiting runs are counted, 0 or not; money in quarantine and incidents are not where there are none.
    assert len({name for name, *_ in expected}) >= len(GAUGES) - 4
    quarantined = ("stocktake_quarantine_rows", "('source', 'orders')")
    assert quarantined not in expected
    [(run_id,)] = nights.ask("select min(run_id) from audit.publications")
    nights.warehouse.execute(
        "insert into audit.quarantine (source, row_key, rules, row_values, amount, quarantined_by)"
        " values ('orders', '7001', '{status_known}', '{}', 0, %s)",
        [run_id],
    )
    changed = sent(collector, provider)
    assert changed == scraped()
    assert changed[quarantined] == 1


def test_before_the_first_night_and_without_a_warehouse_nothing_is_sent(
    warehouse_database: Database, collector: Collector, provider: MeterProvider, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(metrics, "_SAME_SECONDS", -1)
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql:///nowhere")
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", warehouse_database.url("loader"))
    settings.cache_clear()
    metrics.send(provider.get_meter("stocktake"))
    assert sent(collector, provider) == {}
    assert caplog.messages == []
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql://loader:s3cret@127.0.0.1:1/nowhere")
    settings.cache_clear()
    assert sent(collector, provider) == {}
    assert set(caplog.messages) == {"the figures could not be read for the collector: ConnectionError"}
    settings.cache_clear()


@pytest.mark.after_a_night
def test_the_processes_that_a_scheduler_forks_send_nothing_of_it(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, night = metrics._Ledger(), next(gauge for gauge in GAUGES if gauge.name == "stocktake_night_state")
    assert len(ledger.values(night)) == 3
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert ledger.values(night) == []
    assert nights.names


def test_only_a_scheduler_whose_metrics_are_on_sends(monkeypatch: pytest.MonkeyPatch, provider: MeterProvider) -> None:
    began: list[Any] = []
    monkeypatch.setattr(metrics, "send", began.append)
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", provider)
    job, task = object.__new__(Job), TaskRunnerMarker()
    for argv, component, on, sends in (
        (["airflow", "scheduler"], job, "False", 0),
        (["airflow", "triggerer"], job, "True", 0),
        (["airflow", "scheduler"], task, "True", 0),  # a task that the scheduler forked
        (["airflow", "scheduler"], job, "True", 1),
    ):
        monkeypatch.setattr("sys.argv", argv)
        monkeypatch.setenv("AIRFLOW__METRICS__OTEL_ON", on)
        if thread := metrics.on_starting(component):
            thread.join()
        assert len(began) == sends
