"""A table built on real clusters: a scheduler and a worker in processes of their own, as their scripts start them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyspark
import pytest

from include.build.digest import first_difference
from include.settings import ROOT
from tests.ports import free_port
from tests.transforms.conftest import FIRST_DAY, Reporting, Shop, day
from transforms.engines.java import java_home

pytestmark = pytest.mark.usefixtures("own_lake")


SPARK_CLASS = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
PATIENCE_SECONDS = 60.0

# In a process of its own, as a task is: this one may hold a session already.
BUILD = """
import json, sys
from pathlib import Path
from pydantic import SecretStr
from include.sources import SOURCES
from transforms.build import build
from transforms.engines import Local
asked = json.loads(sys.argv[1])
if remote := asked["resources"].get("spark_remote"):
    asked["resources"]["spark_remote"] = SecretStr(remote)
made = build("orders", asked["files"], SOURCES, as_of=asked["as_of"], first_day=lambda: asked["first_day"],
             engine=asked["engine"], into=Path(asked["into"]), resources=Local(**asked["resources"]))
print(json.dumps([str(file) for file in made.files]))
"""


@contextmanager
def running(log: Path, said: str, *command: str, **variables: str) -> Iterator[str]:
    """A process that has said that it is there; gives what of that matched ``said``."""
    environment = {**os.environ, **variables}
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent, env=environment) as process,
    ):
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not (found := re.search(said, log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield found[0]
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture
def drawn(shop: Shop, tmp_path: Path) -> Reporting:
    """The drawn shop's tables on pandas."""
    return Reporting(shop, "2026-01-10", "pandas", tmp_path / "pandas", {})


def check(drawn: Reporting, engine: str, resources: Mapping[str, str], into: Path, **variables: str) -> None:
    """The engine, on a cluster, builds ``orders`` as pandas does."""
    built = drawn.built("orders")
    asked = {
        "files": drawn.files("orders"), "as_of": day("2026-01-10"), "first_day": day(FIRST_DAY),
        "engine": engine, "resources": resources, "into": str(into),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", BUILD, json.dumps(asked)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True, text=True, check=False, timeout=3 * PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = json.loads(done.stdout.splitlines()[-1])
    assert first_difference(built.files, files, built.table, ("pandas", engine)) is None


@pytest.mark.long
def test_a_spark_cluster(drawn: Reporting, tmp_path: Path) -> None:
    local = {"JAVA_HOME": java_home(tmp_path), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_WORKER_DIR": str(tmp_path)}
    master = [SPARK_CLASS, "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", "0"]
    worker = [SPARK_CLASS, "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "-m", "2g"]
    ports = ["--webui-port", "0"]
    with (
        running(tmp_path / "master.log", r"spark://127.0.0.1:\d+", *master, *ports, **local) as url,
        running(tmp_path / "worker.log", "Successfully registered with master", *worker, *ports, url, **local),
    ):
        check(drawn, "spark", {"spark_master": url}, tmp_path / "spark", **local)
        assert "Registering app stocktake" in (tmp_path / "master.log").read_text()
        assert "Asked to launch executor" in (tmp_path / "worker.log").read_text()


@pytest.mark.long
def test_a_spark_connect_server(drawn: Reporting, tmp_path: Path) -> None:
    port = free_port()
    conf = {
        "spark.master": "local[1]", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false", "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }  # fmt: skip
    server = [SPARK_CLASS, "org.apache.spark.deploy.SparkSubmit", *(f"--conf={one}={conf[one]}" for one in conf)]
    server += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    token = {"JAVA_HOME": java_home(tmp_path), "SPARK_CONNECT_AUTHENTICATE_TOKEN": "of-the-server"}
    with running(tmp_path / "server.log", "Spark Connect server started", *server, **token):
        url = f"sc://localhost:{port}/;token="
        check(drawn, "spark", {"spark_remote": f"{url}of-the-server"}, tmp_path / "spark")
        with pytest.raises(AssertionError, match=r"UNAUTHENTICATED|Invalid token|PERMISSION_DENIED"):
            check(drawn, "spark", {"spark_remote": f"{url}of-another"}, tmp_path / "refused")


def test_a_dask_cluster(drawn: Reporting, tmp_path: Path) -> None:
    cli = "distributed.cli.dask_"
    scheduler = [sys.executable, "-m", f"{cli}scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = [sys.executable, "-m", f"{cli}worker", "--nthreads", "1", "--local-directory", str(tmp_path)]
    # What the workers run must be importable there, as on any cluster.
    local = {"PYTHONPATH": str(ROOT)}
    with (
        running(tmp_path / "scheduler.log", r"tcp://127.0.0.1:\d+", *scheduler, **local) as url,
        running(tmp_path / "worker.log", "Registered to", *worker, "--no-dashboard", url, **local),
    ):
        check(drawn, "dask", {"dask_scheduler": url}, tmp_path / "dask")
        assert "Receive client connection" in (tmp_path / "scheduler.log").read_text()
