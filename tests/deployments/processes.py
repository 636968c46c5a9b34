"""Services of docker-compose.yaml as processes of this machine: no container, and nothing in common but what is said.

Every service has folders of its own, also where the file has several share a volume, and ports that are free. So a
worker here is like one on a machine of its own: it shares databases and the object store with the others, and no file.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import psutil

from include.local.embedded_postgres import HOST, Cluster
from include.settings import ROOT
from tests.deployments import compose
from tests.deployments.compose import PORT, Service
from tests.ports import SEAWEEDFS_BESIDE, free_port

_POSTGRES: Final = "postgres"
_SOURCES: Final = "/opt/stocktake"
_HOME: Final = "/opt/airflow"
_START_SECONDS: Final = 180.0
# What goes by another name on this machine.
_PROGRAMS: Final = {"valkey-server": "redis-server", "valkey-cli": "redis-cli"}


@dataclass(frozen=True)
class Running:
    """A process of a service.

    Attributes:
        name: the service's name, with a number where there are several.
        folder: what it has on disk.
        process: the process, which leads a session of its own.
        environment: every variable that it has.
    """

    name: str
    folder: Path
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str] = field(repr=False)

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "log"

    def has(self, pid: int) -> bool:
        """Whether a process is of its session."""
        try:
            return os.getsid(pid) == self.process.pid
        except (ProcessLookupError, PermissionError):
            return False

    def cpu_seconds(self) -> float:
        """The processor time of it and of all that it started and that still runs."""
        found = 0.0
        for process in psutil.process_iter():
            if self.has(process.pid):
                with suppress(psutil.Error):
                    found += sum(process.cpu_times()[:2])
        return found

    def kill(self) -> None:
        """End it and all that it started as a power cut would."""
        while self._killed():  # what forked before it was killed may have left another
            time.sleep(0.05)
        self.process.wait()

    def _killed(self) -> int:
        """Kill what there is of it; how many processes that were."""
        found = 0
        for process in psutil.process_iter(["status"]):
            if self.has(process.pid) and process.info["status"] != psutil.STATUS_ZOMBIE:
                with suppress(psutil.Error):
                    process.kill()
                found += 1
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and all that it started."""
        os.killpg(self.process.pid, number)


class Deployment:
    """Some services of docker-compose.yaml, as processes."""

    def __init__(
        self,
        folder: Path,
        cluster: Cluster,
        variables: Mapping[str, str],
        profiles: tuple[str, ...],
        programs: Path | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            folder: what the processes have on disk.
            cluster: the Postgres that stands for the file's; it runs.
            variables: what ``.env`` says; passwords of the cluster and what may be made up is added.
            profiles: some of the file's.
            programs: the folder of the programs of the image; by default of what runs this.
        """
        self._folder, self._cluster = folder, cluster
        self._installed = programs or Path(sys.executable).parent
        self._ports: dict[tuple[str, int], int] = {}
        passwords = {
            f"{role.upper()}_PASSWORD": _part(cluster.url("postgres", role), "://[^:]*:([^@]*)@") for role in _ROLES
        }
        self.variables = {
            **passwords, **_MADE_UP, "AIRFLOW_URL": f"http://{HOST}:{self.port('api-server', 8080)}", **variables
        }  # fmt: skip
        self.services = compose.services(self.variables, profiles)
        for service in self.services.values():
            for port in PORT.findall(" ".join(service.command)):
                self.port(service.name, int(port))
        self.running: dict[str, Running] = {}
        self._well = {_POSTGRES}

    @cached_property
    def url(self) -> str:
        """Where Airflow's pages are."""
        return f"http://{HOST}:{self.port('api-server', 8080)}"

    def port(self, service: str, port: int) -> int:
        """The port that a service has here for the one that it has in its container."""
        while (service, port) not in self._ports:
            here = free_port(SEAWEEDFS_BESIDE)
            if here not in self._ports.values():
                self._ports[service, port] = here
        return self._ports[service, port]

    def is_at(self, service: str, port: int, here: int) -> None:
        """Have a server that runs stand for a service."""
        self._ports[service, port] = here
        self._well.add(service)

    def start(self, *names: str) -> None:
        """Start services, by default all, each when those that it waits for are well, and wait until they are."""
        self._ports[_POSTGRES, 5432] = int(_part(self._cluster.url("postgres", "airflow"), r":(\d+)/"))
        for name in names or self.services:
            self._begin_all(name)
        for name in names or self.services:
            self._all_well(name)

    def _begin_all(self, name: str) -> None:
        service = self.services[name]
        if name in self._well or any(one in self.running for one in self._names(service)):
            return
        for other in service.waits_for:
            self._begin_all(other)
            self._all_well(other)
        for number in range(1, service.replicas + 1):
            self.begin(name, number)

    def _all_well(self, name: str) -> None:
        if name not in self._well:
            for one in self._names(self.services[name]):
                self.wait(one)
        self._well.add(name)

    def begin(self, name: str, number: int = 1) -> Running:
        """Start one of a service's processes, with what an earlier one left on disk."""
        service = self.services[name]
        called = self._names(service)[number - 1]
        folder = self._folder / called
        environment = self._environment(service, called)
        for place in {*self._places(service, called).values()}:
            place.mkdir(parents=True, exist_ok=True)
        config = Path(environment["AIRFLOW_HOME"]) / "config" / "airflow_local_settings.py"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(compose.image_file(f"{_HOME}/config/airflow_local_settings.py"))
        for target, file in service.files.items():
            Path(self._here(target, service, called)).write_text(self._here(file.read_text(), service, called))
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [self._here(word, service, called) for word in service.command],
                env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.running[called] = Running(called, folder, process, environment)
        return self.running[called]

    def wait(self, name: str) -> None:
        """Wait until a process is well by the check of its service, or has ended where it ends by itself.

        Raises:
            RuntimeError: when it is not, in time; with the end of what it printed.
        """
        running = self.running[name]
        service = self._service(name)
        deadline = time.monotonic() + _START_SECONDS
        said = b""
        while time.monotonic() < deadline:
            code = running.process.poll()
            if code is not None:
                if service.ends and code == 0:
                    return
                break
            if service.health is not None:
                is_well, said = self.health(name)
                if is_well:
                    return
            time.sleep(0.5)
        end = running.log.read_bytes()[-3000:] + said[-1000:]
        raise RuntimeError(f"{name} does not come up:\n{end.decode(errors='replace')}")

    def health(self, name: str) -> tuple[bool, bytes]:
        """Ask a process how it is as its service's check does: whether it is well, and what the check printed."""
        running, service = self.running[name], self._service(name)
        asked = [self._here(word, service, name) for word in service.health or ()]
        with suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                asked, env=dict(running.environment), cwd=running.folder, capture_output=True, timeout=60, check=False
            )
            return done.returncode == 0, done.stdout + done.stderr
        return False, b"It does not answer."

    def _service(self, called: str) -> Service:
        return self.services[called if called in self.services else called.rpartition("-")[0]]

    def memory(self) -> int:
        """Bytes of all its processes now, what they share counted once."""
        found = 0
        for process in psutil.process_iter():
            if any(running.has(process.pid) for running in self.running.values()):
                with suppress(psutil.Error):
                    found += process.memory_full_info().pss
        return found

    def stop(self) -> None:
        """End every process and all that it started, the last first."""
        for running in reversed(self.running.values()):
            running.kill()

    def _names(self, service: Service) -> list[str]:
        if service.replicas == 1:
            return [service.name]
        return [f"{service.name}-{number}" for number in range(1, service.replicas + 1)]

    def _places(self, service: Service, called: str) -> dict[str, Path]:
        """The folders of this machine for those of the container."""
        own = self._folder / called
        mounted = {*service.volumes, *service.memory, *(str(Path(target).parent) for target in service.files)}
        found = {place: own / place.strip("/").replace(f"{_HOME.strip('/')}/", "home/") for place in mounted}
        return {_SOURCES: ROOT, _HOME: own / "home", **found}

    def _environment(self, service: Service, called: str) -> dict[str, str]:
        told = {name: self._here(value, service, called) for name, value in service.environment.items()}
        home = self._places(service, called)[_HOME]
        installed = self._installed if service.ours else Path(sys.executable).parent
        programs = os.pathsep.join([str(self._programs), str(installed), os.environ["PATH"]])
        return {
            "PATH": programs, "HOME": str(home), "LANG": "C.UTF-8", "HOSTNAME": called, "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__PORT": str(self.port("api-server", 8080)), "AIRFLOW__API__HOST": HOST,
            "NO_PROXY": HOST, "no_proxy": HOST, **told,
        }  # fmt: skip

    @cached_property
    def _programs(self) -> Path:
        """A folder with programs under the names that the file has for them."""
        folder = self._folder / "programs"
        folder.mkdir(parents=True, exist_ok=True)
        for name, other in _PROGRAMS.items():
            if (found := shutil.which(name) or shutil.which(other)) and not (folder / name).exists():
                (folder / name).symlink_to(found)
        return folder

    def _here(self, text: str, service: Service, called: str) -> str:
        """What stands in the file, as it is on this machine: folders, hosts and ports."""
        for place, folder in sorted(self._places(service, called).items(), reverse=True):
            text = re.sub(rf"(?<![\w/.]){re.escape(place)}(?=$|[/\s\"':;,])", str(folder), text)
        for (name, port), here in self._ports.items():
            if name == service.name:
                text = re.sub(
                    rf"^{port}$|(?<=127\.0\.0\.1[:/]){port}\b|(?<=port[= ]){port}\b|(?<=-p ){port}\b"
                    rf"|(?<=address=:){port}\b",
                    str(here), text,
                )  # fmt: skip
            text = re.sub(rf"(?<![\w.-]){name}:{port}\b", f"{HOST}:{here}", text)
            if name == _POSTGRES:
                text = re.sub(rf"(?<=@){name}(?=/)", f"{HOST}:{here}", text)
        return text


_ROLES: Final = ("postgres", "airflow", "shopkeeper", "extractor", "loader", "analyst")
_MADE_UP: Final = {
    "AIRFLOW_FERNET_KEY": "ZmVybmV0LWtleS1vZi10aGUtdGVzdHMtMzItYnl0ZXM=",
    "AIRFLOW_API_SECRET": "api-secret-of-the-tests-0123456789",
    "AIRFLOW_JWT_SECRET": "jwt-secret-of-the-tests-0123456789-0123456789-0123456789-0123456789",
    "AIRFLOW_ADMIN_PASSWORD": "password-of-the-admin",
    "AIRFLOW_VIEWER_PASSWORD": "password-of-the-viewer",
}


def _part(url: str, pattern: str) -> str:
    found = re.search(pattern, url)
    assert found is not None
    return found[1]
