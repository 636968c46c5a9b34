"""The demo shop of these tests, a night on one machine, and a Stocktake on Celery workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.local.embedded_postgres import Cluster
from tests.deployments.stack import SHAPES, Deployed, databases, deployed


@pytest.fixture(scope="package")
def shop_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The Postgres of these deployments, with the demo shop once one of them has filled it."""
    with databases(tmp_path_factory.mktemp("deployments") / "postgres") as cluster:
        yield cluster


@pytest.fixture(scope="package")
def local_night(shop_server: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of every table after a night, and its features, on one machine with a lake in a folder."""
    with deployed(tmp_path_factory.mktemp("local") / "of", shop_server, SHAPES["local"], fill=True) as stack:
        stack.first_night()
        return stack.digests()


@pytest.fixture(scope="module")
def workers(
    shop_server: Cluster, local_night: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """Two workers that have databases and object store in common, and nothing else; no night has run yet.

    A deployment each for the modules that ask: all use one server's databases, one after the other.
    """
    assert local_night
    with deployed(tmp_path_factory.mktemp("celery") / "of", shop_server, SHAPES["celery"]) as stack:
        yield stack
