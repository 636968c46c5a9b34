"""The event of a task's end with the datasets that we name, valid by OpenLineage's schemas."""

from __future__ import annotations

import json
from typing import Any

from openlineage.client.event_v2 import Job, RunEvent, RunState
from openlineage.client.event_v2 import Run as RunOfEvent
from openlineage.client.serde import Serde

from include.lineage.tasks import of_task
from include.settings import settings
from tests.lineage.schemas import faults

Event = dict[str, Any]


def event_of(run_id: str, task_id: str, *, dag: str = "nightly", failed: bool = False, **form: Any) -> Event:
    """The event of a task's end, as Airflow's provider makes it, without its own facets."""
    found = of_task(dag, run_id, task_id, lambda: form, failed=failed)
    event = RunEvent(
        eventType=RunState.COMPLETE,
        eventTime="2026-04-01T04:00:00+00:00",
        run=RunOfEvent("0197f3c5-9a3b-7c61-a5f0-3c7f2c0b8f11"),
        job=Job("stocktake", f"{dag}.{task_id}"),
        inputs=list(found.inputs),
        outputs=list(found.outputs),
        producer="https://github.com/apache/airflow",
    )
    told: Event = json.loads(Serde.to_json(event))
    assert faults(told) == []
    return told


def names(event: Event, kind: str) -> list[str]:
    """What an event's datasets are called; of a file, from the lake on."""
    lake = f"{settings().lake}/"
    return [one["name"].removeprefix(lake) for one in event[kind]]


def one(event: Event, kind: str, name: str) -> Event:
    """The dataset of a name."""
    [found] = [dataset for dataset in event[kind] if dataset["name"].endswith(name)]
    return dict(found)


def origins(dataset: Event) -> dict[str, list[str]]:
    """Per column, the columns that it is said to be made of: with the last part of their dataset's name."""
    told = dataset["facets"].get("columnLineage", {"fields": {}})["fields"]
    return {
        name: [f"{of['name'].rpartition('/')[2].rpartition('.')[2]}.{of['field']}" for of in found["inputFields"]]
        for name, found in told.items()
    }
