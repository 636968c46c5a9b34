"""Clusters that have the object store in common with Airflow's tasks, and no file, build what one machine builds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from include.local.embedded_postgres import Cluster
from tests.deployments.stack import SHAPES, Deployed, deployed, on_engine

pytestmark = pytest.mark.long

WORKS = {"dask": "dask-worker", "spark": "spark-connect"}  # the service whose processes build the tables


@pytest.fixture(params=WORKS)
def clusters(
    request: pytest.FixtureRequest,
    shop_server: Cluster,
    local_night: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployed]:
    """A Stocktake whose tables are all built on a cluster; no night has run yet."""
    assert local_night
    shape = SHAPES["clusters"] | on_engine(request.param)
    with deployed(tmp_path_factory.mktemp("clusters") / "of", shop_server, shape) as stack:
        yield stack


def test_its_tables_are_those_of_a_night_on_one_machine(clusters: Deployed, local_night: dict[str, str]) -> None:
    before = {name: clusters.deployment.running[name].cpu_seconds() for name in WORKS.values()}
    clusters.first_night()
    assert clusters.digests() == local_night
    [(engine,)] = clusters.warehouse("select distinct engine from audit.builds")
    assert {engine} == {*json.loads(clusters.variables["STOCKTAKE_ENGINES"]).values()}
    worked = {name: clusters.deployment.running[name].cpu_seconds() - before[name] for name in WORKS.values()}
    assert max(worked, key=worked.__getitem__) == WORKS[engine]
    assert worked[WORKS[engine]] > 10
    for service in clusters.deployment.running.values():
        if service.name != "seaweedfs":
            assert not list(service.folder.rglob("*.parquet")), service.name
