"""A Stocktake that runs as docker-compose.yaml says, in one of the shapes that a deployment may have."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import httpx
import psycopg
from psycopg.errors import ObjectInUse
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from include.local.embedded_postgres import SUPERUSER, Cluster
from tests.deployments.compose import postgres_settings
from tests.deployments.processes import Deployment, Running
from tests.end_to_end.conftest import ZONE, Stack
from tests.object_server import KEY_ID, REGION, SECRET
from transforms.registry import TABLES


@dataclass(frozen=True)
class Shape:
    """A way to deploy: the profiles of docker-compose.yaml, and what .env says beside secrets."""

    profiles: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __or__(self, other: Shape) -> Shape:
        """Both at once."""
        return Shape((*self.profiles, *other.profiles), {**self.variables, **other.variables})


DIGESTS: Final = """
    select distinct on (schema_name, table_name) schema_name || '.' || table_name, digest::text
    from audit.builds join audit.runs using (run_id) order by schema_name, table_name, started_at desc
"""
_BUCKET: Final = Shape(
    ("s3",),
    {
        "STOCKTAKE_LAKE": "s3://stocktake/lake",
        "STOCKTAKE_LAKE_ENDPOINT": "http://seaweedfs:8333",
        "STOCKTAKE_LAKE_REGION": REGION,
        "STOCKTAKE_LAKE_KEY_ID": KEY_ID,
        "STOCKTAKE_LAKE_SECRET": SECRET,
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": "s3://stocktake/logs",
        "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "stocktake_logs",
        "AIRFLOW_CONN_STOCKTAKE_LOGS": (
            f'{{"conn_type": "aws", "login": "{KEY_ID}", "password": "{SECRET}",'
            f' "extra": {{"endpoint_url": "http://seaweedfs:8333", "region_name": "{REGION}"}}}}'
        ),
    },
)
_CLUSTERS: Final = Shape(
    ("clusters",),
    {
        "STOCKTAKE_DASK_SCHEDULER": "tcp://dask-scheduler:8786",
        "STOCKTAKE_SPARK_REMOTE": "sc://spark-connect:15002",
    },
)
SHAPES: Final[Mapping[str, Shape]] = {
    "local": Shape(),
    "s3": _BUCKET,
    "celery": _BUCKET | Shape(("celery",), {"AIRFLOW_EXECUTOR": "CeleryExecutor", "AIRFLOW_PARALLELISM": "4"}),
    "clusters": _BUCKET | _CLUSTERS,
}


def on_engine(engine: str) -> Shape:
    """What is added to a shape, so that one engine builds every table."""
    return Shape(variables={"STOCKTAKE_ENGINES": json.dumps(dict.fromkeys(TABLES, engine))})


@dataclass(frozen=True)
class Deployed(Stack):
    """A Stocktake that runs as the file says.

    Attributes:
        deployment: its processes.
    """

    deployment: Deployment = field(repr=False)

    patience_seconds: ClassVar[float] = 1_800.0  # Spark on two cores, through an object store, takes its time

    @cached_property
    def variables(self) -> Mapping[str, str]:
        """What its scheduler has, and where the shop's owner finds the shop."""
        return self.deployment.running["scheduler"].environment

    @property
    def metadata(self) -> str:
        """Where Airflow keeps what it knows."""
        return self.variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")

    def digests(self) -> dict[str, str]:
        """The digest of every table as the newest run built it."""
        return dict(self.warehouse(DIGESTS))

    def workers(self) -> dict[str, Running]:
        """The processes that run tasks, by name."""
        return {name: one for name, one in self.deployment.running.items() if name.startswith("worker")}

    def first_night(self) -> str:
        """Let the schedule run, and wait for the night that it makes of itself and for its features; its run id."""
        self._let_nights_run()
        deadline = time.monotonic() + self.patience_seconds
        while not (found := [run for run in self.runs() if run["run_type"] == "scheduled"]):
            assert time.monotonic() < deadline, "the schedule makes no run"
            time.sleep(0.5)
        return self.well(found[0]["dag_run_id"])

    def begun(self, **conf: Any) -> str:
        """Trigger a night; its run id."""
        answer = self.trigger(**conf)
        assert answer.status_code == 200, answer.text
        self._let_nights_run()
        return str(answer.json()["dag_run_id"])

    def has_read(self, dag: str) -> None:
        """Wait until Airflow knows a DAG, of whatever shop: it is well before it has read the files."""
        deadline = time.monotonic() + self.patience_seconds
        while not self.api("GET", "dags", params={"dag_id_prefix_pattern": dag}).json()["total_entries"]:
            assert time.monotonic() < deadline, f"Airflow reads no {dag}"
            time.sleep(0.5)

    def _let_nights_run(self) -> None:
        answer = self.api("PATCH", "dags/nightly", json={"is_paused": False})
        assert answer.status_code == 200, answer.text

    def well(self, run: str) -> str:
        """Wait until a night and its features have ended as they should; the night's run id."""
        assert self.ended(run) == "success", self.tasks(run)
        assert self.features_of(run)["state"] == "success"
        return run


@contextmanager
def databases(folder: Path) -> Iterator[Cluster]:
    """A Postgres with the databases of a deployment, of which the shop is not filled yet."""
    folder.mkdir()
    cluster = Cluster(folder, {"max_connections": "200", **postgres_settings()})
    cluster.start()
    try:
        cluster.provision()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(cluster.home)


@contextmanager
def deployed(
    folder: Path, cluster: Cluster, shape: Shape, *, fill: bool = False, programs: Path | None = None
) -> Iterator[Deployed]:
    """A Stocktake with an empty warehouse and an empty lake, of which no night has run yet.

    Args:
        folder: what its processes have on disk; removed with this block.
        cluster: the Postgres of its databases.
        shape: how it is deployed.
        fill: whether the shop has to be filled; otherwise it was.
        programs: the folder of the programs of the image; by default of what runs this.
    """
    _empty(cluster, "airflow", "warehouse")
    profiles = (*shape.profiles, "shop") if fill else shape.profiles
    deployment = Deployment(folder, cluster, {"STOCKTAKE_TIMEZONE": ZONE, **shape.variables}, profiles, programs)
    try:
        deployment.start()
        with httpx.Client(base_url=deployment.url, timeout=30, trust_env=False) as airflow:
            stack = Deployed(
                folder, set(), deployment.url, deployment.variables["AIRFLOW_ADMIN_PASSWORD"], airflow, deployment
            )
            stack.has_read("nightly")
            yield stack
    finally:
        deployment.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _empty(cluster: Cluster, *names: str) -> None:
    """Make databases anew.

    Raises:
        ObjectInUse: when another deployment still runs on them; one that has ended is waited for, a minute at most.
    """
    until_free = Retrying(
        retry=retry_if_exception_type(ObjectInUse), stop=stop_after_delay(60), wait=wait_fixed(0.5), reraise=True
    )
    with psycopg.connect(cluster.url("postgres", SUPERUSER), autocommit=True) as server:
        for name in names:
            until_free(server.execute, f"drop database if exists {name}".encode())
    cluster.provision()
