"""What the API does when much is asked of it, and where its cache is another server."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from include.contract.ddl import create_table
from include.ledger.locks import held
from include.settings import settings
from include.sources import shop_tables
from tests.conftest import Database
from tests.ports import free_port
from tests.serve.conftest import airflow_of, problem, published, token_of
from transforms.registry import TABLES

pytestmark = pytest.mark.long
REDIS = shutil.which("redis-server")
TABLES_LIST = "/stocktake/api/v1/tables"
ROWS = f"{TABLES_LIST}/reporting.orders/rows"


@pytest.fixture
def warehouse(ledger: Database) -> Database:
    """A warehouse with an empty published table."""
    with ledger.connect("loader") as connection:
        connection.execute(create_table(shop_tables([TABLES["orders"].table], settings().sources)[0]))
    published(ledger, "a-night")
    return ledger


def _visitor(airflow: httpx.Client, user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(airflow, user)}"}


def test_a_locked_table_keeps_a_few_waiting_and_turns_the_rest_away(warehouse: Database, tmp_path: Path) -> None:
    with airflow_of(warehouse, tmp_path) as airflow:
        users = [_visitor(airflow, user) for user in ("viewer", "operator", "admin")]
        with psycopg.connect(warehouse.url("loader")) as holder:
            holder.execute("lock table reporting.orders in access exclusive mode")
            with ThreadPoolExecutor(6) as readers:
                answers = list(readers.map(lambda login: airflow.get(ROWS, headers=login), users * 2))
        details = sorted(answer.json()["detail"].split(":")[0] for answer in answers)
        assert {answer.status_code for answer in answers} == {503}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        none_free = "no connection to the warehouse was free or to be had in 5 s"
        assert details == [none_free] * 2 + ["the answer took longer than 10 s"] * 4
        assert airflow.get(ROWS, headers=users[0]).status_code == 200


def test_a_user_leaves_others_a_connection(warehouse: Database, tmp_path: Path) -> None:
    with airflow_of(warehouse, tmp_path) as airflow:
        viewer, operator = _visitor(airflow, "viewer"), _visitor(airflow, "operator")
        with psycopg.connect(warehouse.url("loader")) as holder:
            holder.execute("lock table reporting.orders in access exclusive mode")
            with ThreadPoolExecutor(8) as readers:
                asked = [readers.submit(airflow.get, ROWS, headers=viewer) for _ in range(8)]
                time.sleep(2)  # all are asked, none is answered
                begun = time.monotonic()
                assert airflow.get(TABLES_LIST, headers=operator).status_code == 200
                assert time.monotonic() - begun < 4
                answers = [one.result() for one in asked]
        details = sorted(answer.json()["detail"].split(":")[0] for answer in answers)
        assert {answer.status_code for answer in answers} == {503}
        mine = "your other requests took longer than 15 s"
        assert details == ["the answer took longer than 10 s"] * 4 + [mine] * 4
        assert airflow.get(ROWS, headers=viewer).status_code == 200


def test_readers_give_way_while_something_is_published(warehouse: Database, tmp_path: Path) -> None:
    with airflow_of(warehouse, tmp_path) as airflow, ThreadPoolExecutor(100) as readers:
        viewer = _visitor(airflow, "viewer")

        def ask(_: int) -> httpx.Response:
            return airflow.get(ROWS, headers=viewer, timeout=60)

        with psycopg.connect(warehouse.url("analyst"), application_name="stocktake: publish"):
            time.sleep(1)  # until the API looks again
            assert {ask(number).status_code for number in range(2)} == {200}
            assert {answer.status_code for answer in readers.map(ask, range(150))} == {200}, "anyone can say so"
        with held("publish"):
            time.sleep(1)
            assert ask(0).status_code == 200
            answers = list(readers.map(ask, range(150)))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert 0 < len(refused) < 150
        for answer in refused:
            assert problem(answer, 503)["detail"].startswith("something is being published, and readers give way")
            assert answer.headers["retry-after"] == "15"
        time.sleep(1)
        assert ask(0).status_code == 200
        assert {answer.status_code for answer in readers.map(ask, range(150))} == {200}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis server: where it is, and its process."""
    if REDIS is None:
        pytest.skip("Debian's redis-server is not here")
    port = free_port()
    command = [REDIS, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        yield f"redis://127.0.0.1:{port}/0", server
        server.kill()


def test_who_asks_too_often_waits_and_a_cache_that_dies_stops_nobody(
    warehouse: Database, tmp_path: Path, redis: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, server = redis
    home = tmp_path / "airflow"
    home.mkdir()
    with airflow_of(warehouse, home, STOCKTAKE_API_RATE="3/hour", STOCKTAKE_CACHE_URL=url) as airflow:
        viewer, operator = _visitor(airflow, "viewer"), _visitor(airflow, "operator")
        assert [airflow.get(ROWS, headers=viewer).status_code for _ in range(3)] == [200] * 3
        refused = airflow.get(ROWS, headers=viewer)
        assert refused.status_code == 429
        assert 3000 < int(refused.headers["retry-after"]) <= 3600
        assert airflow.get(ROWS, headers=operator).status_code == 200
        server.kill()
        server.wait()
        assert airflow.get(ROWS, headers=viewer).status_code == 200
