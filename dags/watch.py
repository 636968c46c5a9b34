"""# watch: who is to know is told when a night fails, waits or is late

Looks into the ledger every five minutes and tells the channels of `STOCKTAKE_ALERTS`: once when something is wrong,
once when it is over. A run that fails is told at once, by the DAG itself. What was told, and whom, is in
`audit.incidents`.

| what | when it is told | when it is over |
|---|---|---|
| a night, or a DAG of your own, failed | at once, with the reason | the same night, or a later one, is published |
| a night waits for an approval | at the next look: until when, and how much money | it is answered |
| a night is not published by `STOCKTAKE_PUBLISHED_BY` | then, with what its run is doing | it is published |
| figures of the last night's day are unusual | at the next look | they are explained, or another night is published |
| a published night has no features | they failed: at once; never begun: after 30 minutes | they are published |
| Airflow was away, and a night is late for it | when it is back | the night is published |

**When** Every five minutes. Without `STOCKTAKE_ALERTS` there is no such DAG.

**Running it again** tells nobody anything twice. A channel that was down is tried again at the next look; what was over
for a day by then it is not told any more.

**Parameters** none.

**When it is red** Nights go on: nothing waits for this DAG.

- `look` cannot reach the warehouse (it retries): a night that fails for the same reason is told all the same, at once,
  but for want of the ledger nobody is told that it is over.
- `look` says `Apprise knows no such service`: the URL at that place of `STOCKTAKE_ALERTS` is wrong. All others were
  told.

A channel that took no message is a warning in the log of `look`, without its URL. Its runs are Airflow's to forget:
`airflow db clean`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.shops import each_shop
from include.pipeline.task_defaults import task_defaults
from include.pipeline.watch import EVERY
from include.settings import settings
from include.settings.shops import dag_id_of


def watch() -> None:
    """The DAG of a shop."""
    with DAG(
        dag_id_of("watch"),
        schedule=CronTriggerTimetable(f"*/{EVERY // timedelta(minutes=1)} * * * *", timezone=settings().timezone),
        start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - read in the timetable's zone
        catchup=False,
        is_paused_upon_creation=False,  # whoever names a channel wants to be told
        max_active_runs=1,
        dagrun_timeout=timedelta(minutes=15),
        default_args=task_defaults(),
        tags=["stocktake", "watch"],
        doc_md=__doc__,
    ):

        @task(priority_weight=1000)  # the next free slot: a night may hold all of them for long
        def look(**context: Any) -> dict[str, int]:
            """Find what is new and what is over, and tell who is to know."""
            from include.pipeline import watch

            return watch.look(context["dag_run"].start_date)

        look()


for _ in each_shop():
    if settings().alerts:
        watch()
