"""The environment of every process of a profile, and the user's own variables in it."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from dotenv import dotenv_values

from include.local.embedded_postgres import HOST, Cluster, SecretFile
from include.local.profile import Profile, profile_named, state_folder
from include.settings import ROOT

USERS = {"admin": "admin", "viewer": "viewer"}  # who may log in, and their role
# Digests of the variables that `make env` generated, so that a shell that evaluated them can still run another profile,
# or this one after its port has changed.
_GENERATED = "STOCKTAKE_GENERATED"
# What counts of a shell's variables; of those of Airflow only what names a collector, or a queue of closed days.
_OWN = (
    "STOCKTAKE_",
    "OTEL_",
    "AIRFLOW__TRACES__",
    "AIRFLOW__METRICS__",
    "AIRFLOW__OPENLINEAGE__",
    "AIRFLOW_CONN_STOCKTAKE_",
)
# How Airflow tells collectors what it does, once it is told to (see .env.example); docker-compose.yaml has the same.
TELEMETRY: Mapping[str, str] = MappingProxyType(
    {
        "OTEL_SERVICE_NAME": "stocktake",
        # gRPC, the default of both, does not outlive the forks that tasks are.
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp_proto_http",
        # Seconds, 10 by default. A task sends spans and metrics when it ends: to a collector that is away it loses a
        # second, and in less than 0.8 s nothing is tried twice.
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5",
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "stocktake",
        "AIRFLOW__OPENLINEAGE__EXTRACTORS": "include.lineage.extractor.LedgerExtractor",
        # A fork of a task's process, the default, costs more than the event that it sends.
        "AIRFLOW__OPENLINEAGE__EXECUTE_IN_THREAD": "True",
        "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": "2",  # seconds, 10 by default: for each of a task's two events
    }
)


def own_variables(environment: Mapping[str, str], dotenv: Path = ROOT / ".env") -> dict[str, str]:
    """The variables that the user set; they override the defaults.

    From ``environment`` only ``STOCKTAKE_…`` count, and what names a collector or a queue: an ``AIRFLOW_HOME`` there
    belongs to another project. All of the file ``dotenv`` counts, because it is this project's; the environment
    overrides it.
    """
    generated = set(environment.get(_GENERATED, "").split())
    chosen = {
        name: value
        for name, value in environment.items()
        if name.startswith(_OWN) and name != _GENERATED and _digest(name, value) not in generated
    }
    return {name: value for name, value in {**dotenv_values(dotenv), **chosen}.items() if value}


def asked_profile() -> Profile:
    """The profile of the shop that the variable ``SHOP`` names, else of the user's own ``STOCKTAKE_SOURCES``.

    Raises:
        StandaloneError: When there is no such shop.
    """
    sources = own_variables(os.environ).get("STOCKTAKE_SOURCES", "")
    return profile_named(asked_shop(), state_folder(), sources)


def asked_shop() -> str:
    """The shop that the variable ``SHOP`` names; empty where it names none."""
    return os.environ.get("SHOP", "")


def variables(profile: Profile, cluster: Cluster, own: Mapping[str, str], port: int) -> dict[str, str]:
    """Every variable that a process of ``profile`` needs beyond the ones any program has.

    Args:
        profile: The profile.
        cluster: The embedded Postgres; it was started at least once.
        own: Variables that override the defaults, see ``own_variables``.
        port: The port of Airflow's API server.
    """
    defaults = _stocktake(profile, cluster, own) | _airflow(profile, cluster, port)
    return {
        **defaults,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "",  # if set, importing Airflow takes 5 s instead of 1.4 s
        **own,
        _GENERATED: " ".join(_digest(name, value) for name, value in defaults.items() if name not in own),
    }


def to_read_alone(profile: Profile, own: Mapping[str, str]) -> dict[str, str]:
    """The variables of a command that reads a shop of one's own and nothing else: no server of this machine is needed.

    Args:
        profile: The shop's.
        own: Variables that override the defaults, see ``own_variables``; the shop's URL is among them.
    """
    return {
        "STOCKTAKE_SOURCES": str(profile.sources),
        "STOCKTAKE_TIMEZONE": profile.shop.timezone,
        "STOCKTAKE_WAREHOUSE_URL": f"postgresql://{HOST}/",  # nobody is asked there
        "GX_ANALYTICS_ENABLED": "false",
        **own,
    }


def process_environment(given: Mapping[str, str], cluster: Cluster) -> dict[str, str]:
    """The environment for ``subprocess``: this process's own, without another Airflow's, plus ``given``."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "STOCKTAKE_", "PG"))
    }
    inherited["PATH"] = os.pathsep.join([*_program_folders(cluster), os.environ.get("PATH", os.defpath)])
    for name in ("NO_PROXY", "no_proxy"):  # tasks talk to the API server, which no proxy can reach
        inherited[name] = ",".join(filter(None, [os.environ.get(name), HOST, "localhost"]))
    return {**inherited, **given}


def export_lines(given: Mapping[str, str], cluster: Cluster) -> list[str]:
    """``export`` lines for a POSIX shell, PATH last."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(given.items())]
    folders = shlex.quote(os.pathsep.join(_program_folders(cluster)))
    return [*lines, f'export PATH={folders}{os.pathsep}"$PATH"']


def fingerprint(given: Mapping[str, str]) -> str:
    """A digest of all variables; processes with another digest run with old settings."""
    return _digest(*(f"{name}={value}" for name, value in sorted(given.items())))


def login(profile: Profile) -> dict[str, str]:
    """The password of each user of Airflow's pages."""
    return {user: _logins(profile).get(user) for user in USERS}


def _stocktake(profile: Profile, cluster: Cluster, own: Mapping[str, str]) -> dict[str, str]:
    shop, warehouse = profile.databases["shop"], profile.databases["warehouse"]
    found = {
        "STOCKTAKE_LAKE": str(profile.lake),
        "STOCKTAKE_SOURCES": str(profile.sources),
        "STOCKTAKE_TIMEZONE": profile.shop.timezone,
        "GX_ANALYTICS_ENABLED": "false",
    }
    if "://" not in own.get("STOCKTAKE_LAKE", ""):  # otherwise they lie beside it
        found["STOCKTAKE_REPORTS"] = str(profile.reports)
    if "STOCKTAKE_SHOP_URL" not in own:  # only the embedded shop has an owner's URL
        found["STOCKTAKE_SHOP_URL"] = cluster.url(shop, "extractor")
        found["STOCKTAKE_SHOPKEEPER_URL"] = cluster.url(shop, "shopkeeper")
    if "STOCKTAKE_WAREHOUSE_URL" not in own:
        found["STOCKTAKE_WAREHOUSE_URL"] = cluster.url(warehouse, "loader")
        found["STOCKTAKE_ANALYST_URL"] = cluster.url(warehouse, "analyst")
    return found


def _airflow(profile: Profile, cluster: Cluster, port: int) -> dict[str, str]:
    home = profile.airflow_home
    keys = SecretFile(home / "secrets.json")
    metadata = cluster.url(profile.databases["airflow"], "airflow")
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # One more than processors, as a slot may wait for the end of its task; 32 idle workers are the default.
        "AIRFLOW__CORE__PARALLELISM": str(min(4, (os.cpu_count() or 1) + 1)),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
        # 5 s and 5 tries are the defaults: on two busy cores a server that starts again needs longer.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "10",
        # A task's process that closes its sockets a moment before it ends keeps its slot until the next heartbeat. By
        # default that is 5 s, after four to ten of a night's 47 tasks. The API server may be away as long as before.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "15",
        "AIRFLOW__CORE__FERNET_KEY": keys.get("fernet", _fernet_key),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(login_file(profile)),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata.replace("postgresql://", "postgresql+psycopg2://"),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
        "AIRFLOW__API__SECRET_KEY": keys.get("api"),
        "AIRFLOW__API_AUTH__JWT_SECRET": keys.get("jwt", lambda: secrets.token_urlsafe(64)),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",  # ten chained tasks: 6 s instead of 12
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        **TELEMETRY,
    }


def login_file(profile: Profile) -> Path:
    """The file with the passwords."""
    return profile.airflow_home / "logins.json"


def _logins(profile: Profile) -> SecretFile:
    return SecretFile(login_file(profile))


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _program_folders(cluster: Cluster) -> list[str]:
    return [str(Path(sys.executable).parent), str(cluster.psql.parent)]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
