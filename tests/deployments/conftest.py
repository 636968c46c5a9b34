"""A Stocktake as docker-compose.yaml says, and the demo shop that it reads."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest

from include.local.embedded_postgres import SUPERUSER, Cluster
from tests.deployments.processes import Deployment, Running
from tests.end_to_end.conftest import PATIENCE_SECONDS, ZONE, Stack

LAKE_KEY, LAKE_SECRET = "stocktake", "s3cret-of-the-lake"
# What .env says of a Stocktake whose workers are on other machines.
CELERY: Final[Mapping[str, str]] = {"AIRFLOW_EXECUTOR": "CeleryExecutor", "AIRFLOW_PARALLELISM": "4"}
BUCKET: Final[Mapping[str, str]] = {
    "STOCKTAKE_LAKE": "s3://stocktake/lake",
    "STOCKTAKE_LAKE_ENDPOINT": "http://seaweedfs:8333",
    "STOCKTAKE_LAKE_REGION": "us-east-1",
    "STOCKTAKE_LAKE_KEY_ID": LAKE_KEY,
    "STOCKTAKE_LAKE_SECRET": LAKE_SECRET,
    "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
    "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": "s3://stocktake/logs",
    "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "stocktake_logs",
    "AIRFLOW_CONN_STOCKTAKE_LOGS": (
        f'{{"conn_type": "aws", "login": "{LAKE_KEY}", "password": "{LAKE_SECRET}",'
        ' "extra": {"endpoint_url": "http://seaweedfs:8333", "region_name": "us-east-1"}}'
    ),
}


@dataclass(frozen=True)
class Deployed(Stack):
    """A Stocktake that runs as the file says.

    Attributes:
        deployment: its processes.
    """

    deployment: Deployment = field(repr=False)

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
        answer = self.api("PATCH", "dags/nightly", json={"is_paused": False})
        assert answer.status_code == 200, answer.text
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := [run for run in self.runs() if run["run_type"] == "scheduled"]):
            assert time.monotonic() < deadline, "the schedule makes no run"
            time.sleep(0.5)
        return self._well(found[0]["dag_run_id"])

    def night(self, **conf: Any) -> str:
        """Run a night, and its features, to their end; its run id."""
        answer = self.trigger(**conf)
        assert answer.status_code == 200, answer.text
        return self._well(answer.json()["dag_run_id"])

    def _well(self, run: str) -> str:
        assert self.ended(run) == "success", self.tasks(run)
        assert self.features_of(run)["state"] == "success"
        return run


@contextmanager
def deployed(
    folder: Path, cluster: Cluster, profiles: tuple[str, ...] = (), variables: Mapping[str, str] = {}
) -> Iterator[Deployed]:
    """A Stocktake with an empty warehouse, on the shop that the cluster has."""
    _empty(cluster, "airflow", "warehouse")
    deployment = Deployment(folder, cluster, {"STOCKTAKE_TIMEZONE": ZONE, **variables}, profiles)
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


@pytest.fixture(scope="package")
def shop_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The Postgres of these deployments, with the demo shop once one of them has filled it."""
    cluster = Cluster(tmp_path_factory.mktemp("deployments") / "postgres", {"max_connections": "200"})
    cluster.folder.mkdir()
    cluster.start()
    cluster.provision()
    yield cluster
    cluster.stop()
    shutil.rmtree(cluster.home)


@pytest.fixture(scope="package")
def local_night(shop_server: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of every table after a night, and its features, on one machine with a lake in a folder."""
    with deployed(tmp_path_factory.mktemp("local") / "of", shop_server, ("shop",)) as stack:
        stack.first_night()
        return stack.digests()


@pytest.fixture(scope="package")
def workers(
    shop_server: Cluster, local_night: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """Two workers that have databases and object store in common, and nothing else; no night has run yet."""
    assert local_night
    with deployed(
        tmp_path_factory.mktemp("celery") / "of", shop_server, ("celery", "s3"), {**CELERY, **BUCKET}
    ) as stack:
        yield stack
