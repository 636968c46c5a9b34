"""A collector that is away: what a task sends at its end is lost soon, as make and docker compose set it up."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from include.local.environment import TELEMETRY
from include.settings import ROOT

# What .env.example says of a server of lineage.
TRANSPORT = json.loads(
    re.findall(r"^# AIRFLOW__OPENLINEAGE__TRANSPORT=(.*http.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)[0]
)


@contextmanager
def listening(*, accepts: bool) -> Iterator[str]:
    """The address of a server that takes connections and never answers, or of none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        if not accepts:
            server.close()
        yield address


def spans(address: str) -> None:
    """Send a span, as Airflow does when a task ends."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{address}/v1/traces")))
    with provider.get_tracer("airflow").start_as_current_span("worker.extract"):
        pass
    provider.force_flush()


def metrics(address: str) -> None:
    """Send a metric, the same way."""
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{address}/v1/metrics"))
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("airflow").create_counter("airflow.ti.finish").add(1)
    provider.force_flush()


def event(address: str) -> None:
    """Send an event of lineage; the provider of Airflow catches what is raised."""
    client = OpenLineageClient(config={"transport": {**TRANSPORT, "url": address}})
    run = Run("0197f3c5-9a3b-7c61-a5f0-3c7f2c0b8f11")
    job = Job("stocktake", "nightly.extract")
    with pytest.raises(Exception, match=r"Max retries|refused|timed out|Timeout"):
        client.emit(RunEvent(eventTime="2026-04-01T04:00:00Z", run=run, job=job, eventType=RunState.START, producer=""))


@pytest.mark.parametrize("accepts", [True, False], ids=["never answers", "nobody listens"])
@pytest.mark.parametrize(("send", "seconds"), [(spans, 0.5), (metrics, 0.5), (event, 1)])
def test_it_is_waited_for_no_longer_than_its_timeout(
    send: Callable[[str], None], seconds: float, accepts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in TELEMETRY.items():
        monkeypatch.setenv(name, value)
    assert float(TELEMETRY["OTEL_EXPORTER_OTLP_TIMEOUT"]) <= 0.5
    assert TRANSPORT["timeout"] == 1
    with listening(accepts=accepts) as address:
        started = time.monotonic()
        send(address)
        assert time.monotonic() - started < seconds + 1
