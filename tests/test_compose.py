"""docker-compose.yaml, without Docker: valid, complete, explained in .env.example, and hardened."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.local.environment import TELEMETRY
from include.settings import Parameters, Settings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = ROOT / "docker-compose.yaml"
TEXT = COMPOSE.read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DOCUMENT: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
LASTING = [name for name, service in SERVICES.items() if service["restart"] == "unless-stopped"]
# ${NAME}, ${NAME:?message}, ${NAME:-default}; a default may hold another variable.
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_]+)(?P<kind>:\?|:-|})")
SECRET = re.compile(r"PASSWORD|SECRET|KEY")


def variables() -> dict[str, str]:
    return {match["name"]: match["kind"] for match in VARIABLE.finditer(TEXT)}


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
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_refers_only_to_what_is_declared(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert named_volumes(service) <= set(DOCUMENT["volumes"])
    assert {config["source"] for config in service.get("configs", [])} <= set(DOCUMENT["configs"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_only_for_health_that_is_checked(name: str) -> None:
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        checked = "test" in SERVICES[other]["healthcheck"]
        assert checked == (condition["condition"] == "service_healthy")


def test_every_declared_volume_and_config_is_used() -> None:
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
    assert variables()
    assert set(variables()) - explained == set()


def test_every_setting_reaches_airflow_and_is_explained() -> None:
    names = {f"STOCKTAKE_{field.upper()}" for kind in (Settings, Parameters) for field in kind.model_fields}
    assert names <= set(SERVICES["scheduler"]["environment"])
    example = (ROOT / ".env.example").read_text()
    assert [name for name in sorted(names) if f"\n# {name}=" not in example] == []


def test_it_tells_collectors_the_same_as_make_does() -> None:
    told = SERVICES["scheduler"]["environment"]
    assert {name: re.sub(r"^\$\{\w+:-(.*)}$", r"\1", str(told[name])) for name in TELEMETRY} == TELEMETRY


def test_no_secret_has_a_default() -> None:
    secrets = {name: kind for name, kind in variables().items() if SECRET.search(name)}
    assert len(secrets) >= 10
    for name, kind in secrets.items():
        assert kind == ":?" or f"${{{name}:-}}" in TEXT, name


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
