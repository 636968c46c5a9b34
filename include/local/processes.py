"""Airflow's processes: started in their own sessions, found again by their records, stopped one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

import psutil

from include.local.embedded_postgres import kept_port
from include.local.profile import Profile, StandaloneError

NIGHT = ("api-server", "scheduler", "dag-processor")
UI = (*NIGHT, "triggerer")
KEEPER = "keeper"  # starts those again that died, while Airflow stays
_LOOK_SECONDS = 5.0
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("--workers", "1"),
    "scheduler": ("--skip-serve-logs",),  # logs are read from disk; its port could collide
    "triggerer": ("--skip-serve-logs",),
}
_PATIENCE_SECONDS = 15.0  # time for a process to end before it is killed
_PREFERRED_PORT = 8080
# Loaded once in the scheduler and inherited by the workers it forks; see include/pipeline/preload.py.
_LOCAL_SETTINGS = (
    '"""Generated: what Airflow runs when it starts."""\n\nimport include.pipeline.preload  # noqa: F401\n'
)


class PortTakenError(StandaloneError):
    """Another program listens on the API server's port."""


class _Noted(TypedDict):
    pid: int
    created: float


class Airflow:
    """The Airflow of one profile. Its state is in files, so that any process can query or stop it."""

    def __init__(self, profile: Profile) -> None:
        """Open the Airflow of ``profile``, whether it runs or not."""
        self._home = profile.airflow_home
        self._records = self._home / "processes"
        self._stays = self._records / "stays"
        self._settings = self._records / "settings"

    @property
    def port(self) -> int:
        """The port of the API server, whether it runs or not."""
        record = self._home / "port"
        return int(record.read_text()) if self._process("api-server") else kept_port(record, _PREFERRED_PORT)

    @property
    def listens(self) -> bool:
        """Whether this API server listens on the port: another program may have taken it meanwhile."""
        return any(
            socket.status == psutil.CONN_LISTEN and socket.laddr.port == self.port
            for process in self._family("api-server")
            for socket in _sockets(process)
        )

    def running(self) -> list[str]:
        """The names of its processes that run."""
        return [name for name in UI if self._process(name)]

    @property
    def stays(self) -> bool:
        """Whether it stays after a night (``make ui``)."""
        return self._stays.exists()

    def start(self, names: Iterable[str], environment: Mapping[str, str], *, fingerprint: str, stay: bool) -> bool:
        """Start those of ``names`` that do not run yet; restart all that run with other settings.

        Args:
            names: Some of ``UI``.
            environment: The environment of the processes.
            fingerprint: A digest of the settings in it.
            stay: Keep it running after the night.

        Returns:
            Whether anything was started.
        """
        self._records.mkdir(parents=True, exist_ok=True)
        self._write_local_settings()
        wanted = {*names, *self.running()}
        if self._settings.exists() and self._settings.read_text() != fingerprint:
            self._end()
        self._settings.write_text(fingerprint)
        gone = [name for name in UI if not self._process(name)]
        self._end(gone)  # children of a killed process would go on working
        missing = [name for name in gone if name in wanted]
        for name in missing:
            self._start(name, environment)
        if stay:
            self._stays.touch()
        return bool(missing)

    def start_keeper(self, environment: Mapping[str, str]) -> None:
        """Have processes started again that end by themselves, for as long as Airflow stays."""
        if self.stays and not self._process(KEEPER):
            self._start(KEEPER, environment)

    def keep(self) -> None:
        """Start processes again that end by themselves, until Airflow is stopped; this is the keeper's work."""
        while self.stays:
            for name in UI:
                if self._noted(name) and not self._process(name):
                    print(
                        f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S %Z} {name} ended by itself; starting it again",
                        flush=True,
                    )
                    self.revive(name, os.environ)
            time.sleep(_LOOK_SECONDS)

    def revive(self, name: str, environment: Mapping[str, str]) -> None:
        """Start a process again that ended by itself; its log goes on."""
        self._end([name])  # its children would go on working
        self._start(name, environment, log_mode="a")

    def check(self, names: Iterable[str]) -> None:
        """Make sure that ``names`` run.

        Raises:
            PortTakenError: When the API server's port is taken.
            StandaloneError: When one of them ended by itself; with the end of its log.
        """
        for name in names:
            if not self._process(name):
                log = self.log(name)
                kind = PortTakenError if "address already in use" in _tail(log).lower() else StandaloneError
                raise kind(f"Airflow's {name} ended by itself. The end of {log}:\n{_tail(log)}")

    def stop(self) -> None:
        """Stop every process with SIGTERM, then with SIGKILL."""
        self._end()
        self._stays.unlink(missing_ok=True)

    def log(self, name: str) -> Path:
        """The log file of the process called ``name``."""
        return self._home / "logs" / f"{name}.log"

    def _start(self, name: str, environment: Mapping[str, str], log_mode: str = "w") -> None:
        self.log(name).parent.mkdir(parents=True, exist_ok=True)
        program = ["include.local", "keep"] if name == KEEPER else ["airflow", name, *_ARGUMENTS.get(name, ())]
        with self.log(name).open(log_mode) as log:
            child = subprocess.Popen(
                [sys.executable, "-m", *program],
                env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        child.returncode = 0  # not true: it outlives this process on purpose, and Python would warn otherwise
        # The creation time distinguishes the process from a later one with the same id.
        record: _Noted = {"pid": child.pid, "created": psutil.Process(child.pid).create_time()}
        self._record(name).write_text(json.dumps(record))

    def _end(self, names: Iterable[str] = (KEEPER, *UI)) -> None:
        """End the processes called ``names`` and what they started, first with SIGTERM, then with SIGKILL."""
        if KEEPER in names and names != (KEEPER,):
            self._end((KEEPER,))  # it would start the others again
        mains = [process for name in names if (process := self._process(name))]
        families = [member for name in names for member in self._family(name)]
        for process in mains:
            process.terminate()
        psutil.wait_procs(mains, timeout=_PATIENCE_SECONDS)
        _, deaf = psutil.wait_procs(families, timeout=1 if mains else 0)
        for process in deaf:
            process.kill()
        psutil.wait_procs(deaf, timeout=_PATIENCE_SECONDS)
        for name in names:
            self._record(name).unlink(missing_ok=True)

    def _family(self, name: str) -> list[psutil.Process]:
        """Every process in the session of the one called ``name``, which may itself have been killed."""
        noted = self._noted(name)
        if noted is None or _created(noted["pid"]) not in (noted["created"], None):
            return []  # the id was reused, which cannot happen while its session has members
        return [process for process in psutil.process_iter() if _session(process.pid) == noted["pid"]]

    def _process(self, name: str) -> psutil.Process | None:
        noted = self._noted(name)
        if noted is None:
            return None
        try:
            process = psutil.Process(noted["pid"])
            alive = process.create_time() == noted["created"] and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if alive else None

    def _noted(self, name: str) -> _Noted | None:
        record = self._record(name)
        return json.loads(record.read_text()) if record.exists() else None

    def _record(self, name: str) -> Path:
        return self._records / f"{name}.json"

    def _write_local_settings(self) -> None:
        path = self._home / "config" / "airflow_local_settings.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_LOCAL_SETTINGS)


def _created(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _sockets(process: psutil.Process) -> list[Any]:
    """The sockets of a process; none when it ends meanwhile, as the API server's short-lived children do."""
    try:
        return list(process.net_connections("tcp"))
    except psutil.Error:
        return []


def _tail(log: Path, lines: int = 25) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
