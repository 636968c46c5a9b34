"""# remove_slices: one night's slices, removed

Removes the slices of one night from every table that has one slice per night (`customer_rfm`, `inventory_health`,
`product_abc_xyz`, and all feature sets and labels), in the lake and, in one transaction, in the warehouse. All other
tables stay: they are not made night by night.

**When** When somebody triggers it: for a night that was run for a wrong day, or on data that nobody should use.
Running a night again replaces its slices, and does not remove them.

**What stays** Every other night's slices, quarantine and watermarks. `republish` of an earlier publication brings the
slices of the reporting tables back, and the night after it removes them again. Running `nightly` or `features` for that
day makes them anew. Training sets up to an earlier `publication` still have them.

**Running it again** is refused, and so is clearing `begin`: there is nothing left to remove.

**Parameters** (the night is needed)

| parameter | example | what it does |
|---|---|---|
| `night` | `2026-11-20` | the business day whose slices are removed |

**When it is red** Readers have what they had. The log ends with a sentence that says why.

- `begin`: no table has a slice of that night.
- `publish`: the warehouse cannot be reached (it retries). Clear it, to go on.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from dags.shops import each_shop
from dags.steps import queue_of, report
from include.pipeline.task_defaults import task_defaults
from include.settings import settings
from include.settings.shops import dag_id_of
from include.sources import shop_sources
from transforms.registry import TABLES, buildable


def remove_slices() -> None:
    """The DAG of a shop."""
    tables = buildable(shop_sources(settings().sources)).tables

    with DAG(
        dag_id_of("remove_slices"),
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,  # it starts nothing of itself
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=2),
        default_args=task_defaults(),
        params={"night": Param(type="string", format="date", description="The night to remove, 2026-11-20.")},
        tags=["stocktake", "remove_slices"],
        doc_md=__doc__,
    ):

        @task(queue=queue_of("begin"))
        def begin(run: str, **context: Any) -> None:
            """Find out whether that night has slices, and enter the run in the ledger."""
            from include.pipeline import slice_removal

            slice_removal.begin(run, context["dag_run"].conf or {}, [TABLES[name].table for name in tables])

        @task(queue=queue_of("publish"))
        def publish(run: str) -> str:
            """Remove the slices from the lake and from the warehouse."""
            from include.pipeline import slice_removal

            return slice_removal.publish(run, [TABLES[name].table for name in tables])

        run = "{{ run_id }}"
        published = publish(run)
        begin(run) >> published
        published >> report(run)


for _ in each_shop():
    remove_slices()
