"""# features: a day's feature sets and labels, as they were known then

Builds the slices of one business day of every feature set, and of the labels whose window that day closed, from the
copy of the shop that was published last, cut to what was known at the end of the day. Publishes them in one
transaction. The reporting tables have a DAG of their own: a feature that fails never holds them back.

**When** As soon as `nightly` has published the reporting tables of a day; the day is the partition key. Trigger it by
hand for any published day, with `date`. Features of a past day are made as of that day, from the newest copy:
trigger one run per day, they wait for each other.

**Running it again** changes nothing that has not changed in the published copy. A run for an earlier day replaces that
day's slices only. Quarantine and watermarks belong to `nightly` and stay.

**Parameters** (all optional)

| parameter | example | what it does |
|---|---|---|
| `date` | `2026-11-21` | the business day; default: the partition key, else the night that was published last |
| `engine` | `duckdb` | what builds the feature sets: pandas, duckdb, dask, spark; `auto` goes by their size |
| `parity` | `spark` | build a sample of them on this engine as well; a row that differs stops the run |

**When it is red** No feature of that day was published; the reporting tables are, and other days' slices stand. The
failed task's log ends with a sentence that says why.

- `begin`: no published copy covers the day, or the sources are not declared as when it was read: run `nightly` first.
- `builds…`: a bug in a transform, or too little memory for it: try another `engine`.
- `audit`: what was built breaks its own rules: a bug in a transform.
- `publish`: the warehouse cannot be reached (it retries), the day's features were published from a later copy, or
  Postgres does not hold what the lake does: the message shows rows of both.

To try again, clear `begin` and all that follows, or trigger the day again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AssetAll, Param, PartitionedAssetTimetable, task

from dags.steps import audit, builds, report
from include.contract.assets import asset
from include.pipeline.task_defaults import TASK_DEFAULTS
from include.settings import settings
from include.sources import shop_sources
from transforms.engines import AUTO, ENGINES
from transforms.registry import TABLES, buildable

PLAN = buildable(shop_sources(settings().sources))
FEATURES = PLAN.of("features")
ASSETS = {name: asset(TABLES[name].table) for name in FEATURES}

with DAG(
    "features",
    # All of them, for one publication announces all: with any of them, each would start a run of its own.
    schedule=PartitionedAssetTimetable(
        assets=AssetAll(*(asset(TABLES[name].table) for name in PLAN.of("reporting"))),
    ),
    catchup=False,
    is_paused_upon_creation=False,  # it starts nothing of itself
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args=TASK_DEFAULTS,
    params={
        "date": Param(None, type=["null", "string"], format="date", description="A published day, 2026-11-21."),
        "engine": Param(AUTO, type="string", enum=[AUTO, *ENGINES], description="What builds the feature sets."),
        "parity": Param(
            None,
            type=["null", "string"],
            enum=[None, *ENGINES],
            description="Build a sample of them on this one as well.",
        ),
    },
    tags=["stocktake", "features"],
    doc_md=__doc__,
) as dag:

    @task
    def begin(run: str, **context: Any) -> None:
        """Work out which day is asked for and which copy covers it, and enter the run in the ledger."""
        from include.pipeline import features

        features.begin(run, context["dag_run"].partition_key, context["dag_run"].conf or {})

    @task(outlets=list(ASSETS.values()))
    def publish(run: str, **context: Any) -> None:
        """Publish the day's slices of every feature set in one transaction."""
        from include.pipeline import features

        day = features.publish(run, [TABLES[name].table for name in FEATURES])
        for one in ASSETS.values():
            context["outlet_events"][one].add_partitions(day.isoformat())

    RUN = "{{ run_id }}"
    published = publish(RUN)
    begin(RUN) >> builds(RUN, FEATURES) >> audit(RUN, list(FEATURES)) >> published
    published >> report(RUN).as_teardown()
