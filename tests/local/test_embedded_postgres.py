"""The embedded Postgres: it starts anywhere, survives a kill, keeps its secrets; each role does its part only."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from include.local import embedded_postgres
from include.local.embedded_postgres import NOBODY, ROLES, SUPERUSER, Cluster, EmbeddedPostgresError, kept_port
from tests.conftest import Database

ROOT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that a test may kill."""
    cluster = Cluster(tmp_path / "postgres", settings={"shared_buffers": "16MB"})
    yield cluster
    cluster.stop()
    shutil.rmtree(cluster.home, ignore_errors=True)


def postmaster(cluster: Cluster) -> int:
    return int((cluster.home / "data" / "postmaster.pid").read_text().split()[0])


def scalar(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_start_and_stop_can_be_repeated(own_cluster: Cluster) -> None:
    own_cluster.stop()
    own_cluster.start()
    first = postmaster(own_cluster)
    own_cluster.start()
    assert own_cluster.is_running()
    assert postmaster(own_cluster) == first
    url = own_cluster.url("postgres", SUPERUSER)

    own_cluster.stop()
    own_cluster.stop()
    assert not own_cluster.is_running()

    own_cluster.start()
    assert own_cluster.url("postgres", SUPERUSER) == url, "port and password are kept"


def test_committed_rows_survive_a_killed_postmaster(own_cluster: Cluster) -> None:
    own_cluster.start()
    with psycopg.connect(own_cluster.url("postgres", SUPERUSER)) as connection:
        connection.execute("create table kept as select generate_series(1, 1000) as number")

    os.kill(postmaster(own_cluster), signal.SIGKILL)
    own_cluster.start()

    assert scalar(own_cluster.url("postgres", SUPERUSER), "select sum(number)::int from kept") == 500_500


def test_another_port_is_chosen_when_the_old_one_is_taken(own_cluster: Cluster) -> None:
    own_cluster.start()
    own_cluster.stop()
    old = int((own_cluster.folder / "port").read_text())
    with socket.create_server(("127.0.0.1", old)):
        own_cluster.start()
        assert own_cluster.is_running()
        assert f":{old}/" not in own_cluster.url("postgres", SUPERUSER)


def test_a_free_port_is_kept(tmp_path: Path) -> None:
    record = tmp_path / "port"
    assert kept_port(record) == kept_port(record) == int(record.read_text())


def test_a_cluster_never_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="never started"):
        Cluster(tmp_path).url("shop", "extractor")


def test_a_setting_postgres_refuses_is_reported_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.local.embedded_postgres._RECOVERY_SECONDS", 0.0)
    cluster = Cluster(tmp_path / "postgres", settings={"shared_buffers": "much"})
    with pytest.raises(EmbeddedPostgresError, match="shared_buffers"):
        cluster.start()
    shutil.rmtree(cluster.home)


@as_root
def test_root_starts_it_in_a_folder_that_only_root_may_enter() -> None:
    private = Path(tempfile.mkdtemp(dir="/root"))
    cluster = Cluster(private / "project" / "postgres", settings={"shared_buffers": "16MB"})
    try:
        cluster.start()
        assert cluster.is_running()
        assert private not in cluster.home.parents
        assert cluster.home.stat().st_uid == NOBODY
        assert stat.S_IMODE(cluster.home.stat().st_mode) == 0o700
        assert Path(f"/proc/{postmaster(cluster)}").stat().st_uid == NOBODY
    finally:
        cluster.stop()
        shutil.rmtree(cluster.home)
        shutil.rmtree(private)


@as_root
def test_root_copies_binaries_that_the_server_user_cannot_read(
    own_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = embedded_postgres.reached_by_nobody
    monkeypatch.setattr(embedded_postgres, "reached_by_nobody", lambda path: path.name != "postgres" and reached(path))
    own_cluster.start()
    program = Path(f"/proc/{postmaster(own_cluster)}/exe").resolve()
    assert own_cluster.home in program.parents


@as_root
def test_an_ordinary_user_starts_it_in_its_own_folder() -> None:
    if not embedded_postgres.reached_by_nobody(Cluster(ROOT).psql):
        pytest.skip("another user cannot read this checkout")
    folder = Path(tempfile.mkdtemp(prefix="stocktake-test-", dir="/var/tmp"))
    os.chown(folder, NOBODY, NOBODY)
    script = f"""
        import os, sys
        from pathlib import Path
        from include.local.embedded_postgres import Cluster
        os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
        cluster = Cluster(Path(sys.argv[1]) / "postgres", settings={{"shared_buffers": "16MB"}})
        cluster.start()
        cluster.provision()
        print(cluster.is_running(), cluster.home)
        cluster.stop()
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), folder],
            cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stdout.split() == ["True", str(folder / "postgres" / "server")], done.stderr
    finally:
        shutil.rmtree(folder)


def test_passwords_are_for_the_owner_of_the_folder_only(cluster: Cluster) -> None:
    kept = cluster.folder / "passwords.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    passwords = [psycopg.conninfo.conninfo_to_dict(cluster.url("shop", role))["password"] for role in ROLES]
    assert len(set(passwords)) == len(ROLES)
    shown = repr(cluster) + cluster.log.read_text()
    assert not any(str(password) in shown for password in passwords)


@pytest.mark.parametrize("role", [*ROLES, SUPERUSER])
def test_nobody_enters_without_the_password(cluster: Cluster, role: str) -> None:
    url = cluster.url("postgres", role).replace(":", ":wrong", 2).replace(":wrong//", "://", 1)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_the_extractor_reads_whatever_the_shopkeeper_makes(shop_database: Database) -> None:
    with shop_database.connect("shopkeeper") as shop:
        shop.execute("create table orders as select 1 as order_id")
        shop.execute("create schema stock")
        shop.execute("create table stock.inventory as select 2 as on_hand")
    assert scalar(shop_database.url("extractor"), "select order_id + on_hand from orders, stock.inventory") == 3


@pytest.mark.parametrize(
    "statement",
    [
        "insert into orders values (2)",
        "update orders set order_id = 2",
        "delete from orders",
        "truncate orders",
        "drop table orders",
        "create table mine (id int)",
        "create temporary table mine (id int)",
        "create schema mine",
    ],
)
def test_the_extractor_cannot_write(shop_database: Database, statement: str) -> None:
    with shop_database.connect("shopkeeper") as shop:
        shop.execute("create table orders as select 1 as order_id")
    with shop_database.connect("extractor") as extractor:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            extractor.execute(statement.encode())
        extractor.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            extractor.execute(statement.encode())


def test_the_analyst_reads_what_is_granted_and_writes_nothing(warehouse_database: Database) -> None:
    with warehouse_database.connect("loader") as loader:
        loader.execute("create schema reporting")
        loader.execute("create table reporting.orders as select 1 as order_id")
        loader.execute("grant usage on schema reporting to analyst")
        loader.execute("grant select on reporting.orders to analyst")
        loader.execute("create schema staging")
        loader.execute("create table staging.orders as select 1 as order_id")
    assert scalar(warehouse_database.url("analyst"), "select order_id from reporting.orders") == 1
    with warehouse_database.connect("analyst") as analyst:
        analyst.execute("set default_transaction_read_only = off")
        for statement in ("select * from staging.orders", "delete from reporting.orders", "create table mine (id int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                analyst.execute(statement.encode())


@pytest.mark.parametrize(
    ("database", "roles"),
    [
        ("airflow", {"airflow"}),
        ("shop", {"shopkeeper", "extractor"}),
        ("warehouse", {"loader", "analyst"}),
    ],
)
def test_each_database_admits_its_own_roles_only(cluster: Cluster, database: str, roles: set[str]) -> None:
    admitted = set()
    for role in ROLES:
        try:
            psycopg.connect(cluster.url(database, role)).close()
        except psycopg.OperationalError as refused:
            assert "permission denied for database" in str(refused)  # noqa: PT017 (both outcomes are expected)
        else:
            admitted.add(role)
    assert admitted == roles


def test_a_copied_database_admits_the_same_roles(cluster: Cluster, shop_database: Database) -> None:
    assert scalar(shop_database.url("extractor"), "select current_setting('TimeZone')") == "UTC"
    test_each_database_admits_its_own_roles_only(cluster, shop_database.name, {"shopkeeper", "extractor"})
