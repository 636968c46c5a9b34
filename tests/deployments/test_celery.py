"""Two Celery workers that share nothing but databases and the object store run nights as one machine does."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Sequence

import psycopg
import pytest

from tests.deployments.processes import Running
from tests.deployments.stack import Deployed

pytestmark = pytest.mark.long

STEPS = ("begin", "extract", "validates.order_items", "check_tolerance", "accept", "audit", "publish", "report")


@pytest.fixture(scope="module")
def first(workers: Deployed) -> str:
    """The first night on the workers."""
    return workers.first_night()


def test_its_tables_are_those_of_a_night_on_one_machine(
    workers: Deployed, first: str, local_night: dict[str, str]
) -> None:
    assert first
    assert workers.digests() == local_night
    for one in workers.deployment.running.values():
        if one.name != "seaweedfs":
            assert not list(one.folder.rglob("*.parquet")), one.name


def test_its_logs_are_read_in_the_pages_when_the_workers_are_gone(workers: Deployed, first: str) -> None:
    for worker in workers.workers().values():
        shutil.rmtree(worker.folder / "home" / "logs")
    assert "order_lines" in workers.log(first, "extract")


def test_a_task_whose_worker_is_killed_is_done_by_the_other(
    workers: Deployed, first: str, local_night: dict[str, str]
) -> None:
    """The night ends as an undisturbed one."""
    assert first
    disturbed(workers, ("builds.daily_sales",), local_night)


def test_a_night_of_which_step_after_step_loses_its_worker(
    workers: Deployed, first: str, local_night: dict[str, str]
) -> None:
    """It ends as an undisturbed one."""
    assert first
    disturbed(workers, STEPS, local_night)


def test_a_broker_that_dies_in_a_night(workers: Deployed, first: str, local_night: dict[str, str]) -> None:
    assert first
    run = workers.begun(full_refresh=True)
    running(workers, run, "builds.daily_sales")
    workers.deployment.running["valkey"].kill()
    time.sleep(5)
    workers.deployment.begin("valkey")
    ended(workers, run, local_night)


def test_what_a_broker_lost_is_sent_again(workers: Deployed, first: str, local_night: dict[str, str]) -> None:
    """It keeps nothing on disk: what it had when it died is in Airflow's database."""
    assert first
    for worker in workers.workers().values():
        worker.kill()
    run = workers.begun(full_refresh=True)
    wait_until(lambda: workers.tasks(run)["begin"]["state"] == "queued")
    workers.deployment.running["valkey"].kill()
    workers.deployment.begin("valkey")
    for worker in workers.workers().values():
        begin_again(workers, worker)
    ended(workers, run, local_night)


def test_an_api_server_that_stands_still(workers: Deployed, first: str, local_night: dict[str, str]) -> None:
    """For longer than Airflow's own patience with it, 5 s."""
    assert first
    run = workers.begun(full_refresh=True)
    running(workers, run, "extract")
    server = workers.deployment.running["api-server"]
    server.signal(signal.SIGSTOP)
    time.sleep(8)
    server.signal(signal.SIGCONT)
    ended(workers, run, local_night)
    assert {task["try_number"] for task in workers.tasks(run).values()} <= {0, 1}


@pytest.mark.parametrize("name", ["duckdb", "dask", "spark"])
def test_nights_of_every_engine(workers: Deployed, first: str, local_night: dict[str, str], name: str) -> None:
    assert first
    run = workers.begun(full_refresh=True, engine=name)
    ended(workers, run, local_night)
    assert workers.warehouse("select distinct engine from audit.builds where run_id = %s", run) == [(name,)]


def disturbed(workers: Deployed, steps: Sequence[str], undisturbed: dict[str, str]) -> None:
    """Run a night, of which the worker is killed that does a step, and see that it ends as another one did."""
    run = workers.begun(full_refresh=True)
    for step in steps:
        worker = running(workers, run, step)
        worker.kill()
        try:
            workers.finished(run, step)
        finally:
            begin_again(workers, worker)  # not waited for: the next step has begun on the other one
        assert workers.tasks(run)[step]["try_number"] > 1
    ended(workers, run, undisturbed)


def begin_again(workers: Deployed, worker: Running) -> None:
    """Start a worker that was killed, with what it has on disk."""
    name, _, number = worker.name.rpartition("-")
    workers.deployment.begin(name, int(number))


def ended(workers: Deployed, run: str, undisturbed: dict[str, str]) -> None:
    """Wait for a night's end, and compare what it came to."""
    workers.well(run)
    assert workers.digests() == undisturbed


def running(workers: Deployed, run: str, task: str) -> Running:
    """The worker that does a task, as soon as it does."""
    found: list[Running] = []

    def does() -> bool:
        with psycopg.connect(workers.metadata) as airflow:
            row = airflow.execute(
                "select pid from task_instance where run_id = %s and task_id = %s and state = 'running'", [run, task]
            ).fetchone()
        if row and row[0]:
            found.extend(one for one in workers.workers().values() if one.has(row[0]))
        return bool(found)

    wait_until(does)
    return found[0]


def wait_until(holds: Callable[[], bool]) -> None:
    """Look ten times a second."""
    deadline = time.monotonic() + Deployed.patience_seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
