"""Nights that begin when the shop says that its day is closed: once per day, also when the triggerer dies meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from include.settings import ROOT
from tests.end_to_end.conftest import PATIENCE_SECONDS, ZONE, Machine, Stack, standalone

HEARD = {"STOCKTAKE_DAY_CLOSED": "outbox"}
SMALL = ("--orders", "300", "--days", "20", "--products", "10")
WAITS_TO_STORE = "select count(*) from pg_locks where relation = 'asset_event'::regclass and not granted"
EVENTS = "select count(*) from asset_event where extra::text like %s"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """An empty machine, but for a small demo shop whose last day is closed."""
    machine = Machine(tmp_path_factory.mktemp("stocktake"), set())
    try:
        demo_shop(machine, "fill", *SMALL)
        demo_shop(machine, "close-day")
        yield machine
    finally:
        stopped = standalone(machine.state, "stop")
        shutil.rmtree((machine.state / "postgres" / "server").resolve(), ignore_errors=True)
        shutil.rmtree(machine.state)
    assert stopped.returncode == 0, stopped.stderr


@pytest.fixture(scope="module")
def waiting(shop: Machine) -> Iterator[Stack]:
    """``make nightly``, then ``make ui``, where the shop is heard."""
    done = standalone(shop.state, "nightly", **HEARD)
    assert done.returncode == 0, done.stderr
    started = standalone(shop.state, "ui", **HEARD)
    assert started.returncode == 0, started.stderr
    url = started.stdout.partition("Airflow: ")[2].split()[0]
    password = started.stdout.partition("log in as admin")[2].split()[0]
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as airflow:
        yield Stack(shop.state, set(), url, password, airflow)


def demo_shop(machine: Machine, *arguments: str) -> None:
    """A command of the demo shop, for the machine's own."""
    subprocess.run(
        [sys.executable, "-m", "include.demo_shop", *arguments], cwd=ROOT, check=True, capture_output=True,
        env={**os.environ, **machine.variables, "STOCKTAKE_TIMEZONE": ZONE},
    )  # fmt: skip


def announce(machine: Machine, day: date) -> None:
    """What the office does; it closes a day once, other shops may say it again."""
    with psycopg.connect(machine.variables["STOCKTAKE_SHOPKEEPER_URL"]) as shop:
        shop.execute("insert into stocktake_outbox (business_day) values (%s)", [day])
        shop.execute("notify stocktake_day_closed")


def until(true: Callable[[], object], what: str) -> None:
    """Wait for something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def airflows_database(stack: Machine) -> psycopg.Connection[Any]:
    url = stack.variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    return psycopg.connect(url, autocommit=True)


def log_of_triggerer(stack: Machine) -> str:
    return (stack.state / "demo_shop" / "airflow" / "logs" / "triggerer.log").read_text()


def triggerer(stack: Machine) -> int | None:
    """The process, if it runs."""
    with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        record = json.loads(Path(stack.state / "demo_shop" / "airflow" / "processes" / "triggerer.json").read_text())
        if psutil.Process(record["pid"]).status() != psutil.STATUS_ZOMBIE:
            return int(record["pid"])
    return None


def kill(process: int) -> None:
    """The whole family at once, as when the machine's power fails."""
    family = psutil.Process(process).children(recursive=True)
    for one in (process, *(child.pid for child in family)):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def published(stack: Machine, day: date) -> list[str]:
    """The runs that published a night."""
    rows = stack.warehouse(
        "select run_id from audit.publications join audit.runs using (run_id) where kind = 'night' and runs.night = %s",
        day,
    )
    return [run_id for (run_id,) in rows]


def test_a_day_that_is_published_is_run_by_neither_its_schedule_nor_its_announcement(waiting: Stack) -> None:
    """The office closed it before ``make nightly``, which published it."""
    day = waiting.last_closed_day
    assert len(published(waiting, day)) == 1
    until(lambda: [run for run in waiting.runs() if run["run_type"] == "scheduled"], "the schedule makes no run")
    [scheduled] = [run["dag_run_id"] for run in waiting.runs() if run["run_type"] == "scheduled"]

    assert waiting.ended(scheduled) == "success"
    states = {name: task["state"] for name, task in waiting.tasks(scheduled).items()}
    assert states.pop("begin") == "success"
    assert set(states.values()) == {"skipped"}
    assert f"The night of {day} is published already" in waiting.log(scheduled, "begin")
    assert len(published(waiting, day)) == 1
    until(lambda: "trigger ID" in log_of_triggerer(waiting), "the triggerer does not listen")
    time.sleep(5)
    assert f"{day} is closed" not in log_of_triggerer(waiting)
    assert waiting.runs("day_closed") == []


def test_five_announcements_and_a_triggerer_that_dies_before_they_are_stored_are_one_night(waiting: Stack) -> None:
    """It is killed with kill -9 while it waits to store what it has read; three more come while it is away."""
    day = waiting.last_closed_day - timedelta(days=1)
    before = triggerer(waiting)
    assert before
    with airflows_database(waiting) as airflow, airflows_database(waiting) as looking:

        def in_line() -> bool:
            return looking.execute(WAITS_TO_STORE).fetchone() != (0,)

        with airflow.transaction():
            airflow.execute("lock table asset_event in share row exclusive mode")
            announce(waiting, day)
            announce(waiting, day)
            until(in_line, "the triggerer stores nothing")
            assert f"The shop says that {day} is closed" in log_of_triggerer(waiting)
            kill(before)
            for _ in range(3):
                announce(waiting, day)
        assert looking.execute(EVENTS, [f"%{day}%"]).fetchone() == (0,), "nothing was stored"
        until(lambda: triggerer(waiting) not in (None, before), "nobody starts the triggerer again")
        run_id = f"day_closed__{day}"
        until(lambda: run_id in [run["dag_run_id"] for run in waiting.runs()], f"no night begins for {day}")

        assert waiting.ended(run_id) == "success", waiting.tasks(run_id)
        assert waiting.features_of(run_id)["state"] == "success"
        assert published(waiting, day) == [run_id]
        announce(waiting, day)
        announce(waiting, waiting.last_closed_day + timedelta(days=1))
        announce(waiting, day - timedelta(days=30))
        until(lambda: "is over for more than 7 days" in log_of_triggerer(waiting), "nothing is refused")
        time.sleep(5)
        assert f"was not over in {ZONE}" in log_of_triggerer(waiting)
        assert looking.execute(EVENTS, [f"%{day}%"]).fetchone() == (1,)
    assert sorted(run["run_type"] for run in waiting.runs()) == ["manual", "operator_triggered", "scheduled"]
    assert [run["state"] for run in waiting.runs("day_closed")] == ["success"]


def test_the_triggerer_says_no_secret(waiting: Stack) -> None:
    secrets = {
        str(psycopg.conninfo.conninfo_to_dict(url)["password"])
        for name, url in waiting.variables.items()
        if name.startswith("STOCKTAKE_") and name.endswith("_URL")
    }
    assert len(secrets) > 2
    assert [secret for secret in secrets if secret in log_of_triggerer(waiting)] == []
