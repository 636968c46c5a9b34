"""kubernetes-values.yaml says of a pod what docker-compose.yaml says of a container."""

from __future__ import annotations

import re
from typing import Any

import yaml

from include.settings import ROOT, Parameters, Settings

VALUES: dict[str, Any] = yaml.safe_load((ROOT / "kubernetes-values.yaml").read_text())
SERVICES = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
OF_COMPOSE: dict[str, Any] = SERVICES["scheduler"]["environment"]
TOLD = {one["name"]: one["value"] for one in VALUES["env"]}
# What is another machine's, or Kubernetes' alone.
ELSEWHERE = {
    "AIRFLOW__CORE__AUTH_MANAGER",
    "AIRFLOW__KUBERNETES_EXECUTOR__DELETE_WORKER_PODS",
    "AIRFLOW__API__BASE_URL",
}


def default(value: object) -> str:
    """What compose puts in where .env says nothing."""
    return re.sub(r"^\$\{\w+:-(.*)}$", r"\1", str(value))


def test_airflow_is_told_the_same() -> None:
    assert TOLD.keys() - ELSEWHERE <= OF_COMPOSE.keys()
    airflow = {name: value for name, value in TOLD.items() if name.startswith("AIRFLOW__") and name not in ELSEWHERE}
    given = {name for name in airflow if OF_COMPOSE[name] is not None}
    assert {name: airflow[name] for name in given} == {name: default(OF_COMPOSE[name]) for name in given}
    assert {"AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT", "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"} <= given


def test_it_is_the_same_airflow_with_the_same_imports_and_logins() -> None:
    pinned = re.search(r"^apache-airflow==(.+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned
    assert VALUES["airflowVersion"] == pinned[1]
    assert f"echo '{VALUES['airflowLocalSettings']}'" in (ROOT / "Dockerfile").read_text()
    assert VALUES["apiServer"]["args"] == SERVICES["api-server"]["command"]


def test_settings_are_ours_and_no_secret_is_written_down() -> None:
    ours = {f"STOCKTAKE_{field.upper()}" for kind in (Settings, Parameters) for field in kind.model_fields}
    assert {name for name in TOLD if name.startswith("STOCKTAKE_")} <= ours
    assert not [name for name in TOLD if re.search("SECRET|KEY|_URL$|CONN_STOCKTAKE", name) and name not in ELSEWHERE]
