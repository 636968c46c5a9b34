"""Getting ready: an empty shop is filled; a filled one is left alone, or gets the columns that it lacks."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import psycopg
import pytest

from include.demo_shop.history import fill_history
from include.demo_shop.schema import create_schema
from include.local import readiness
from include.local.embedded_postgres import Cluster
from include.local.environment import process_environment, variables
from include.local.profile import SHOPS, Profile
from tests.conftest import SMALL
from tests.demo_shop.test_schema import forget_added_columns
from tests.nights import LAST_DAY

_CHANNELS = "select count(*), count(channel) from orders"


@pytest.fixture
def profile(tmp_path: Path, cluster: Cluster) -> Profile:
    """The demo shop in databases of its own, whose Airflow is migrated."""
    profile = Profile("readiness", SHOPS["demo_shop"], tmp_path)
    profile.airflow_home.mkdir()
    cluster.provision(**profile.databases)
    readiness._set_comment(cluster, profile.databases["airflow"], importlib.metadata.version("apache-airflow"))
    return profile


def test_a_shop_that_was_filled_before_a_column_existed_gets_it_once(profile: Profile, cluster: Cluster) -> None:
    environment = process_environment(variables(profile, cluster, {}, port=8080), cluster)
    said: list[str] = []
    with psycopg.connect(environment["STOCKTAKE_SHOPKEEPER_URL"], autocommit=True) as shop:
        create_schema(shop)
        with shop.transaction():
            fill_history(shop, last_day=LAST_DAY, size=SMALL)
        forget_added_columns(shop)

        readiness.prepare(profile, cluster, environment, said.append)

        assert said == ["Bringing the tables of the shop readiness up to date"]
        rows = shop.execute(_CHANNELS).fetchone()
        assert rows is not None
        assert rows[0] > 1000
        assert rows[1] == 0
        readiness.prepare(profile, cluster, environment, said.append)
        assert len(said) == 1
