"""# day_closed: the night begins when the shop says that its day is closed

Begins `nightly` for each business day that the shop has announced, once per day: its run is called
`day_closed__2026-11-28`. Without `STOCKTAKE_DAY_CLOSED` there is no such DAG.

**When** When the triggerer hears of a closed day: from a row in a table of the shop's database, or from a message of
Kafka, Redis or SQS. The schedule of `nightly` remains as the latest time: it publishes a day that was never announced,
or whose night failed, and ends at once for one that is published.

**Running it again** begins nothing twice. It looks at all that was announced in the last eight days, not only at what
started it: several announcements of a day, or of several days, may come to one run of it.

**Parameters** none.

**When it is red** Nights go on by the schedule.

- `announced` cannot reach the warehouse (it retries).
- `begin` is refused by Airflow: `nightly` cannot be read; the message says why.

It begins nothing, and is green, where `nightly` is paused, where the day is published or its night is under way, and
where it had a night that failed: clear that one, or leave it to the schedule. What is announced and no closed day (not
over in the shop's time zone, over for more than a week, no day at all) starts nothing and is a warning in the log of
the triggerer. Nobody hears a shop while the triggerer is down: a row waits, and so does a message of Kafka or SQS; one
of Redis is lost.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

from dags.shops import each_shop
from include.pipeline.task_defaults import task_defaults
from include.settings import settings
from include.settings.shops import dag_id_of


def day_closed() -> None:
    """The DAG of a shop that says so; else nothing of this is loaded."""
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

    from include.pipeline.day_trigger import closed_days

    closed, nightly = closed_days(), dag_id_of("nightly")

    with DAG(
        dag_id_of("day_closed"),
        schedule=[closed],
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        is_paused_upon_creation=False,  # whoever names a place where the shop says so wants it heard
        max_active_runs=4,
        dagrun_timeout=timedelta(minutes=15),
        default_args=task_defaults(),
        tags=["stocktake", "day_closed"],
        doc_md=__doc__,
    ):

        @task(inlets=[closed], priority_weight=1000)  # the next free slot: a night may hold all of them for long
        def announced(**context: Any) -> list[dict[str, Any]]:
            """What was announced lately and is still to begin: for each day the run and its form."""
            from include.pipeline import day_closed

            return day_closed.nights(
                [event.extra for event in context["inlet_events"][closed].after(day_closed.since(datetime.now(UTC)))],
                datetime.now(UTC),
                paused=context["ti"].get_dag(nightly).is_paused,
            )

        TriggerDagRunOperator.partial(
            task_id="begin",
            trigger_dag_id=nightly,
            logical_date=None,
            skip_when_already_exists=True,
            openlineage_inject_parent_info=False,  # it would stand in the form, where nightly knows no such field
            priority_weight=1000,
            doc_md="Begin the night of each of these days, unless Airflow has a run of this name already.",
        ).expand_kwargs(announced())


for _ in each_shop():
    if settings().day_closed:
        day_closed()
