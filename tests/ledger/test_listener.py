"""What the listener writes into the ledger, and that it never gets in the way."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from types import SimpleNamespace

import psycopg
import pytest

from include.contract import ContractError
from include.ledger import listener, runs
from include.ledger.migrations import prepare
from include.ledger.runs import Kind, Run
from include.settings import settings
from include.settings.shops import shop_names
from tests.conftest import Database

RUN_ID = "manual__2026-11-22T07:00:00+00:00"
NIGHT = date(2026, 11, 21)


@pytest.fixture
def ledger(warehouse_database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A ledger with one run in it, that goes on."""
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", warehouse_database.url("loader"))
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql://extractor:shop-secret@shop.invalid/shop")
    settings.cache_clear()
    prepare()
    runs.open_run(Run(RUN_ID, NIGHT, NIGHT))
    yield warehouse_database
    settings.cache_clear()


def dag_run(dag_id: str = "nightly", run_id: str = RUN_ID) -> SimpleNamespace:
    """What Airflow hands over of a run."""
    return SimpleNamespace(dag_id=dag_id, run_id=run_id)


def task(task_id: str, state: str = "failed", *, dag_id: str = "nightly", is_teardown: bool = False) -> SimpleNamespace:
    """What Airflow hands over of a task."""
    operator = SimpleNamespace(is_teardown=is_teardown)
    return SimpleNamespace(dag_id=dag_id, run_id=RUN_ID, task_id=task_id, state=state, task=operator)


def entry(ledger: Database) -> tuple[str, str | None, bool]:
    """The run in the ledger: its state, its error, and whether it has an end."""
    with ledger.connect("analyst") as connection:
        row = connection.execute("select state, error, finished_at is not null from audit.runs").fetchone()
    assert row is not None
    return row


def publish(ledger: Database, run_id: str = RUN_ID) -> None:
    """Enter a publication of a run."""
    with ledger.connect() as connection:
        connection.execute(
            "insert into audit.publications (run_id, night, horizon, snapshot_at) values (%s, %s, %s, now())",
            [run_id, NIGHT, NIGHT],
        )


def test_a_run_that_finished_is_entered(ledger: Database) -> None:
    publish(ledger)
    listener.on_dag_run_success(dag_run())
    assert entry(ledger) == ("success", None, True)


def test_a_run_that_ended_before_it_published_is_no_success(ledger: Database) -> None:
    """Somebody stopped it, or marked its tasks as done: Airflow then finds no failed task."""
    listener.on_dag_run_success(dag_run())
    assert entry(ledger) == ("failed", "it was stopped, or marked as ended, before it published", True)


@pytest.mark.parametrize("audited", [True, False])
def test_a_dry_run_has_done_its_work_when_it_is_audited(ledger: Database, audited: bool) -> None:
    with ledger.connect() as connection:
        connection.execute("update audit.runs set dry_run = true")
    if audited:
        with runs.timed(RUN_ID, "audit"):
            pass
    listener.on_dag_run_success(dag_run())
    assert entry(ledger)[0] == ("success" if audited else "failed")


def test_the_first_error_of_a_run_is_the_one_that_is_kept(ledger: Database) -> None:
    listener.on_task_instance_failed(task("validates.orders"), ContractError("two judges\n  disagree"))
    listener.on_task_instance_failed(task("accept"), KeyError("orders"))
    listener.on_dag_run_failed(dag_run(), "task_failure")
    assert entry(ledger) == ("failed", "validates.orders: two judges disagree", True)


def test_an_error_that_is_not_our_own_says_of_what_kind_it_is(ledger: Database) -> None:
    listener.on_task_instance_failed(task("publish"), psycopg.OperationalError("server closed the connection"))
    assert entry(ledger)[1] == "publish: OperationalError: server closed the connection"


def test_a_killed_task_has_only_words(ledger: Database) -> None:
    listener.on_task_instance_failed(task("build"), "heartbeat timeout")
    assert entry(ledger)[1] == "build: heartbeat timeout"


@pytest.mark.parametrize(
    "harmless",
    [
        task("extract", "up_for_retry"),
        task("report", is_teardown=True),
        task("extract", dag_id="another"),
    ],
    ids=["will_be_tried_again", "teardown", "another_dag"],
)
def test_what_fails_no_night_is_not_entered(ledger: Database, harmless: SimpleNamespace) -> None:
    listener.on_task_instance_failed(harmless, ValueError("no"))
    assert entry(ledger) == ("running", None, False)


def test_runs_of_other_dags_are_not_entered(ledger: Database) -> None:
    listener.on_dag_run_success(dag_run("another"))
    listener.on_dag_run_failed(dag_run("another"), "task_failure")
    assert entry(ledger) == ("running", None, False)
    publish(ledger)
    runs.finish_run(RUN_ID, "success")
    listener.on_dag_run_running(dag_run("another"))
    assert entry(ledger) == ("success", None, True)


def test_a_dag_of_ones_own_is_known_by_its_runs_and_another_by_its_tags(ledger: Database) -> None:
    """Where Airflow has the DAG at hand, no warehouse is asked about one that is none of ours."""
    runs.open_run(Run("its run", NIGHT, NIGHT, dag="weekly", kind=Kind.TABLES, built_from=1))
    states = "select run_id, state from audit.runs order by dag"
    weekly = SimpleNamespace(dag_id="weekly", run_id="its run", dag=SimpleNamespace(tags={"sales"}))
    with ledger.connect() as connection:
        listener.on_dag_run_success(weekly)
        assert connection.execute(states).fetchall() == [(RUN_ID, "running"), ("its run", "running")]
        weekly.dag.tags |= {"stocktake"}
        publish(ledger, "its run")
        listener.on_dag_run_success(weekly)
        assert connection.execute(states).fetchall() == [(RUN_ID, "running"), ("its run", "success")]


def test_a_run_that_is_cleared_forgets_what_it_failed_with(ledger: Database) -> None:
    listener.on_task_instance_failed(task("publish"), "gone")
    listener.on_dag_run_failed(dag_run(), "task_failure")
    listener.on_dag_run_running(dag_run())
    assert entry(ledger) == ("running", None, False)
    listener.on_task_instance_failed(task("audit"), "another")
    assert entry(ledger)[1] == "audit: another"


def test_a_run_that_took_too_long_says_so(ledger: Database) -> None:
    listener.on_dag_run_failed(dag_run(), "timed_out")
    assert entry(ledger) == ("failed", "the run took longer than it is allowed to", True)


def test_a_run_that_never_began_changes_nothing(ledger: Database) -> None:
    listener.on_task_instance_failed(
        SimpleNamespace(dag_id="nightly", run_id="unknown", task_id="begin", state="failed"), "no such parameter"
    )
    listener.on_dag_run_failed(dag_run(run_id="unknown"), "task_failure")
    assert entry(ledger) == ("running", None, False)


def test_passwords_are_never_entered(ledger: Database) -> None:
    error = RuntimeError("cannot attach postgresql://loader:hunter22@db/x; password=hunter23, not shop-secret")
    listener.on_task_instance_failed(task("extract"), error)
    assert entry(ledger)[1] == (
        "extract: RuntimeError: cannot attach postgresql://loader:***@db/x; password=***, not ***"
    )


def test_a_long_error_is_cut(ledger: Database) -> None:
    listener.on_task_instance_failed(task("extract"), "x" * 100_000)
    error = entry(ledger)[1]
    assert error is not None
    assert len(error) == listener.ERROR_LENGTH


@pytest.mark.parametrize(
    "url",
    ["postgresql://loader:hunter22@127.0.0.1:1/warehouse", "not a url at all hunter22"],
    ids=["down", "malformed"],
)
@pytest.mark.usefixtures("ledger")
def test_a_listener_never_raises(url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", url)
    settings.cache_clear()
    with caplog.at_level(logging.WARNING):
        listener.on_dag_run_running(dag_run())
        listener.on_dag_run_success(dag_run())
        listener.on_dag_run_failed(dag_run(), "task_failure")
        listener.on_task_instance_failed(task("extract"), ValueError("no"))
    assert len(caplog.records) == 4
    assert all(RUN_ID in record.getMessage() for record in caplog.records)
    assert "hunter22" not in caplog.text


@pytest.mark.usefixtures("ledger")
def test_a_listener_without_settings_never_raises(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("STOCKTAKE_WAREHOUSE_URL")
    settings.cache_clear()
    listener.on_task_instance_failed(task("extract"), ValueError("postgresql://a:hunter22@b"))
    assert "ValidationError" in caplog.text
    assert "secret" not in caplog.text


def test_of_several_shops_a_run_is_entered_in_its_own_ledger(ledger: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ledger.copy()
    monkeypatch.setenv("STOCKTAKE_SHOPS", '["berlin", "lima"]')
    for shop, database in (("BERLIN", ledger), ("LIMA", other)):
        monkeypatch.setenv(f"STOCKTAKE_{shop}__SHOP_URL", "postgresql://extractor@shop.invalid/shop")
        monkeypatch.setenv(f"STOCKTAKE_{shop}__WAREHOUSE_URL", database.url("loader"))
    shop_names.cache_clear()
    settings.cache_clear()
    try:
        listener.on_dag_run_failed(dag_run("nightly__lima"), "failed")
        assert (entry(ledger)[0], entry(other)[0]) == ("running", "failed")
        listener.on_task_instance_failed(task("extract", dag_id="nightly__berlin"), "no shop")
        assert entry(ledger)[:2] == ("failed", "extract: no shop")
        listener.on_dag_run_running(dag_run("nightly"))  # of nobody's DAG: of neither shop
        assert (entry(ledger)[0], entry(other)[0]) == ("failed", "failed")
    finally:
        monkeypatch.delenv("STOCKTAKE_SHOPS")
        shop_names.cache_clear()
        other.drop()
