"""What Airflow makes of a folder of DAG files.

``parsed`` starts this module as a program, because Airflow reads its environment once per process. The program reads
the forms to try from standard input, each a value by parameter. Airflow's own check judges them: the one behind the
trigger form and the API.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from include.settings import ROOT


def parsed(
    folder: Path = ROOT / "dags",
    *,
    sources: str = "include/sources/demo_shop",
    alerts: str = '["json://alerts.invalid"]',
    day_closed: str = "outbox",
    queues: str = "{}",
    more: Mapping[str, str] = MappingProxyType({}),
    forms: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The bag of a folder: ``import_errors``, and ``dags`` with their tasks, parameters and answers to the forms.

    Somebody is told of incidents, and the shop says that its day is closed, unless ``alerts`` and ``day_closed`` say
    otherwise: every DAG is there. ``more`` are variables of the environment.
    """
    with TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(folder), f"{home}/bag.json"],
            input=json.dumps(list(forms)),
            env=environment(home)
            | {
                "STOCKTAKE_SOURCES": sources,
                "STOCKTAKE_ALERTS": alerts,
                "STOCKTAKE_DAY_CLOSED": day_closed,
                "STOCKTAKE_QUEUES": queues,
                **more,
            },
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr)
        found: dict[str, Any] = json.loads((Path(home) / "bag.json").read_text())
    return found


def environment(home: str) -> dict[str, str]:
    """The least that the DAG files need: nothing of this machine's, and servers that cannot be reached."""
    return {
        "PATH": os.defpath,
        "HOME": home,
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "STOCKTAKE_SHOP_URL": "postgresql://reader@shop.invalid/shop",
        "STOCKTAKE_WAREHOUSE_URL": "postgresql://loader@warehouse.invalid/warehouse",
    }


def described(task: Any) -> dict[str, Any]:
    """What a reader and a rule want to know of a task."""
    timeout = task.execution_timeout
    return {
        "owner": task.owner,
        "pool": task.pool,
        "queue": task.queue,
        "doc": (task.python_callable.__doc__ or "") if hasattr(task, "python_callable") else task.doc_md or "",
        "operator": task.task_type,
        "execution_timeout": timeout.total_seconds() if timeout else None,
        "retries": task.retries,
        "retry_delay": task.retry_delay.total_seconds(),
        "retry_exponential_backoff": float(task.retry_exponential_backoff),
        "max_retry_delay": task.max_retry_delay.total_seconds() if task.max_retry_delay else None,
        "has_retry_policy": task.retry_policy is not None,
        "downstream": sorted(task.downstream_task_ids),
        "outlets": sorted(asset.name for asset in task.outlets),
        "is_teardown": task.is_teardown,
        "fails_the_run": task.is_teardown and task.on_failure_fail_dagrun,
        "trigger_rule": task.trigger_rule.value,
    }


def answer(dag: Any, form: dict[str, Any]) -> str | None:
    """What Airflow says to a form; None when it takes it."""
    from airflow.sdk.exceptions import ParamValidationError

    params = dag.params.__class__({name: dag.params.get_param(name) for name in dag.params})
    try:
        for name, value in form.items():
            params[name] = value
        params.validate()
    except (ParamValidationError, ValueError) as error:
        return str(error)
    return None


def main(folder: str, forms: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything, as one value."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(folder)
    return {
        "import_errors": bag.import_errors,
        "dags": {
            dag_id: {
                "file": dag.fileloc,
                "doc_md": dag.doc_md,
                "tags": sorted(dag.tags),
                "schedule": repr(dag.timetable),
                "starts_from": sorted(asset.name for asset in getattr(dag.timetable.asset_condition, "objects", ())),
                "is_paused_upon_creation": dag.is_paused_upon_creation,
                "catchup": dag.catchup,
                "calls_back": bool(dag.on_failure_callback),
                "max_active_runs": dag.max_active_runs,
                "dagrun_timeout": dag.dagrun_timeout.total_seconds() if dag.dagrun_timeout else None,
                "params": {
                    name: {
                        "default": param.value if param.has_value else None,
                        "description": param.description,
                        "schema": param.schema,
                    }
                    for name, param in ((name, dag.params.get_param(name)) for name in dag.params)
                },
                "tasks": {task.task_id: described(task) for task in dag.tasks},
                "answers": [answer(dag, form) for form in forms],
            }
            for dag_id, dag in sorted(bag.dags.items())
        },
    }


if __name__ == "__main__":
    found = main(sys.argv[1], json.load(sys.stdin))
    Path(sys.argv[2]).write_text(json.dumps(found))
