"""The server that a night's builds share: whoever is killed, one is found, and none is left over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from include.settings import ROOT

PATIENCE_SECONDS = 90.0
DASK = {"memory_limit": 10**9}
SPARK = {"master": None, "heap": "600000k"}
PRIVATE = "postgresql://loader:s3cret@127.0.0.1/warehouse"

# A task's process: it uses the server until its input ends.
USER = """
import json, sys
from transforms.engines.shared_server import joined
kind, arguments, idle_seconds = json.loads(sys.argv[1])
with joined(kind, arguments, idle_seconds) as server:
    print(json.dumps(server.address), flush=True)
    sys.stdin.read()
"""
# Two tasks of one session, with a pause between them.
TWICE = """
import json, sys, time
from transforms.engines.shared_server import joined
kind, arguments, idle_seconds = json.loads(sys.argv[1])
for _ in range(2):
    with joined(kind, arguments, idle_seconds) as server:
        print(json.dumps(server.address), flush=True)
    time.sleep(1)
"""
# A scheduler's: it starts a task, and leads the session of both.
LEADER = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {USER!r}, sys.argv[1]])
time.sleep(600)
"""


def until(true: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def servers(place: Path) -> list[psutil.Process]:
    """The processes of servers whose folders are in a place, and what they started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if f"{place}/stocktake-servers-" in " ".join(process.cmdline()):
                found += [process, *process.children(recursive=True)]
    return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where a night has its temporary files; nothing in it runs after the test."""
    yield tmp_path
    for process in servers(tmp_path):
        with suppress(psutil.Error):
            process.kill()


@contextmanager
def process(place: Path, code: str, kind: str, arguments: Mapping[str, Any], idle: float) -> Iterator[Any]:
    """A process that uses a server, in a session of its own."""
    environment = {**os.environ, "TMPDIR": str(place), "PYTHONPATH": str(ROOT), "STOCKTAKE_WAREHOUSE_URL": PRIVATE}
    with subprocess.Popen(
        [sys.executable, "-c", code, json.dumps([kind, arguments, idle])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True,
    ) as started:  # fmt: skip
        try:
            yield started
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)


def address(started: subprocess.Popen[str]) -> Any:
    """The address that a user has found."""
    assert started.stdout
    return json.loads(started.stdout.readline())


def leave(started: subprocess.Popen[str]) -> None:
    """A user that is done."""
    assert started.stdin
    started.stdin.close()
    assert started.wait(timeout=PATIENCE_SECONDS) == 0


def test_it_outlives_who_started_it_and_ends_after_the_last(place: Path) -> None:
    with ExitStack() as held:
        users = [held.enter_context(process(place, USER, "dask", DASK, 0)) for _ in range(3)]
        found = [address(user) for user in users]
        assert found[0] == found[1] == found[2]  # although all came at once
        users[0].kill()
        users[1].kill()
        late = held.enter_context(process(place, USER, "dask", DASK, 0))
        assert address(late) == found[0]
        users[2].kill()
        time.sleep(1)
        running = servers(place)
        assert running
        assert not any("STOCKTAKE_WAREHOUSE_URL" in one.environ() for one in running)
        leave(late)
        until(lambda: not servers(place), 15)
        assert not list(place.glob("stocktake-*/*"))
        assert not list(place.glob("stocktake-[0-9]*"))


@pytest.mark.long
@pytest.mark.parametrize(("kind", "arguments"), [("dask", DASK), ("spark", SPARK)])
def test_it_does_not_stay_without_its_airflow(place: Path, kind: str, arguments: Mapping[str, Any]) -> None:
    with process(place, USER, kind, arguments, 600) as user, process(place, LEADER, kind, arguments, 600) as leader:
        assert address(leader) == address(user)
        leave(user)
        os.killpg(leader.pid, signal.SIGKILL)  # the scheduler and its task
        leader.wait()
        until(lambda: not servers(place), 20)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "arguments"), [("dask", DASK), ("spark", SPARK)])
def test_one_that_is_killed_takes_its_processes_along_and_the_next_build_starts_another(
    place: Path, kind: str, arguments: Mapping[str, Any]
) -> None:
    with process(place, USER, kind, arguments, 0) as user:
        found = address(user)
        before = servers(place)
        assert len(before) > 1
        before[0].kill()
        psutil.wait_procs(before, timeout=20)
        assert not servers(place)
        with process(place, USER, kind, arguments, 0) as other:
            assert address(other) != found


@pytest.mark.long
def test_it_waits_for_the_next_build_for_so_long_as_was_asked(place: Path) -> None:
    with process(place, TWICE, "dask", DASK, 3) as night:
        assert address(night) == address(night)
        leave(night)
