"""Every service of docker-compose.yaml, run by its command and asked something that no other could answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import httpx
import psycopg
import pytest
import yaml
from distributed import Client
from redis import Redis
from redis.exceptions import AuthenticationError

from include.local.embedded_postgres import HOST, Cluster
from include.settings import Parameters
from tests.deployments import compose
from tests.deployments.processes import Deployment
from tests.deployments.stack import SHAPES, Deployed, Shape
from tests.object_server import ObjectServer

# The programs of Debian's packages that stand for some images, or that their checks run.
NEEDS: Final = {"valkey": "redis-server", "seaweedfs": "wget", "prometheus": "prometheus"}
NAMES: Final = tuple(yaml.safe_load(compose.FILE.read_text())["services"])
TOKEN = "of-prometheus-and-long-enough-to-be-one"  # noqa: S105 - of the test
WITHOUT_AIRFLOW: Final = SHAPES["clusters"] | Shape(
    ("celery", "watch"), {"STOCKTAKE_METRICS_TOKEN": TOKEN, "STOCKTAKE_LEAD_TIME_DAYS": "9"}
)
# In a process of its own: this one may hold a session of Spark's already.
QUERY = """
import sys
from pyspark.sql.connect.session import SparkSession
spark = SparkSession.builder.remote(sys.argv[1]).create()
print(spark.sql("select 6 * 7").collect()[0][0], spark.range(5).mapInArrow(lambda rows: rows, "id long").count())
spark.stop()
"""


@pytest.fixture(scope="module")
def alone(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The services that need no Airflow, none of them started."""
    folder = tmp_path_factory.mktemp("services")
    deployment = Deployment(folder, cluster, WITHOUT_AIRFLOW.variables, WITHOUT_AIRFLOW.profiles)
    yield deployment
    deployment.stop()


def _valkey(alone: Deployment) -> None:
    port = alone.port("valkey", 6379)
    with Redis(HOST, port, password=alone.variables["AIRFLOW_PASSWORD"]) as broker:
        assert broker.ping()
    with Redis(HOST, port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()


def _seaweedfs(alone: Deployment) -> None:
    server = ObjectServer(f"http://{HOST}:{alone.port('seaweedfs', 8333)}", alone.running["seaweedfs"].process)
    bucket = server.bucket("asked")
    bucket.put("lake/file", b"of the test")
    assert [file["path"] for batch in bucket.list() for file in batch] == ["lake/file"]
    assert httpx.get(server.endpoint).status_code == 403


def _dask_scheduler(alone: Deployment) -> None:
    alone.start("dask-worker")
    with _dask(alone) as client:
        assert len(client.scheduler_info()["workers"]) == 1


def _dask_worker(alone: Deployment) -> None:
    """It computes with the shop's parameters, and knows no password."""
    with _dask(alone) as client:
        assert client.submit(_lead_time).result(timeout=30) == 9
        (told,) = client.run(_environment).values()
    _knows_no_secret(alone, told)


def _dask(alone: Deployment) -> Client:
    return Client(f"tcp://{HOST}:{alone.port('dask-scheduler', 8786)}", timeout=30)


def _lead_time() -> int:
    return Parameters().lead_time_days


def _environment() -> dict[str, str]:
    return dict(os.environ)


def _spark_connect(alone: Deployment) -> None:
    """It answers, and runs Python."""
    remote = f"sc://localhost:{alone.port('spark-connect', 15002)}"
    done = subprocess.run(
        [sys.executable, "-c", QUERY, remote], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.split() == ["42", "5"], done.stderr
    _knows_no_secret(alone, alone.running["spark-connect"].environment)


def _knows_no_secret(alone: Deployment, told: Mapping[str, str]) -> None:
    secrets = [value for name, value in alone.variables.items() if name.endswith(("PASSWORD", "SECRET", "KEY"))]
    assert len(secrets) >= 10
    assert [value for value in told.values() if any(secret in value for secret in secrets)] == []


def _prometheus(alone: Deployment) -> None:
    """It has the rules and asks the API server; its token is told to nobody, and reading is tested in ``serve``."""
    with httpx.Client(base_url=f"http://{HOST}:{alone.port('prometheus', 9090)}/api/v1", trust_env=False) as asked:
        (group,) = asked.get("/rules").json()["data"]["groups"]
        assert "StocktakeNightFailed" in {rule["name"] for rule in group["rules"]}
        config = asked.get("/status/config").json()["data"]["yaml"]
        (job,) = yaml.safe_load(config)["scrape_configs"]
        assert job["static_configs"] == [{"targets": [alone.url.removeprefix("http://")]}]
        assert TOKEN not in config
    token = alone.running["prometheus"].folder / "tmp" / "metrics_token"
    assert token.read_text().strip() == TOKEN
    assert token.stat().st_mode & 0o077 == 0


ALONE: Final[Mapping[str, Callable[[Deployment], None]]] = {
    "valkey": _valkey,
    "seaweedfs": _seaweedfs,
    "dask-scheduler": _dask_scheduler,
    "dask-worker": _dask_worker,
    "spark-connect": _spark_connect,
    "prometheus": _prometheus,
}


def _postgres(workers: Deployed) -> None:
    """Its stand-in has the settings of the command, and what databases.sql makes of an empty one."""
    shop, warehouse = (workers.variables[f"STOCKTAKE_{name}_URL"] for name in ("SHOP", "WAREHOUSE"))
    for role, url in {"airflow": workers.metadata, "extractor": shop, "loader": warehouse}.items():
        with psycopg.connect(url) as connection:
            answer = connection.execute(
                "select current_user::text, current_setting('TimeZone'), current_setting('jit')"
            )
            assert answer.fetchall() == [(role, "UTC", "off")]


def _airflow_init(workers: Deployed) -> None:
    """Airflow's tables are those of its version."""
    init = workers.deployment.running["airflow-init"]
    subprocess.run(
        ["airflow", "db", "check-migrations", "--migration-wait-timeout", "0"],
        env=dict(init.environment), cwd=init.folder, capture_output=True, check=True,
    )  # fmt: skip


def _api_server(workers: Deployed) -> None:
    """Whoever has a password is let in, with it alone."""
    login = {"username": "viewer", "password": workers.deployment.variables["AIRFLOW_VIEWER_PASSWORD"]}
    assert httpx.post(f"{workers.deployment.url}/auth/token", json=login).status_code == 201
    assert httpx.post(f"{workers.deployment.url}/auth/token", json=login | {"password": "-"}).status_code == 401
    assert _is_healthy(workers, "metadatabase")


def _scheduler(workers: Deployed) -> None:
    assert _is_healthy(workers, "scheduler")
    assert workers.deployment.running["scheduler"].environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"


def _dag_processor(workers: Deployed) -> None:
    """It has read every DAG."""
    assert _is_healthy(workers, "dag_processor")
    assert {"nightly", "features"} <= {dag["dag_id"] for dag in workers.api("GET", "dags").json()["dags"]}
    assert workers.api("GET", "importErrors").json()["total_entries"] == 0


def _triggerer(workers: Deployed) -> None:
    assert _is_healthy(workers, "triggerer")


def _is_healthy(workers: Deployed, part: str) -> bool:
    answer = httpx.get(f"{workers.deployment.url}/api/v2/monitor/health")
    return bool(answer.json()[part]["status"] == "healthy")


def _worker(workers: Deployed) -> None:
    """Each takes two tasks at once from the queue of this machine."""
    for worker in _seen_by_flower(workers).values():
        assert [queue["name"] for queue in worker["active_queues"]] == ["default"]
        assert worker["stats"]["pool"]["max-concurrency"] == 2


def _flower(workers: Deployed) -> None:
    """It shows both workers, to the admin alone, and knows no password but the broker's and that one."""
    url = f"http://{HOST}:{workers.deployment.port('flower', 5555)}/api/workers"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=("admin", "-")).status_code == 401
    assert set(_seen_by_flower(workers)) == {"celery@worker-1", "celery@worker-2"}
    told = workers.deployment.running["flower"].environment
    assert not [name for name, value in told.items() if "postgresql" in value or name.startswith("STOCKTAKE_")]


def _seen_by_flower(workers: Deployed) -> dict[str, Any]:
    url = f"http://{HOST}:{workers.deployment.port('flower', 5555)}/api/workers"
    admin = ("admin", workers.deployment.variables["AIRFLOW_ADMIN_PASSWORD"])
    found: dict[str, Any] = httpx.get(url, params={"refresh": "1"}, auth=admin, timeout=60).json()
    return found


def _shop(workers: Deployed) -> None:
    """It has a past."""
    with psycopg.connect(workers.variables["STOCKTAKE_SHOP_URL"]) as shop:
        ((orders,),) = shop.execute("select count(*) from orders").fetchall()
    assert orders > 10_000


WITH_AIRFLOW: Final[Mapping[str, Callable[[Deployed], None]]] = {
    "postgres": _postgres,
    "airflow-init": _airflow_init,
    "api-server": _api_server,
    "scheduler": _scheduler,
    "dag-processor": _dag_processor,
    "triggerer": _triggerer,
    "worker": _worker,
    "flower": _flower,
    "shop": _shop,
}
# No package that this project's machines can have brings Grafana: its files are checked in tests/serve.
NOT_RUN: Final = {"grafana"}


def test_every_service_is_asked() -> None:
    assert NAMES
    assert sorted([*ALONE, *WITH_AIRFLOW, *NOT_RUN]) == sorted(NAMES)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name == "spark-connect" else name for name in ALONE]
)
def test_a_service_without_airflow_answers_and_is_well(alone: Deployment, name: str) -> None:
    begin(alone, name)
    ALONE[name](alone)
    assert alone.health(name)[0]


@pytest.mark.parametrize("name", ["valkey", "seaweedfs", "dask-scheduler", "prometheus"])
def test_a_service_that_is_gone_is_not_called_well(alone: Deployment, name: str) -> None:
    begin(alone, name)
    alone.running[name].kill()
    assert not alone.health(name)[0]


def begin(alone: Deployment, name: str) -> None:
    """Start a service, where its program is on this machine."""
    if shutil.which(NEEDS.get(name, "sh")) is None:
        pytest.skip(f"Debian's {NEEDS[name]} is not here")
    alone.start(name)


@pytest.mark.long
@pytest.mark.parametrize("name", WITH_AIRFLOW)
def test_a_service_of_airflow_answers(workers: Deployed, name: str) -> None:
    WITH_AIRFLOW[name](workers)


@pytest.mark.long
def test_what_lasts_is_called_well(workers: Deployed) -> None:
    lasting = [name for name, one in workers.deployment.running.items() if one.process.poll() is None]
    assert {"api-server", "scheduler", "dag-processor", "triggerer", "worker-1", "worker-2", "flower"} <= set(lasting)
    assert [name for name in lasting if not workers.deployment.health(name)[0]] == []
