"""docker-compose.yaml, without Docker: valid, complete, explained in .env.example, and hardened."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.local.environment import TELEMETRY
from include.settings import Parameters, Settings
from tests.deployments.compose import PORT, unread, variables_of

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = ROOT / "docker-compose.yaml"
TEXT = COMPOSE.read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DOCUMENT: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
LASTING = [name for name, service in SERVICES.items() if service["restart"] == "unless-stopped"]
SECRET = re.compile(r"PASSWORD|SECRET|KEY|TOKEN")
VARIABLES = variables_of(TEXT)


def named_volumes(service: dict[str, Any]) -> set[str]:
    """Those that outlive their container; one without a name is the container's own."""
    return {volume.split(":")[0] for volume in service["volumes"] if ":" in volume}


def test_it_follows_the_compose_schema() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_it_has_the_services_of_a_whole_stocktake() -> None:
    assert {name for name in LASTING if "profiles" not in SERVICES[name]} == {
        "postgres", "api-server", "scheduler", "dag-processor", "triggerer",
    }  # fmt: skip
    assert set(SERVICES) - set(LASTING) == {"airflow-init", "shop"}


def test_a_profile_adds_what_one_machine_needs_no_more_of() -> None:
    added: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for profile in service.get("profiles", []):
            added.setdefault(profile, set()).add(name)
    assert added == {
        "shop": {"shop"},
        "celery": {"valkey", "worker", "flower"},
        "s3": {"seaweedfs"},
        "clusters": {"dask-scheduler", "dask-worker", "spark-connect"},
        "watch": {"prometheus", "grafana"},
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_refers_only_to_what_is_declared(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert named_volumes(service) <= set(DOCUMENT["volumes"])
    assert {config["source"] for config in service.get("configs", [])} <= set(DOCUMENT["configs"])
    assert networks(service) <= {"default", *DOCUMENT["networks"]}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_only_for_health_that_is_checked(name: str) -> None:
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        checked = "test" in SERVICES[other]["healthcheck"]
        assert checked == (condition["condition"] == "service_healthy")


def networks(service: dict[str, Any]) -> set[str]:
    """Those that it is in; where it names none, Docker has one for all."""
    return set(service.get("networks", ["default"]))


def test_a_service_is_in_a_network_with_those_it_waits_for() -> None:
    for service in SERVICES.values():
        for other in service.get("depends_on", {}):
            assert networks(service) & networks(SERVICES[other])


def test_every_declared_network_volume_and_config_is_used() -> None:
    assert set().union(*map(networks, SERVICES.values())) - {"default"} == set(DOCUMENT["networks"])
    assert set().union(*map(named_volumes, SERVICES.values())) == set(DOCUMENT["volumes"])
    assert {c["source"] for service in SERVICES.values() for c in service.get("configs", [])} == set(
        DOCUMENT["configs"]
    )


def test_files_that_are_mounted_or_copied_exist() -> None:
    for config in DOCUMENT["configs"].values():
        assert (ROOT / config["file"]).is_file()
    for path in copied_into_the_image():
        assert (ROOT / path).exists()


def copied_into_the_image() -> set[str]:
    """Files and folders of the project."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    return {path for line in lines for path in line.split()}


def test_the_image_has_what_a_night_needs_and_its_builder_sees_no_more() -> None:
    assert copied_into_the_image() == {"pyproject.toml", "requirements.txt", "dags", "include", "plugins", "transforms"}
    sent = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert sent == copied_into_the_image()
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 50000:0$", last, re.MULTILINE)
    assert "pip install" not in last


def test_the_image_takes_the_pinned_versions_and_only_extras_that_there_are() -> None:
    assert "--constraint requirements.txt" in DOCKERFILE
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    default = DOCUMENT["x-airflow"]["build"]["args"]["EXTRAS"]
    assert set(re.sub(r"^\$\{EXTRAS:-(.*)}$", r"\1", default).split()) <= extras - {"dev", "local"}
    named = re.findall(r'EXTRAS="?([a-z0-9 ]+)"', DOCKERFILE)
    assert named
    assert {extra for line in named for extra in line.split()} <= extras


def test_every_variable_is_explained_in_the_example() -> None:
    explained = set(re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert VARIABLES
    assert set(VARIABLES) - explained == set()


def test_no_variable_is_put_in_that_may_be_undefined() -> None:
    """Docker would put nothing in, and warn: of ${NAME} and of $NAME."""
    assert [name for name, kind in VARIABLES.items() if not kind] == []
    assert [text for text in texts(SERVICES) if "$" in unread(text)] == []
    assert list(texts({"a": ["$HOME", "${HOME:-}", "$$HOME"]})) == ["$HOME", "${HOME:-}", "$$HOME"]
    assert [unread(text) for text in ("$HOME", "${HOME:-}", "$$HOME")] == ["$HOME", "", "HOME"]


def texts(value: object) -> Iterator[str]:
    """Every text in a part of the file."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts(part)


def test_every_setting_reaches_airflow_and_is_explained() -> None:
    names = {f"STOCKTAKE_{field.upper()}" for kind in (Settings, Parameters) for field in kind.model_fields}
    assert names <= set(SERVICES["scheduler"]["environment"])
    example = (ROOT / ".env.example").read_text()
    assert [name for name in sorted(names) if f"\n# {name}=" not in example] == []


def test_it_tells_collectors_the_same_as_make_does() -> None:
    told = SERVICES["scheduler"]["environment"]
    assert {name: re.sub(r"^\$\{\w+:-(.*)}$", r"\1", str(told[name])) for name in TELEMETRY} == TELEMETRY


def test_no_secret_has_a_default() -> None:
    secrets = {name: kind for name, kind in VARIABLES.items() if SECRET.search(name)}
    assert len(secrets) >= 10
    for name, kind in secrets.items():
        assert kind == "?" or f"${{{name}:-}}" in TEXT, name


# By default, of the programs whose command names none.
LISTENS = {"postgres": {5432}, "api-server": {8080}, "grafana": {3000}}


def ports(name: str) -> set[int]:
    """Those that a service listens on."""
    return LISTENS.get(name) or {int(port) for port in PORT.findall(" ".join(texts(SERVICES[name].get("command"))))}


def test_an_address_is_one_that_a_service_listens_on() -> None:
    """In the commands and the environment, and in the files that are mounted."""
    mounted = [(ROOT / config["file"]).read_text() for config in DOCUMENT["configs"].values()]
    parts = [service.get(part) for service in SERVICES.values() for part in ("command", "environment", "healthcheck")]
    said = "\n".join([*texts(parts), *mounted, (ROOT / ".env.example").read_text()])
    found = set(re.findall(rf"(?<![\w.-])({'|'.join(SERVICES)}):(\d+)\b", said))
    assert {("valkey", "6379"), ("dask-scheduler", "8786"), ("prometheus", "9090"), ("seaweedfs", "8333")} <= found
    assert {(name, port) for name, port in found if int(port) not in ports(name)} == set()


def test_a_published_port_is_one_that_its_service_listens_on_and_no_other_has() -> None:
    published = [(name, port) for name, service in SERVICES.items() for port in service.get("ports", [])]
    assert {name for name, _ in published} == {"postgres", "api-server", "flower", "grafana"}
    for name, port in published:
        assert int(port.rpartition(":")[2]) in ports(name)
    here = [re.sub(r".*:-(\d+)}:\d+$", r"\1", port) for _, port in published]
    assert len(set(here)) == len(here)
    assert all(port.isdigit() for port in here)


@pytest.mark.parametrize("name", LASTING)
def test_a_check_asks_a_port_that_its_service_listens_on(name: str) -> None:
    check = " ".join(SERVICES[name]["healthcheck"]["test"])
    assert {int(port) for port in re.findall(r"127\.0\.0\.1[:/](\d+)", check)} <= ports(name)


def test_what_asks_nobody_for_a_password_is_reached_by_those_who_run_tasks_alone() -> None:
    """Dask and Spark Connect run what they are sent; the object store is there for them, and asks for its key."""
    there = {name for name, service in SERVICES.items() if "clusters" in networks(service)}
    assert there == {"dask-scheduler", "dask-worker", "spark-connect", "seaweedfs", "scheduler", "worker"}
    for name in ("dask-scheduler", "dask-worker", "spark-connect"):
        assert networks(SERVICES[name]) == {"clusters"}
        assert "ports" not in SERVICES[name]


OF_THE_IMAGE = {"PYTHONPATH", "TMPDIR"}
OF_AIRFLOW = OF_THE_IMAGE | {"AIRFLOW_CONFIG", "AIRFLOW__CORE__LOAD_EXAMPLES", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}
OF_A_CLUSTER = OF_THE_IMAGE | {f"STOCKTAKE_{field.upper()}" for field in Parameters.model_fields}
# What each service is told; those that are not here are told all that a task may need.
TOLD = {
    "postgres": {
        "POSTGRES_PASSWORD", "POSTGRES_INITDB_ARGS", "AIRFLOW_PASSWORD", "SHOPKEEPER_PASSWORD", "EXTRACTOR_PASSWORD",
        "LOADER_PASSWORD", "ANALYST_PASSWORD",
    },
    "airflow-init": OF_AIRFLOW | {"AIRFLOW__CORE__FERNET_KEY"},
    "valkey": {"BROKER_PASSWORD"},
    "flower": OF_AIRFLOW | {
        "AIRFLOW__CELERY__BROKER_URL", "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT",
        "AIRFLOW__CELERY__FLOWER_BASIC_AUTH",
    },
    "seaweedfs": {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
    "dask-scheduler": OF_A_CLUSTER,
    "dask-worker": OF_A_CLUSTER,
    "spark-connect": OF_A_CLUSTER,
    "shop": OF_THE_IMAGE | {"STOCKTAKE_SHOPKEEPER_URL", "STOCKTAKE_TIMEZONE"},
    "prometheus": {"METRICS_TOKEN"},
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_a_service_is_told_what_it_needs_and_no_more(name: str) -> None:
    assert set(SERVICES[name]["environment"]) == TOLD[name]


def test_the_other_services_are_told_all_that_a_task_may_need() -> None:
    all_of_it = SERVICES["scheduler"]["environment"]
    others = {name: service["environment"] for name, service in SERVICES.items() if name not in TOLD}
    assert {name: set(told) - set(all_of_it) for name, told in others.items() if name != "grafana"} == {
        "scheduler": set(), "dag-processor": set(), "triggerer": set(), "api-server": {"LOGINS"}, "worker": {"QUEUES"},
    }  # fmt: skip
    assert all(name.startswith("GF_") for name in others["grafana"])


def test_what_each_of_several_shops_has_is_told_to_what_runs_tasks_and_pages_alone() -> None:
    told = {name for name, service in SERVICES.items() if service.get("env_file")}
    assert told == {name for name, service in SERVICES.items() if "STOCKTAKE_WAREHOUSE_URL" in service["environment"]}


def test_flower_is_told_of_no_database_but_an_empty_one() -> None:
    assert SERVICES["flower"]["environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "sqlite:////tmp/airflow.db"


@pytest.mark.parametrize("name", SERVICES)
def test_no_password_is_written_down(name: str) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        if SECRET.search(variable) and value is not None:  # None is what .env says, or nothing
            assert str(value).startswith(("${", "/tmp/")), variable  # noqa: S108 (a container's own)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert int(service["user"].split(":")[0]) > 0
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_service_is_watched(name: str) -> None:
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(SERVICES[name]["healthcheck"])
