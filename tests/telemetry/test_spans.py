"""Spans of stages and slow statements: in the trace of Airflow's task, without values, and none where it sends none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from include.lake import duckdb_session as duck
from include.ledger.connection import connect
from include.ledger.runs import Run, open_run
from include.pipeline.stages import stage
from include.settings import ROOT, settings
from include.telemetry import spans
from include.telemetry.statement_text import operation, without_values
from tests.conftest import Database
from tests.nights import LAST_DAY, Nights
from tests.telemetry.collector import Collector, attributes, collecting


@pytest.fixture
def collector() -> Iterator[Collector]:
    """What is sent is taken."""
    with collecting() as taken:
        yield taken


@pytest.fixture
def traces(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[TracerProvider]:
    """Traces are on, as Airflow turns them on in a task's process."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield provider
    provider.shutdown()


# What Airflow keeps of a run, in its database, and gives every task of it.
RUN = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@contextmanager
def task(provider: TracerProvider, name: str) -> Iterator[None]:
    """Airflow's span of a task, in the trace of its run; it is sent when the task ends."""
    parent = TraceContextTextMapPropagator().extract(RUN)
    with provider.get_tracer("airflow").start_as_current_span(f"worker.{name}", context=parent):
        yield
    provider.force_flush()


def named(collector: Collector, name: str) -> Span:
    """The only span of a name."""
    [found] = [span for span in collector.spans if span.name == name]
    return found


def test_a_nights_tasks_are_one_trace_with_their_stages_below(
    nights: Nights, traces: TracerProvider, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.pipeline import nightly

    monkeypatch.setattr(spans, "SLOW_SECONDS", 0.0)  # of a shop as small as this, no statement is slow
    run_id = nights.begin()
    with task(traces, "extract"):
        nightly.extract(run_id)
    with task(traces, "validates.customers"):
        nightly.validate(run_id, "customers")
    assert {span.trace_id.hex() for span in collector.spans} == {"0af7651916cd43dd8448eb211c80319c"}
    for worker, name in (("worker.extract", "extract"), ("worker.validates.customers", "validate customers")):
        # Before a stage begins, its task reads in the ledger what was asked for.
        staged = [span for span in collector.children(named(collector, worker)) if span.name == name]
        assert [attributes(span.attributes) for span in staged] == [{"stocktake.run_id": run_id}]
        below = [attributes(span.attributes) for span in collector.children(staged[0])]
        assert {one["db.system.name"] for one in below} == {"postgresql", "duckdb"}
        assert all(one["db.query.text"] for one in below)
    seconds = dict(nights.ask("select stage, seconds from audit.stages where run_id = %s", run_id))
    extract = named(collector, "extract")
    assert (extract.end_time_unix_nano - extract.start_time_unix_nano) / 1e9 == pytest.approx(
        seconds["extract"], abs=0.1
    )
    sent = b"".join(collector.raw)
    assert b"stocktake.run_id" in sent
    for secret in (settings().shop_url, settings().warehouse_url):
        password = psycopg.conninfo.conninfo_to_dict(secret.get_secret_value())["password"]
        assert str(password).encode() not in sent


def test_a_statement_above_a_second_is_a_span_and_a_quick_one_is_not(
    empty_ledger: Database, traces: TracerProvider, collector: Collector
) -> None:
    with task(traces, "publish"), connect() as ledger:
        ledger.execute("select pg_sleep(%s)", [0.1])
        ledger.execute("select pg_sleep(1.1), 'a-customer@example.com', 4711 where %s = 1", [1])
        with duck.session() as session:
            duck.attach(session, "warehouse", settings().warehouse_url, read_only=True)
            rows = session.execute(
                "select * from postgres_query('warehouse', 'select ''Ada'' as name from pg_sleep(1.1)')"
            )
            assert rows.fetchall() == [("Ada",)]
    told = [attributes(span.attributes) for span in collector.children(named(collector, "worker.publish"))]
    assert told == [
        {"db.system.name": "postgresql", "db.query.text": "select pg_sleep(?), '?', ? where %s = ?"},
        {
            "db.system.name": "duckdb",
            "db.query.text": "select * from postgres_query('?', 'select '?' as name from pg_sleep(?)')",
        },
    ]
    slow = named(collector, "worker.publish")
    for span in collector.children(slow):
        assert 1.1e9 < span.end_time_unix_nano - span.start_time_unix_nano < 3e9
    assert empty_ledger.name


def test_of_an_error_only_the_type_is_told(
    empty_ledger: Database, traces: TracerProvider, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans, "SLOW_SECONDS", 0.0)
    open_run(Run("night", LAST_DAY, LAST_DAY))
    with (
        task(traces, "publish"),
        pytest.raises(psycopg.errors.InvalidTextRepresentation, match="s3cret"),
        stage("night", "publish"),
        connect() as ledger,
    ):
        ledger.execute("select 's3cret'::int")
    failed = [span for span in collector.spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert {span.name: span.status.message for span in failed} == {
        "publish": "InvalidTextRepresentation",
        "select": "InvalidTextRepresentation",
    }
    assert not any(span.events for span in collector.spans)
    assert b"s3cret" not in b"".join(collector.raw)
    assert empty_ledger.name


def test_where_airflow_samples_a_run_out_nothing_is_sent(
    empty_ledger: Database, traces: TracerProvider, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RUN, "traceparent", f"{RUN['traceparent'][:-1]}0")
    open_run(Run("night", LAST_DAY, LAST_DAY))
    with task(traces, "publish"), stage("night", "publish"), connect() as ledger:
        assert type(ledger.cursor()) is psycopg.Cursor
    assert collector.raw == []
    assert empty_ledger.name


def test_where_nobody_has_loaded_opentelemetry_nobody_does_and_the_libraries_own_connections_are_given_out(
    empty_ledger: Database,
) -> None:
    code = """
import sys
from include.lake import duckdb_session as duck
from include.ledger import listener
from include.ledger.connection import connect
from include.pipeline import metrics, nightly
from include.pipeline.stages import stage

with stage("night", "publish"), connect() as ledger, duck.session() as session:
    print(type(ledger.cursor()), type(session))
print([name for name in sys.modules if name.startswith(("opentelemetry", "openlineage"))])
"""
    open_run(Run("night", LAST_DAY, LAST_DAY))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["<class 'psycopg.Cursor'> <class '_duckdb.DuckDBPyConnection'>", "[]"]
    assert empty_ledger.name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("select 1, 1.5e3 from t1 where a2 = 'x''y'", "select ?, … from t1 where a2 = '?'"),
        ("select * from read_parquet(['a', 'b',\n  'c'])", "select * from read_parquet([?, …])"),
        ("select x in (1, 2, 3)", "select x in (?, …)"),
        ("select 'x' -- it's 5\n, 2", "select '?' , ?"),
        ("select /* it's */ 2", "select ?"),
        ('select "o\'x 3" from t', 'select "o\'x 3" from t'),
        (r"select E'it\'s 5', 6", "select ?, …"),
        ("select $$a 'secret$$, $x$b$x$", "select ?, …"),
        ("attach 'host=h password=s3cret' as pg (type postgres)", "attach '?' as pg (type postgres)"),
        (
            "from postgres_query('pg', 'select ''Ada''::text, 5')",
            "from postgres_query('?', 'select '?'::text, ?')",
        ),
        ("select 'With love, Ada', ('Select Ltd')", "select '?', ('?')"),
        ("call postgres_execute ( 'pg', 'update t set a = 5')", "call postgres_execute ( '?', 'update t set a = ?')"),
        ("select 'unclosed s3cret", "select '?'"),
        ("select " + "a, " * 5000, None),
    ],
)
def test_a_statement_is_told_without_its_values(text: str, told: str | None) -> None:
    found = without_values(text)
    assert found == told if told else len(found) == 4000


@pytest.mark.parametrize(
    ("text", "name"),
    [("  SELECT 1", "select"), ("-- why\ncopy t to 'x'", "copy"), ("/* a */ with x as (…)", "with"), ("", "statement")],
)
def test_a_statement_is_called_by_its_first_word(text: str, name: str) -> None:
    assert operation(text) == name
