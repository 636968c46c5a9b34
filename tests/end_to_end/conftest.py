"""One Stocktake for all of these tests: its own state, the demo shop, the embedded Postgres, a real Airflow."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import httpx
import psutil
import psycopg
import pytest
from playwright.sync_api import expect

from include.settings import ROOT
from tests.browser import CHROMIUM, ask_for, logged_in

ENDED = ("success", "failed")
PATIENCE_SECONDS = 480.0  # for one night, on a machine that does other things too


def _by_day() -> str:
    """A time zone in which no day ends while these tests run, and tonight's schedule is over: it is 5 to 20 o'clock."""
    zones = ("Europe/Berlin", "America/Los_Angeles")
    return next(zone for zone in zones if 5 <= datetime.now(ZoneInfo(zone)).hour < 20)


ZONE = _by_day()


@dataclass(frozen=True)
class Machine:
    """A machine on which Stocktake was started, and its databases.

    Attributes:
        state: the folder that holds all of it.
        command_lines: of every process that was seen on this machine while the tests ran.
    """

    state: Path
    command_lines: set[str] = field(repr=False)

    @cached_property
    def variables(self) -> Mapping[str, str]:
        """What ``make env`` prints, but for the PATH."""
        exports = standalone(self.state, "env").stdout.splitlines()
        return dict(shlex.split(line)[1].split("=", 1) for line in exports if not line.startswith("export PATH"))

    @property
    def last_closed_day(self) -> date:
        """The day before today, where the shop is."""
        return datetime.now(ZoneInfo(ZONE)).date() - timedelta(days=1)

    def shop(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query on the shop."""
        return _ask(self.variables["STOCKTAKE_SHOPKEEPER_URL"], statement, parameters)

    def warehouse(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query on the warehouse, as the analyst."""
        return _ask(self.variables["STOCKTAKE_ANALYST_URL"], statement, parameters)

    def published(self) -> dict[str, str]:
        """A digest of every published table: all rows, all columns, the publication and its time too."""
        tables = self.warehouse("select published_table from reporting.data_status")
        digest = "select md5(string_agg(line::text, chr(10) order by line::text)) from"
        return {name: self.warehouse(f"{digest} {name} as line")[0][0] for (name,) in tables}


@dataclass(frozen=True)
class Stack(Machine):
    """The same with Airflow running, and the ways a person has to it.

    Attributes:
        url: where Airflow's pages are.
        password: of Airflow's user admin.
        airflow: a visitor who has not logged in.
    """

    url: str
    password: str = field(repr=False)
    airflow: httpx.Client = field(repr=False)

    patience_seconds: ClassVar[float] = PATIENCE_SECONDS

    @cached_property
    def token(self) -> str:
        """What Airflow gives its admin for the password."""
        answer = self.airflow.post("/auth/token", json={"username": "admin", "password": self.password})
        return str(answer.json()["access_token"])

    def api(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """An answer of Airflow's REST API to its admin."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        return self.airflow.request(method, f"/api/v2/{path}", headers=headers, **arguments)

    def trigger(self, dag: str = "nightly", **conf: Any) -> httpx.Response:
        """What the trigger form sends."""
        return self.api("POST", f"dags/{dag}/dagRuns", json={"logical_date": None, "conf": conf})

    def runs(self, dag: str = "nightly") -> list[dict[str, Any]]:
        """Every run of a DAG that Airflow knows, oldest first."""
        answer = self.api("GET", f"dags/{dag}/dagRuns", params={"limit": 100, "order_by": "id"})
        return list(answer.json()["dag_runs"])

    def features_of(self, run_id: str) -> dict[str, Any]:
        """The run of features that a night's published assets start, when it has ended."""
        deadline = time.monotonic() + self.patience_seconds
        while True:
            for run in self.runs("features"):
                path = f"dags/features/dagRuns/{run['dag_run_id']}/upstreamAssetEvents"
                events = self.api("GET", path).json()["asset_events"]
                if any(event["source_run_id"] == run_id for event in events):
                    self.ended(run["dag_run_id"], "features")
                    return dict(self.api("GET", f"dags/features/dagRuns/{run['dag_run_id']}").json())
            assert time.monotonic() < deadline, f"{run_id} starts no features"
            time.sleep(1)

    def asked(self) -> dict[str, Any]:
        """The question to an operator that waits for an answer, when there is one."""
        deadline = time.monotonic() + self.patience_seconds
        while True:
            answer = self.api("GET", "dags/nightly/dagRuns/~/hitlDetails", params={"state": "awaiting_input"})
            for question in answer.json()["hitl_details"]:
                return dict(question)
            assert time.monotonic() < deadline, "nobody is asked"
            time.sleep(1)

    def answered(self, run_id: str, option: str) -> str:
        """Answer whatever a run asks, as the page of Required Actions does, until it has ended; how it did.

        It reads the question first. An answer in the very second finds a slow scheduler that has not heard yet that the
        task waits; it then takes the task for lost, and has it ask again 20 s later, then 40 s, 80 s.
        """
        path = f"dags/nightly/dagRuns/{run_id}"
        answer = {"chosen_options": [option], "params_input": {}}
        deadline = time.monotonic() + self.patience_seconds
        while (state := str(self.api("GET", path).json()["state"])) not in ENDED:
            if self.tasks(run_id)["approve"]["state"] == "awaiting_input":
                time.sleep(5)
                self.api("PATCH", f"{path}/taskInstances/approve/-1/hitlDetails", json=answer)
            assert time.monotonic() < deadline, self._unended(run_id, "nightly", state)
            time.sleep(1)
        return state

    def ended(self, run_id: str, dag: str = "nightly") -> str:
        """How a run ended, when it has."""
        deadline = time.monotonic() + self.patience_seconds
        while True:
            state = str(self.api("GET", f"dags/{dag}/dagRuns/{run_id}").json()["state"])
            if state in ENDED:
                return state
            assert time.monotonic() < deadline, self._unended(run_id, dag, state)
            time.sleep(1)

    def finished(self, run_id: str, task: str) -> None:
        """Wait until a task of a run has ended."""
        deadline = time.monotonic() + self.patience_seconds
        while self.tasks(run_id)[task]["state"] not in {"success", "failed", "skipped", "upstream_failed"}:
            assert time.monotonic() < deadline, self._unended(run_id, "nightly", "running")
            time.sleep(1)

    def _unended(self, run_id: str, dag: str, state: str) -> str:
        """What is told of a run that takes too long."""
        tasks = {task: (found["state"], found["try_number"]) for task, found in self.tasks(run_id, dag).items()}
        return f"{run_id} is {state} after {self.patience_seconds:.0f} s; its tasks and their tries: {tasks}"

    def tasks(self, run_id: str, dag: str = "nightly") -> dict[str, dict[str, Any]]:
        """The tasks of a run."""
        answer = self.api("GET", f"dags/{dag}/dagRuns/{run_id}/taskInstances", params={"limit": 100})
        return {task["task_id"]: task for task in answer.json()["task_instances"]}

    def log(self, run_id: str, task: str, dag: str = "nightly") -> str:
        """The log of a task's only try."""
        answer = self.api(
            "GET",
            f"dags/{dag}/dagRuns/{run_id}/taskInstances/{task}/logs/1",
            params={"full_content": True},
        )
        return json.dumps(answer.json()["content"], ensure_ascii=False)


@dataclass(frozen=True)
class FirstNight:
    """What ``make nightly`` came to on an empty machine, and what was published then: digests, and rows per table."""

    done: subprocess.CompletedProcess[str]
    published: Mapping[str, str]
    rows: Mapping[str, int]


@pytest.fixture(scope="package")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """An empty machine; ended as a person ends it."""
    state = tmp_path_factory.mktemp("stocktake")
    seen: set[str] = set()
    over = threading.Event()
    watching = threading.Thread(target=_watch, args=(seen, over), daemon=True)
    watching.start()
    try:
        yield Machine(state, seen)
    finally:
        over.set()
        watching.join()
        stopped = standalone(state, "stop")
        left = [process for process in psutil.process_iter(["cmdline"]) if str(state) in str(process.info["cmdline"])]
        shutil.rmtree((state / "postgres" / "server").resolve(), ignore_errors=True)
        shutil.rmtree(state)
    assert stopped.returncode == 0, stopped.stderr
    assert not left, "`make stop` leaves nothing running"


@pytest.fixture(scope="package")
def first_night(machine: Machine) -> FirstNight:
    """``make nightly``, before anything else."""
    done = standalone(machine.state, "nightly")
    assert done.returncode == 0, done.stderr
    published = machine.published()
    return FirstNight(
        done, published, {name: machine.warehouse(f"select count(*) from {name}")[0][0] for name in published}
    )


@pytest.fixture(scope="package")
def stack(machine: Machine, first_night: FirstNight) -> Iterator[Stack]:
    """``make ui`` after that: everything runs, and the schedule is on."""
    assert first_night.done.returncode == 0
    started = standalone(machine.state, "ui")
    assert started.returncode == 0, started.stderr
    url = started.stdout.partition("Airflow: ")[2].split()[0]
    password = started.stdout.partition("log in as admin")[2].split()[0]
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as airflow:
        yield Stack(machine.state, machine.command_lines, url, password, airflow)


@dataclass(frozen=True)
class ScheduledNight:
    """The run that the schedule made of itself as soon as it was on, the features it started, and what came of both."""

    run: Mapping[str, Any]
    features: Mapping[str, Any]
    state: str
    published: Mapping[str, str]


@pytest.fixture(scope="package")
def scheduled_night(stack: Stack) -> ScheduledNight:
    """The night that needs nobody; nothing else runs beside it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := [run for run in stack.runs() if run["run_type"] == "scheduled"]):
        assert time.monotonic() < deadline, "the schedule makes no run"
        time.sleep(0.5)
    state = stack.ended(found[0]["dag_run_id"])
    return ScheduledNight(found[0], stack.features_of(found[0]["dag_run_id"]), state, stack.published())


@pytest.fixture(scope="package")
def past(stack: Stack, scheduled_night: ScheduledNight, tmp_path_factory: pytest.TempPathFactory) -> tuple[date, str]:
    """A day of a month ago, asked for in the form, or where there is no browser as the form does: the day, its run."""
    assert scheduled_night.state == "success"
    day = stack.last_closed_day - timedelta(days=30)
    known = {run["dag_run_id"] for run in stack.runs()}
    if CHROMIUM:
        with logged_in(stack.url, stack.password) as page:
            ask_for(page, f"{day}", tmp_path_factory.mktemp("form") / "form.png")
            expect(page.get_by_role("dialog")).to_have_count(0)
    else:
        answer = stack.trigger(date=f"{day}")
        assert answer.status_code == 200, answer.text
    [run] = [run["dag_run_id"] for run in stack.runs() if run["dag_run_id"] not in known]
    assert stack.ended(run) == "success", stack.tasks(run)
    assert stack.features_of(run)["state"] == "success"
    return day, run


def standalone(state: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What the Makefile runs, on a ``state`` of its own and with nothing else that a person has set."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("STOCKTAKE_", "AIRFLOW"))}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    inherited.pop("SHOP", None)
    return subprocess.run(
        [sys.executable, "-m", "include.local", *arguments],
        env={**inherited, "STOCKTAKE_STATE": str(state), "STOCKTAKE_TIMEZONE": ZONE, **variables}, cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def _watch(seen: set[str], over: threading.Event) -> None:
    """What ``ps`` shows to everyone, from the first process to the last.

    Each is looked at three times, and then no more: a fork that becomes a program does so within the first.
    """
    looks: Counter[int] = Counter()
    while not over.wait(0.2):
        there = set(psutil.pids())
        looks = Counter({process: times for process, times in looks.items() if process in there})
        for process in there:
            if looks[process] < 3:
                looks[process] += 1
                with suppress(psutil.Error):
                    seen.add(" ".join(psutil.Process(process).cmdline()))


def _ask(url: str, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode(), parameters or None).fetchall()
