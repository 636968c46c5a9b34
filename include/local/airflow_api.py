"""Airflow's REST API: trigger a night and its features, follow them, and report a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx

from include.local.profile import StandaloneError

NIGHTLY = "nightly"
FEATURES = "features"
REPUBLISH = "republish"
REPLAY = "replay"
DAGS = (NIGHTLY, FEATURES, REPUBLISH, REPLAY)
_AWAY_SECONDS = 600.0  # for the server to come back while a night is waited for: the night itself goes on
_START_SECONDS = 120.0  # for a slow machine to start the API server, and again to read the DAG
_FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
RETRY = "up_for_retry"
WAITS = "awaiting_input"
_LOG_LINES = 20


def last_closed_day(timezone: str) -> date:
    """The last business day that is over in ``timezone``."""
    return datetime.now(ZoneInfo(timezone)).date() - timedelta(days=1)


@dataclass(frozen=True)
class Night:
    """The parameters of a night.

    Attributes:
        day: The business day.
        date: The day as given; None means the last closed one.
        engine: The engine that builds the tables.
        full_refresh: Read and build everything again.
        dry_run: Do not publish.
        parity: Build a sample of the tables on this engine as well; None: on none.
    """

    day: date
    date: date | None
    engine: str
    full_refresh: bool
    dry_run: bool
    parity: str | None

    @property
    def conf(self) -> dict[str, object]:
        """The parameters of the DAG run."""
        return {
            "date": self.date.isoformat() if self.date else None,
            "engine": self.engine,
            "full_refresh": self.full_refresh,
            "dry_run": self.dry_run,
            "parity": self.parity,
        }


@dataclass(frozen=True)
class DagRun:
    """A run of a DAG.

    Attributes:
        dag: One of ``DAGS``.
        run_id: As Airflow knows it.
    """

    dag: str
    run_id: str

    @property
    def path(self) -> str:
        """Its path in the REST API."""
        return f"/api/v2/dags/{self.dag}/dagRuns/{self.run_id}"

    def answer_page(self, task: str) -> str:
        """The page of Airflow on which a person answers a task."""
        return f"/dags/{self.dag}/runs/{quote(self.run_id)}/tasks/{task}/required_actions"


@dataclass(frozen=True)
class Api:
    """Airflow's REST API, as the user whose name and password are given.

    Attributes:
        client: The HTTP client.
        check: Called between requests; raises when waiting is pointless.
    """

    client: httpx.Client = field(repr=False)
    check: Callable[[], None]

    @classmethod
    def connect(cls, url: str, user: str, password: str, check: Callable[[], None], ours: Callable[[], bool]) -> Api:
        """Wait until the server answers, log in, and warm it up, which saves the first task 5 s.

        Args:
            url: Its address.
            user: The user to log in.
            password: The user's password.
            check: Raises when waiting is pointless.
            ours: Whether our own server listens there.
        """
        api = cls(httpx.Client(base_url=url, timeout=30, trust_env=False), check)
        api._wait(lambda: ours() and api._answers("/api/v2/monitor/health"), "Airflow's API server does not answer")
        api._answers("/execution/health")
        token = api._ask("POST", "/auth/token", json={"username": user, "password": password})["access_token"]
        api.client.headers["Authorization"] = f"Bearer {token}"
        return api

    def wait_for_dag(self, parsed_after: datetime | None, dag: str = NIGHTLY) -> None:
        """Wait until Airflow has read a DAG (again, if ``parsed_after`` is given).

        Raises:
            StandaloneError: When the DAG's file has an error, or is not read in time.
        """

        def read() -> bool:
            self._refuse_import_errors(dag)
            try:
                answer = self.client.get(f"/api/v2/dags/{dag}")
            except httpx.TransportError:
                return False
            if answer.status_code != httpx.codes.OK:
                return False
            parsed = datetime.fromisoformat(answer.json()["last_parsed_time"])
            return parsed_after is None or parsed >= parsed_after

        self._wait(read, f"Airflow has not read the DAG {dag}; its dag-processor's log may say why")

    def give_up_interrupted(self) -> list[str]:
        """Fail the runs that were running when Airflow was killed: it would wait 5 min for their heartbeat.

        Returns:
            Their ids.
        """
        interrupted = []
        for dag in DAGS:
            path = f"/api/v2/dags/{dag}/dagRuns"
            runs = [run["dag_run_id"] for run in self._ask("GET", path, params={"state": "running"})["dag_runs"]]
            for run in runs:
                self._ask("PATCH", f"{path}/{run}", json={"state": "failed", "note": "Interrupted, and given up."})
            interrupted += runs
        return interrupted

    def pause(self, dag: str, *, paused: bool) -> None:
        """Pause a DAG, or let it run: published assets start runs only of a DAG that is not paused."""
        self._ask("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": paused})

    def trigger(self, night: Night, dag: str = NIGHTLY) -> DagRun:
        """Start a run of a night, or of its features.

        Raises:
            StandaloneError: When Airflow refuses a parameter; with its words.
        """
        conf = night.conf if dag == NIGHTLY else {"engine": night.engine, "parity": night.parity}
        return self.start(dag, conf, night.day.isoformat())

    def start(self, dag: str, conf: Mapping[str, object], partition_key: str | None = None) -> DagRun:
        """Start a run with parameters.

        Raises:
            StandaloneError: When Airflow refuses a parameter; with its words.
        """
        body = {"logical_date": None, "partition_key": partition_key, "conf": conf}
        run = DagRun(dag, self._ask("POST", f"/api/v2/dags/{dag}/dagRuns", json=body)["dag_run_id"])
        self.pause(dag, paused=False)
        return run

    def started_by(self, source: DagRun, dag: str = FEATURES) -> DagRun:
        """Wait for the run that a run's published assets start.

        Raises:
            StandaloneError: When no run starts in time.
        """
        found: list[DagRun] = []

        def started() -> bool:
            path = f"/api/v2/dags/{dag}/dagRuns"
            latest = self._ask("GET", path, params={"order_by": "-id", "limit": 20, "run_type": "asset_triggered"})
            for run in latest["dag_runs"]:
                events = self._ask("GET", f"{path}/{run['dag_run_id']}/upstreamAssetEvents")["asset_events"]
                if any(event["source_run_id"] == source.run_id for event in events):
                    found.append(DagRun(dag, run["dag_run_id"]))
                    return True
            return False

        self._wait(started, f"The tables are published, but Airflow starts no run of {dag}; is it paused?")
        return found[0]

    def follow(self, run: DagRun) -> Iterator[Mapping[str, Any]]:
        """Yield each task of the run when it is finished, will be tried again or waits for a person's answer.

        It returns when the run is finished.
        """
        seen: set[tuple[object, ...]] = set()
        while True:
            over = self.state(run) in _FINISHED
            for task in self._tasks(run):
                news = (task["task_id"], task["map_index"], task["try_number"], task["state"])
                if task["state"] in {*_FINISHED, RETRY, WAITS} and news not in seen:
                    seen.add(news)
                    yield task
            if over:
                return
            self.check()
            time.sleep(1)

    def state(self, run: DagRun) -> str:
        """The run's state."""
        return str(self._ask("GET", run.path)["state"])

    def failure(self, run: DagRun, task: Mapping[str, Any]) -> str:
        """The end of a failed task's log, with the error itself last."""
        path = f"{run.path}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        parameters = {"map_index": task["map_index"], "full_content": True}
        entries = self._ask("GET", path, params=parameters, headers={"Accept": "application/json"})["content"]
        # After the error Airflow says what it makes of it.
        ends = [
            number for number, entry in enumerate(entries, 1) if isinstance(entry, dict) and entry.get("error_detail")
        ]
        shown = entries[: ends[-1]] if ends else entries
        return "\n".join(line for entry in shown[-_LOG_LINES:] for line in _log_lines(entry))

    def question(self, run: DagRun, task: Mapping[str, Any]) -> str:
        """The question of a task that waits for a person."""
        path = f"{run.path}/taskInstances/{task['task_id']}/{task['map_index']}/hitlDetails"
        return str(self._ask("GET", path)["subject"])

    def waiting(self, dag: str = NIGHTLY) -> Iterator[tuple[DagRun, Mapping[str, Any]]]:
        """Runs of a DAG that wait for a person's answer, each with the task that asks."""
        path = f"/api/v2/dags/{dag}/dagRuns/~/hitlDetails"
        for found in self._ask("GET", path, params={"state": WAITS})["hitl_details"]:
            yield DagRun(dag, found["task_instance"]["dag_run_id"]), found["task_instance"]

    def _tasks(self, run: DagRun) -> list[Mapping[str, Any]]:
        path = f"{run.path}/taskInstances"
        found: list[Mapping[str, Any]] = []
        while True:  # a page holds at most 100
            page = self._ask("GET", path, params={"limit": 100, "offset": len(found)})
            found += page["task_instances"]
            if len(found) >= page["total_entries"]:
                return sorted(found, key=lambda task: task["end_date"] or "")

    def _refuse_import_errors(self, dag: str) -> None:
        for error in self._ask("GET", "/api/v2/importErrors")["import_errors"]:
            if error["filename"].endswith(f"{dag}.py"):
                raise StandaloneError(f"{error['filename']} cannot be read:\n{error['stack_trace']}")

    def _wait(self, ready: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise StandaloneError(f"{otherwise} (waited {_START_SECONDS:.0f} s).")
            time.sleep(0.3)

    def _answers(self, path: str) -> bool:
        try:
            return self.client.get(path).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        """What the server answers. A question is asked again while the server is away; a request is made once.

        Raises:
            StandaloneError: When Airflow refuses, or does not answer.
        """
        deadline = time.monotonic() + (_AWAY_SECONDS if method == "GET" else 0)
        while True:
            try:
                answer = self.client.request(method, path, **arguments)
                if not answer.is_error:
                    return answer.json()
                said = f"Airflow refused: {_detail(answer)}"
                is_away = answer.is_server_error
            except httpx.HTTPError as error:
                said = f"Airflow's API server does not answer ({type(error).__name__}: {error})"
                is_away = True
            if not is_away or time.monotonic() > deadline:
                raise StandaloneError(f"{said}. The log of its API server may say why.")
            self.check()
            time.sleep(1)


def now() -> datetime:
    """The clock, in UTC."""
    return datetime.now(UTC)


def task_name(task: Mapping[str, Any]) -> str:
    """The name of a task; a mapped one with its map index."""
    if task["map_index"] < 0:
        return str(task["task_id"])
    return f"{task['task_id']} [{task['rendered_map_index'] or task['map_index']}]"


def _log_lines(entry: Mapping[str, Any] | str) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
        return
    if not entry["event"].startswith("::"):  # marks of a foldable group on Airflow's page
        yield entry["event"]
    for error in entry.get("error_detail") or []:
        yield from (f"  {frame['filename']}:{frame['lineno']} in {frame['name']}" for frame in error["frames"][-5:])
        yield f"{error['exc_type']}: {error['exc_value']}"


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"]).partition("\n")[0]  # the other lines repeat the whole schema of a parameter
    except (ValueError, KeyError):
        return f"{answer.status_code} {answer.text[:500]}"
