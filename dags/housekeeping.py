"""# housekeeping: what nobody needs any more goes

Removes what is past its retention (`STOCKTAKE_RETENTION_DAYS`, 30): files of the lake that no needed version holds,
rows as they were read from the shop, what broken commits and dead processes left, report and Data Docs pages, rows of
the ledger, and the files of exports that have expired (`STOCKTAKE_EXPORT_DAYS`). Lays small files of the lake together.

Every night that was published within the retention can be published again, and so can the last one, however old. For
ever stay: one row of the ledger per publication and its run, the slices of feature sets that were ever published
(training sets read them as they were known), open rows in quarantine, training sets. Nothing goes that was written or
replaced within `STOCKTAKE_RETENTION_SAFE_HOURS` (24): a run under way may be writing or reading it. So what is taken
out of a table goes from the disk with the run after this one.

**When** Sundays at 16:00 in the shop's time zone, long after the night. Trigger it by hand at any time: it waits while
a night writes a table, and a night waits while it lays that table's files together.

**Running it again** removes nothing but what has grown too old since.

**Parameters** (optional)

| parameter | example | what it does |
|---|---|---|
| `dry_run` | `true` | change nothing; the logs list every file, and how many rows, that would go |

**When it is red** Nothing that is needed is gone: trigger it again once the reason is.

- `check`: the form asks for what there is not.
- `compact`, `runs`, `entries`, `exports`: the warehouse cannot be reached, or a night was quicker (they retry).
- `files`: the latest version of a table names a file that is not there. Somebody removed it by hand: bring it back from
  a backup, or write the table anew with `full_refresh`. Of that table nothing is removed before.

A warning of versions that the lake has lost names publications that can not be published again: the lake is older than
the ledger, or somebody vacuumed it by hand.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from dags.shops import each_shop
from include.pipeline.task_defaults import task_defaults
from include.settings import settings
from include.settings.shops import dag_id_of
from include.sources import shop_sources
from transforms.registry import TABLES, buildable


def housekeeping() -> None:
    """The DAG of a shop."""
    reporting = buildable(shop_sources(settings().sources)).of("reporting")

    with DAG(
        dag_id_of("housekeeping"),
        schedule=CronTriggerTimetable("0 16 * * SUN", timezone=settings().timezone),
        start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - read in the timetable's zone
        catchup=False,
        is_paused_upon_creation=False,  # else the lake only grows, and a run by hand waits for ever
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=6),
        default_args=task_defaults(),
        params={"dry_run": Param(False, type="boolean", description="Change nothing, list what would go.")},
        tags=["stocktake", "housekeeping"],
        doc_md=__doc__,
    ):

        @task
        def check(**context: Any) -> None:
            """Refuse a form that asks for what there is not."""
            from include.pipeline import housekeeping

            housekeeping.check(context["dag_run"].conf or {})

        @task
        def compact(**context: Any) -> dict[str, int]:
            """Lay small files together, table by table, each while no night writes it."""
            from include.pipeline import housekeeping

            tables = [TABLES[name].table for name in reporting]
            return housekeeping.compact(tables, dry_run=context["params"]["dry_run"])

        @task
        def runs(**context: Any) -> dict[str, int]:
            """Take what old runs read out of lake/raw, and remove their pages."""
            from include.pipeline import housekeeping

            limits = housekeeping.Limits.at(context["dag_run"].start_date)
            return housekeeping.forget_runs(limits, dry_run=context["params"]["dry_run"])

        @task
        def entries(**context: Any) -> dict[str, int]:
            """Delete old rows of the ledger."""
            from include.pipeline import housekeeping

            limits = housekeeping.Limits.at(context["dag_run"].start_date)
            return housekeeping.forget_entries(limits, dry_run=context["params"]["dry_run"])

        @task
        def exports(**context: Any) -> dict[str, int]:
            """Remove the files of exports that have expired."""
            from include.pipeline import housekeeping

            started = context["dag_run"].start_date
            limits = housekeeping.Limits.at(started)
            return housekeeping.remove_exports(limits, started, dry_run=context["params"]["dry_run"])

        @task
        def files(**context: Any) -> dict[str, dict[str, int]]:
            """Remove the files of the lake that nothing needs."""
            from include.pipeline import housekeeping

            limits = housekeeping.Limits.at(context["dag_run"].start_date)
            tables = [one.table for one in TABLES.values()]
            return housekeeping.remove_files(limits, tables, dry_run=context["params"]["dry_run"])

        check() >> compact() >> runs() >> entries() >> exports() >> files()


for _ in each_shop():
    housekeeping()
