"""What stands behind make: profiles, the environment of a process, and which variables of a person win."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import psutil
import pytest

from include.local import processes
from include.local.airflow_api import Api, DagRun
from include.local.embedded_postgres import Cluster
from include.local.environment import export_lines, own_variables, process_environment, variables
from include.local.profile import SHOPS, Profile, StandaloneError, profile_named, profiles, state_folder
from include.local.readiness import check_settings
from include.settings import ROOT, Settings


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """The demo shop, with its state in a folder whose name a shell would trip over."""
    profile = profile_named("demo-shop", tmp_path / "it's a $HOME")
    profile.airflow_home.mkdir(parents=True)
    return profile


def evaluated(lines: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a POSIX shell after it evaluated ``lines``."""
    script = "\n".join([*lines, "env -0"])
    done = subprocess.run(["/bin/sh", "-euc", script], env=environment, capture_output=True, text=True, check=True)
    return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)


@pytest.mark.parametrize(
    ("given", "name"),
    [("", "demo_shop"), ("demo-shop", "demo_shop"), ("Complete_Journey ", "complete_journey")],
)
def test_a_shop_is_known_by_the_names_people_type(given: str, name: str, tmp_path: Path) -> None:
    assert profile_named(given, tmp_path).name == name


def test_an_unknown_shop_is_refused_and_the_known_are_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "include.local", "env"],
        env={**os.environ, "SHOP": "corner-shop"}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.strip() == (
        "Stocktake: There is no shop called 'corner-shop'. SHOP is one of: demo-shop, complete-journey, medusa."
    )


def test_a_shop_of_ones_own_has_a_lake_and_databases_of_its_own(tmp_path: Path) -> None:
    own = profile_named("", tmp_path, "/elsewhere/Book-Shop")
    assert (own.name, own.comes_along, own.shop.timezone) == ("book_shop", False, "UTC")
    assert own.lake == tmp_path / "book_shop" / "lake"
    assert own.databases["warehouse"] == "book_shop_warehouse"
    assert profile_named("", tmp_path, "include/sources/complete_journey").name == "complete_journey"
    assert profile_named("book-shop", tmp_path, "/elsewhere/Book-Shop").name == "book_shop"


def test_two_shops_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StandaloneError, match="SHOP is demo-shop, and STOCKTAKE_SOURCES names /elsewhere/books"):
        profile_named("demo-shop", tmp_path, "/elsewhere/books")


def test_every_shop_that_ran_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "books" / "airflow").mkdir(parents=True)
    (tmp_path / "postgres" / "server").mkdir(parents=True)
    assert [one.name for one in profiles(tmp_path)] == ["demo_shop", "complete_journey", "books"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["new-shop", "../books"], "A shop cannot be called '../books'"),
        (["new-shop", "/etc"], "A shop cannot be called '/etc'"),
        (["new-shop", ""], "A shop cannot be called ''"),
        (["new-shop", "b" * 41], "at most 40 characters"),
        (["new-shop", "bücher"], "A shop cannot be called 'bücher'"),
        (["new-shop", "orders"], "A shop cannot be called 'orders': a source is."),
        (["new-shop", "demo-shop"], "demo_shop: there is such a folder already, and it is not overwritten"),
    ],
)
def test_a_new_shop_has_a_name_of_its_own(command: list[str], said: str) -> None:
    before = sorted((ROOT / "include" / "sources").iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "include.local", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert sorted((ROOT / "include" / "sources").iterdir()) == before


def test_a_shop_of_ones_own_needs_its_database_named(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STOCKTAKE_")}
    own = {"SHOP": "", "STOCKTAKE_STATE": str(tmp_path / "state"), "STOCKTAKE_SOURCES": str(tmp_path / "books")}
    done = subprocess.run(
        [sys.executable, "-m", "include.local", "map"],
        env={**inherited, **own}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "books is a shop of your own: name its database in STOCKTAKE_SHOP_URL" in done.stderr
    assert not (tmp_path / "state").exists()


def test_each_shop_has_databases_of_its_own(tmp_path: Path) -> None:
    names = [name for shop in SHOPS for name in profile_named(shop, tmp_path).databases.values()]
    assert len(names) == len(set(names)) == 6
    assert profile_named("demo-shop", tmp_path).databases["shop"] == "shop"
    assert profile_named("complete-journey", tmp_path).databases["shop"] == "complete_journey_shop"


def test_export_lines_give_a_shell_exactly_the_variables(profile: Profile, cluster: Cluster) -> None:
    given = variables(profile, cluster, {}, port=8080)
    lines = export_lines(given, cluster)
    assert all(re.match(r"export [A-Za-z_]+=", line) for line in lines)

    found = evaluated(lines, {"PATH": "/usr/bin:/bin"})

    assert {name: found[name] for name in given} == given
    folders = found["PATH"].split(":")
    assert (Path(folders[0]) / "airflow").exists()
    assert (Path(folders[1]) / "psql").exists()
    assert folders[2:] == ["/usr/bin", "/bin"]


def test_the_pipeline_can_read_its_settings_from_it(
    profile: Profile, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables(profile, cluster, {}, port=8080).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.timezone == "Europe/Berlin"
    assert settings.lake == str(profile.lake)
    assert "extractor" in settings.shop_url.get_secret_value()


def test_a_variable_of_ones_own_wins_the_environment_over_the_file(
    profile: Profile, cluster: Cluster, tmp_path: Path
) -> None:
    dotenv = tmp_path / "env"
    dotenv.write_text("STOCKTAKE_TIMEZONE=Asia/Tokyo\nSTOCKTAKE_LAKE=/from/the/file\nSTOCKTAKE_REPORTS=\n")
    own = own_variables({"STOCKTAKE_TIMEZONE": "UTC", "AIRFLOW_HOME": "/of/another/project"}, dotenv)
    found = variables(profile, cluster, own, port=8080)
    assert found["STOCKTAKE_TIMEZONE"] == "UTC"
    assert found["STOCKTAKE_LAKE"] == "/from/the/file"
    assert found["STOCKTAKE_REPORTS"] == str(profile.reports), "an empty variable is none"
    assert found["AIRFLOW_HOME"] == str(profile.airflow_home)


def test_what_names_a_collector_or_a_queue_counts_as_ones_own(
    profile: Profile, cluster: Cluster, tmp_path: Path
) -> None:
    shell = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SERVICE_NAME": "book-shop",
        "AIRFLOW__METRICS__OTEL_ON": "True", "AIRFLOW__OPENLINEAGE__TRANSPORT": '{"type": "console"}',
        "AIRFLOW_CONN_STOCKTAKE_DAY_CLOSED": '{"conn_type": "redis"}',
    }  # fmt: skip
    found = variables(profile, cluster, own_variables(shell, tmp_path / "none"), port=8080)
    assert {name: found[name] for name in shell} == shell
    assert "AIRFLOW__TRACES__OTEL_ON" not in found, "without being told, Airflow sends nothing"


def test_a_shop_of_ones_own_has_no_shopkeeper(profile: Profile, cluster: Cluster) -> None:
    own = {"STOCKTAKE_SHOP_URL": "postgresql://reader@shop.example.com/shop"}
    found = variables(profile, cluster, own, port=8080)
    assert found["STOCKTAKE_SHOP_URL"] == own["STOCKTAKE_SHOP_URL"]
    assert "STOCKTAKE_SHOPKEEPER_URL" not in found


def test_variables_from_make_env_do_not_count_as_ones_own(profile: Profile, cluster: Cluster, tmp_path: Path) -> None:
    shell = variables(profile, cluster, {}, port=8080)
    assert own_variables(shell, tmp_path / "none") == {}
    changed = {**shell, "STOCKTAKE_TIMEZONE": "UTC"}
    assert own_variables(changed, tmp_path / "none") == {"STOCKTAKE_TIMEZONE": "UTC"}


def test_a_process_gets_nothing_of_another_airflow(
    profile: Profile, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "postgresql://elsewhere")
    monkeypatch.setenv("NO_PROXY", "intranet")
    found = process_environment(variables(profile, cluster, {}, port=8080), cluster)
    assert found["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "AIRFLOW_CONN_SHOP" not in found
    assert found["NO_PROXY"] == "intranet,127.0.0.1,localhost"


def test_secrets_are_kept_and_only_the_owner_may_read_them(profile: Profile, cluster: Cluster) -> None:
    first, second = (variables(profile, cluster, {}, port=8080) for _ in range(2))
    assert first == second
    assert (profile.airflow_home / "secrets.json").stat().st_mode & 0o077 == 0


@pytest.fixture
def airflow(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> Iterator[processes.Airflow]:
    """An Airflow whose programs only sleep."""
    program = profile.state / "airflow.py"
    program.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(processes, "_ARGUMENTS", {})
    airflow = processes.Airflow(profile)
    yield airflow
    airflow.stop()


def start(airflow: processes.Airflow, profile: Profile, settings: str = "one") -> bool:
    return airflow.start(processes.NIGHT, {"PYTHONPATH": str(profile.state)}, fingerprint=settings, stay=False)


def test_processes_are_started_once_and_ended(airflow: processes.Airflow, profile: Profile) -> None:
    assert start(airflow, profile)
    assert airflow.running() == list(processes.NIGHT)
    assert not start(airflow, profile)
    airflow.check(processes.NIGHT)
    airflow.stop()
    assert airflow.running() == []


def test_other_settings_start_them_again(airflow: processes.Airflow, profile: Profile) -> None:
    start(airflow, profile)
    records = [profile.airflow_home / "processes" / f"{name}.json" for name in processes.NIGHT]
    before = {json.loads(record.read_text())["pid"] for record in records}
    assert start(airflow, profile, settings="two")
    assert airflow.running() == list(processes.NIGHT)
    assert before.isdisjoint(json.loads(record.read_text())["pid"] for record in records)
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in before)


def test_a_record_of_a_process_that_is_gone_is_no_process(airflow: processes.Airflow, profile: Profile) -> None:
    start(airflow, profile)
    record = profile.airflow_home / "processes" / "scheduler.json"
    record.write_text(f'{{"pid": {os.getpid()}, "created": 0}}')  # its number belongs to another process now
    assert "scheduler" not in airflow.running()
    with pytest.raises(StandaloneError, match="scheduler ended by itself"):
        airflow.check(processes.NIGHT)
    assert start(airflow, profile)
    assert "scheduler" in airflow.running()


def test_what_a_killed_process_left_behind_is_ended(airflow: processes.Airflow, profile: Profile) -> None:
    program = profile.state / "airflow.py"
    program.write_text("import subprocess, time\nsubprocess.Popen(['sleep', '61'])\n" + program.read_text())
    start(airflow, profile)
    scheduler = psutil.Process(json.loads((profile.airflow_home / "processes" / "scheduler.json").read_text())["pid"])
    while not scheduler.children():
        time.sleep(0.05)
    (child,) = scheduler.children()
    scheduler.kill()
    scheduler.wait()
    assert child.is_running()

    start(airflow, profile)

    assert not child.is_running()
    assert airflow.running() == list(processes.NIGHT)


def test_while_airflow_stays_a_process_that_dies_is_started_again(
    airflow: processes.Airflow, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_LOOK_SECONDS", 0.05)
    monkeypatch.setenv("PYTHONPATH", str(profile.state))
    airflow.start(processes.NIGHT, os.environ, fingerprint="one", stay=True)
    keeper = threading.Thread(target=airflow.keep)
    keeper.start()
    scheduler = psutil.Process(json.loads((profile.airflow_home / "processes" / "scheduler.json").read_text())["pid"])
    scheduler.kill()
    scheduler.wait()
    deadline = time.monotonic() + 30
    while "scheduler" not in airflow.running():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert airflow.running() == list(processes.NIGHT), "what was never started is not started now"
    (profile.airflow_home / "processes" / "stays").unlink()  # `make stop`
    keeper.join(30)
    assert not keeper.is_alive()


def answering(*answers: httpx.Response | httpx.TransportError) -> Api:
    """Airflow's API, which answers so, one after the other."""
    rest = list(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        found = rest.pop(0)
        if isinstance(found, httpx.Response):
            return found
        raise found

    return Api(httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(answer)), lambda: None)


def test_whoever_waits_asks_again_while_the_server_is_away() -> None:
    api = answering(
        httpx.ReadTimeout("30 s"), httpx.Response(502), httpx.ConnectError("refused"),
        httpx.Response(200, json={"state": "success"}),
    )  # fmt: skip
    assert api.state(DagRun("nightly", "a run")) == "success"


def test_what_is_asked_for_is_asked_for_once_and_its_failure_is_a_sentence() -> None:
    with pytest.raises(StandaloneError, match=r"Airflow's API server does not answer \(ReadTimeout: 30 s\)"):
        answering(httpx.ReadTimeout("30 s")).start("nightly", {})
    with pytest.raises(StandaloneError, match="Airflow refused: no such engine"):
        answering(httpx.Response(422, json={"detail": "no such engine"})).state(DagRun("nightly", "a run"))


def test_a_failure_ends_with_the_error_and_not_with_what_airflow_makes_of_it() -> None:
    log = [
        {"event": "Task failed", "error_detail": [{"frames": [], "exc_type": "MayPass", "exc_value": "no room"}]},
        {"event": "Retry policy decision"},
    ]
    task = {"task_id": "publish", "try_number": 1, "map_index": -1}
    api = answering(httpx.Response(200, json={"content": log}))
    assert api.failure(DagRun("nightly", "a run"), task).splitlines()[-1] == "MayPass: no room"


def test_the_log_of_a_process_that_ended_is_shown(airflow: processes.Airflow, profile: Profile) -> None:
    (profile.state / "airflow.py").write_text("raise SystemExit('the port is taken')")
    start(airflow, profile)
    deadline = time.monotonic() + 10
    while airflow.running() and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(StandaloneError, match="the port is taken"):
        airflow.check(processes.NIGHT)


def test_a_port_that_another_program_took_is_told_from_our_own(airflow: processes.Airflow, profile: Profile) -> None:
    port = airflow.port
    serve = f"import socket, time\nserver = socket.create_server(('127.0.0.1', {port}))\ntime.sleep(60)\n"
    only_the_api_server = f"import sys, time\nexec({serve!r}) if 'api-server' in sys.argv[1] else time.sleep(60)\n"
    (profile.state / "airflow.py").write_text(only_the_api_server)
    with socket.create_server(("127.0.0.1", port)):
        start(airflow, profile)
        deadline = time.monotonic() + 10
        while "api-server" in airflow.running() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not airflow.listens
        with pytest.raises(processes.PortTakenError, match="in use"):
            airflow.check(["api-server"])
    start(airflow, profile)
    deadline = time.monotonic() + 30
    while not airflow.listens and time.monotonic() < deadline:
        time.sleep(0.05)
    assert airflow.listens


def test_a_setting_that_makes_no_sense_is_named_before_anything_starts(profile: Profile, cluster: Cluster) -> None:
    wrong = {"STOCKTAKE_TIMEZONE": "Mars/Olympus", "STOCKTAKE_BATCH_ROWS": "many"}
    with pytest.raises(StandaloneError) as refused:
        check_settings(variables(profile, cluster, wrong, port=8080), wrong)
    said = str(refused.value).splitlines()
    assert said[0].startswith("STOCKTAKE_TIMEZONE: ")
    assert "Mars/Olympus" in said[0]
    assert said[1].startswith("STOCKTAKE_BATCH_ROWS: ")


def test_settings_that_are_more_than_a_word_are_read_as_airflow_reads_them(profile: Profile, cluster: Cluster) -> None:
    own = {"STOCKTAKE_ENGINES": '{"orders": "duckdb"}', "STOCKTAKE_OUT_OF_STOCK_REASONS": '["lost"]'}
    check_settings(variables(profile, cluster, own, port=8080), own)
    wrong = {"STOCKTAKE_ENGINES": "orders=duckdb", "STOCKTAKE_LEAD_TIME_DAYS": "soon", "STOCKTAKE_ABC_A_PERCENT": "99"}
    with pytest.raises(StandaloneError) as refused:
        check_settings(variables(profile, cluster, wrong, port=8080), wrong)
    said = str(refused.value).splitlines()
    assert said[0].startswith("STOCKTAKE_ENGINES: is no JSON")
    assert said[1].startswith("STOCKTAKE_LEAD_TIME_DAYS: ")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://loader:top-secret@127.0.0.1:1/warehouse", "STOCKTAKE_WAREHOUSE_URL leads to no database"),
        (
            "warehouse.example.com top-secret",
            "STOCKTAKE_WAREHOUSE_URL:? is no URL of a Postgres database",
        ),
    ],
)
def test_a_database_of_ones_own_that_does_not_answer_is_named(
    profile: Profile, cluster: Cluster, url: str, said: str
) -> None:
    own = {"STOCKTAKE_WAREHOUSE_URL": url}
    with pytest.raises(StandaloneError, match=said) as refused:
        check_settings(variables(profile, cluster, own, port=8080), own)
    assert "top-secret" not in str(refused.value)


def test_a_state_folder_is_named_by_the_environment_else_by_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_STATE", "/elsewhere")
    assert state_folder() == Path("/elsewhere")
    monkeypatch.setenv("STOCKTAKE_STATE", "below")
    assert state_folder() == ROOT / "below"
