"""A Stocktake that runs as docker-compose.yaml says, in one of the shapes that a deployment may have."""

from __future__ import annotations

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

from include.local.embedded_postgres import SUPERUSER, Cluster
from tests.deployments.processes import Deployment, Running
from tests.end_to_end.conftest import ZONE, Stack


@dataclass(frozen=True)
class Shape:
    """A way to deploy: the profiles of docker-compose.yaml, and what .env says beside secrets."""

    profiles: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __or__(self, other: Shape) -> Shape:
        """Both at once."""
        return Shape((*self.profiles, *other.profiles), {**self.variables, **other.variables})


_KEY, _SECRET = "stocktake", "s3cret-of-the-lake"
_BUCKET: Final = Shape(
    ("s3",),
    {
        "STOCKTAKE_LAKE": "s3://stocktake/lake",
        "STOCKTAKE_LAKE_ENDPOINT": "http://seaweedfs:8333",
        "STOCKTAKE_LAKE_REGION": "us-east-1",
        "STOCKTAKE_LAKE_KEY_ID": _KEY,
        "STOCKTAKE_LAKE_SECRET": _SECRET,
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": "s3://stocktake/logs",
        "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "stocktake_logs",
        "AIRFLOW_CONN_STOCKTAKE_LOGS": (
            f'{{"conn_type": "aws", "login": "{_KEY}", "password": "{_SECRET}",'
            ' "extra": {"endpoint_url": "http://seaweedfs:8333", "region_name": "us-east-1"}}'
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
        rows = self.warehouse(
            "select distinct on (schema_name, table_name) schema_name || '.' || table_name, digest::text"
            " from audit.builds join audit.runs using (run_id) order by schema_name, table_name, started_at desc"
        )
        return dict(rows)

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

    def night(self, **conf: Any) -> str:
        """Run a night, and its features, to their end; its run id."""
        return self.well(self.begun(**conf))

    def begun(self, **conf: Any) -> str:
        """Trigger a night; its run id."""
        answer = self.trigger(**conf)
        assert answer.status_code == 200, answer.text
        self._let_nights_run()
        return str(answer.json()["dag_run_id"])

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
    cluster = Cluster(folder, {"max_connections": "200"})
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
            yield stack
    finally:
        deployment.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _empty(cluster: Cluster, *names: str) -> None:
    with psycopg.connect(cluster.url("postgres", SUPERUSER), autocommit=True) as server:
        for name in names:
            server.execute(f"drop database if exists {name} with (force)".encode())
    cluster.provision()
