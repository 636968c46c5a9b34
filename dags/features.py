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

- `begin`: no published copy covers the day, the day is before the shop's first, or the sources are not those of that
  copy, or not declared as they were: run `nightly` first.
- `builds…`: a bug in a transform, or too little memory for it: try another `engine`.
- `audit`: what was built breaks its own rules: a bug in a transform.
- `publish`: the warehouse cannot be reached (it retries), the day's features were published from a later copy, or
  Postgres does not hold what the lake does: the message shows rows of both.

To try again, clear `begin` and all that follows, or trigger the day again.
"""

from __future__ import annotations

from airflow.sdk import AssetAll, PartitionedAssetTimetable

from dags.shops import each_shop
from dags.tables import tables_dag
from include.pipeline.assets import asset
from include.settings import settings
from include.sources import shop_sources
from transforms.registry import TABLES, buildable


def features() -> None:
    """The DAG of a shop."""
    plan = buildable(shop_sources(settings().sources))
    tables_dag(
        "features",
        # All of them, for one publication announces all: with any of them, each would start a run of its own.
        schedule=PartitionedAssetTimetable(
            assets=AssetAll(*(asset(TABLES[name].table) for name in plan.of("reporting"))),
        ),
        tables=plan.of("features"),
        doc_md=__doc__,
    )


for _ in each_shop():
    features()
