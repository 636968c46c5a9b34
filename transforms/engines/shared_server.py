"""A server on this machine that the tasks of a night share: the first that needs it starts it, the others find it.

Belongs here: who starts it, how it is found, what is said when it ended too early. Does not: its own process, and when
that ends (``server_process``), or what it serves (``spark_server``, ``dask_server``).

No task owns it: any of them may be killed. Who uses it holds a lock of the kernel on a file of its folder, and so does
the server for as long as it runs; such a lock goes with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import psutil

from transforms.parameters import PARAMETERS

_ROOT: Final = Path(__file__).resolve().parents[2]
_CODE: Final = ("include", "transforms")
_START_SECONDS: Final = 120.0
_END_SECONDS: Final = 2.0  # between a broken connection and the notice that the server is gone
_LOG_LINES: Final = 20

# What a server's processes get of a task's environment: none of its passwords, keys and URLs.
_PASSED: Final = {
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV",
    "JAVA_HOME", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON",
    *(f"{name}_proxy" for name in ("http", "https", "no")), "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
    # Which role this machine has in a cloud, where a lake without a key is read with it. None of them is a secret.
    "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_ID", "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST",
    *(f"STOCKTAKE_{name.upper()}" for name in type(PARAMETERS).model_fields),  # Dask's workers compute with them
}  # fmt: skip
_PASSED_PREFIXES: Final = ("LC_", "SPARK_LOCAL_", "SPARK_CONF_", "HADOOP_", "DASK_")


class ServerEnded(ConnectionError):
    """The server could not be started, or ended while it was used: worth another try, which starts one anew."""


@dataclass(frozen=True)
class ServerFolder:
    """The files by which a server and its users know of each other."""

    path: Path

    @property
    def turn(self) -> Path:
        """Locked by who joins, starts or leaves: one at a time."""
        return self.path / "turn.lock"

    @property
    def used(self) -> Path:
        """Locked, shared, by each user."""
        return self.path / "used.lock"

    @property
    def alive(self) -> Path:
        """Locked by the server's process."""
        return self.path / "alive.lock"

    @property
    def address(self) -> Path:
        """What users need to reach it; written once it answers."""
        return self.path / "address.json"

    @property
    def owner(self) -> Path:
        """The leader of the session of its latest user, such as Airflow's scheduler."""
        return self.path / "owner.json"

    @property
    def ended(self) -> Path:
        """Why it ended while it was used."""
        return self.path / "ended.json"

    @property
    def log(self) -> Path:
        """What its processes said."""
        return self.path / "log"


@dataclass(frozen=True)
class Joined:
    """A server that is used: its address, and whether it still runs."""

    address: Mapping[str, Any]
    is_alive: Callable[[], bool]


@contextmanager
def joined(kind: str, arguments: Mapping[str, Any], idle_seconds: float) -> Iterator[Joined]:
    """Use the server of this kind and these arguments in this block; started where there is none.

    Args:
        kind: ``spark`` or ``dask``: the module ``<kind>_server`` serves it.
        arguments: what it is started with; one with other arguments, settings or code is another one. Everybody on
            this machine may read them.
        idle_seconds: for how long it stays when nobody uses it.

    Raises:
        MemoryError: when it ended in this block because its memory ran out.
        ServerEnded: when it ended in this block otherwise, or could not be started.
    """
    environment = _environment()
    folder = ServerFolder(_folder(kind, arguments, idle_seconds, environment))
    with ExitStack() as held:
        with turn(folder):
            used = held.enter_context(folder.used.open("a"))
            fcntl.flock(used, fcntl.LOCK_SH)
            folder.owner.write_text(json.dumps(_owner()))
            address = _reached(folder, kind, arguments, idle_seconds, environment)
        lives = partial(_is_the_same, folder, address)
        try:
            yield Joined(address, lives)
        except Exception as error:
            _tell_if_ended(folder, kind, lives, error)
            raise


@contextmanager
def turn(folder: ServerFolder, *, wait: bool = True) -> Iterator[bool]:
    """Take turns with everybody who joins, starts or leaves a server; gives whether it is our turn."""
    while True:
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            opened = folder.turn.open("a")
        except FileNotFoundError:  # a server that ended has just removed the folder
            continue
        with opened as mine:
            if not lock(mine, fcntl.LOCK_EX, wait=wait):
                yield False
                return
            # A server that ends removes its folder: whoever waited there holds a lock that nobody else sees.
            if folder.turn.exists() and os.path.samestat(os.fstat(mine.fileno()), folder.turn.stat()):
                yield True
                return


def lock(file: IO[str], how: int, *, wait: bool = False) -> bool:
    """Lock an open file; returns whether that could be done."""
    try:
        fcntl.flock(file, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_alive(folder: ServerFolder) -> bool:
    """Whether the server of a folder runs."""
    if not folder.alive.exists():
        return False
    with folder.alive.open("a") as alive:
        return not lock(alive, fcntl.LOCK_SH)


def _is_the_same(folder: ServerFolder, address: Mapping[str, Any]) -> bool:
    """Whether a server runs in a folder, and is the one of this address: others may have started the next one."""
    if not is_alive(folder):
        return False
    try:
        return bool(json.loads(folder.address.read_text()) == address)
    except FileNotFoundError:  # the next one is being started
        return False


def _folder(kind: str, arguments: Mapping[str, Any], idle_seconds: float, environment: Mapping[str, str]) -> Path:
    """The folder of a server, named by checkout, code and settings: its processes hold them in memory."""
    ours = Path(tempfile.gettempdir()) / f"stocktake-servers-{os.getuid()}"
    ours.mkdir(mode=0o700, exist_ok=True)
    found = ours.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{ours} must be this user's alone: it holds the keys of servers. Remove it")
    files = sorted(file for folder in _CODE for file in (_ROOT / folder).rglob("*.py"))
    code = [(str(file), file.stat().st_mtime_ns) for file in files]
    said = json.dumps([kind, arguments, idle_seconds, environment, sys.prefix, code], sort_keys=True)
    return ours / f"{kind}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _PASSED or name.startswith(_PASSED_PREFIXES)}


def _owner() -> tuple[int, float] | None:
    """The process whose end is the end of what its session does, with the instant it began; None where it is unseen."""
    try:
        leader = psutil.Process(os.getsid(0))
        return leader.pid, leader.create_time()
    except (psutil.Error, OSError):
        return None


def _reached(
    folder: ServerFolder,
    kind: str,
    arguments: Mapping[str, Any],
    idle_seconds: float,
    environment: Mapping[str, str],
) -> Any:
    """The address of the server, which is started where none runs."""
    process = None
    if not is_alive(folder):
        for file in (folder.address, folder.ended):
            file.unlink(missing_ok=True)
        request = {"folder": str(folder.path), "kind": kind, "arguments": arguments, "idle_seconds": idle_seconds}
        with folder.log.open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "transforms.engines.server_process", json.dumps(request)],
                env=environment, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
    deadline = time.monotonic() + _START_SECONDS
    while not folder.address.exists():
        gone = not is_alive(folder) and (process is None or process.poll() is not None)
        if gone or time.monotonic() > deadline:
            if process:
                process.terminate()
            raise ServerEnded(f"the {kind} server of this machine did not start. The end of its log:\n{_tail(folder)}")
        time.sleep(0.05)
    if process and process.returncode is None:
        process.returncode = 0  # not true: it outlives this process on purpose, and Python would warn otherwise
    return json.loads(folder.address.read_text())


def _tell_if_ended(folder: ServerFolder, kind: str, lives: Callable[[], bool], error: Exception) -> None:
    """Say that the server ended, where that is why something failed."""
    deadline = time.monotonic() + _END_SECONDS
    while lives():
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)
    why = json.loads(folder.ended.read_text()) if folder.ended.exists() else "it was killed"
    if why == "memory":
        raise MemoryError(f"the {kind} server of this machine ran out of memory") from error
    raise ServerEnded(f"the {kind} server of this machine ended ({why}), and a later try starts another") from error


def _tail(folder: ServerFolder) -> str:
    lines = folder.log.read_text(errors="replace").splitlines() if folder.log.exists() else []
    return "\n".join(lines[-_LOG_LINES:])
