"""A DAG that builds some tables from the published copy of the shop, in one call. No DAG itself.

A file of your own in this folder says when, and which tables::

    \"\"\"# weekly: the cohorts, in an Airflow DAG\"\"\"

    from dags.shops import each_shop
    from dags.tables import tables_dag

    for _ in each_shop():
        tables_dag("weekly", schedule="0 6 * * MON", tables=["customer_cohorts"], doc_md=__doc__)

Airflow reads only files in which both words stand, airflow and dag: hence the title.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from dags.steps import audit, builds, queued, report
from include.pipeline.assets import asset
from include.pipeline.task_defaults import task_defaults
from include.pipeline.watch import at_once
from include.settings import settings
from include.settings.shops import dag_id_of, dag_of
from include.sources import shop_sources
from transforms.engines import AUTO, ENGINES
from transforms.registry import TABLES, buildable


@task
def begin(run: str, tables: Sequence[str], **context: Any) -> None:
    """Work out which day is asked for and which copy covers it, and enter the run in the ledger."""
    from include.pipeline import tables_dag as steps

    dag_run = context["dag_run"]
    built = [TABLES[name].table for name in tables]
    steps.begin(run, dag_run.partition_key, dag_run.conf or {}, dag=dag_of(dag_run.dag_id), tables=built)


@task
def publish(run: str, tables: Sequence[str], **context: Any) -> None:
    """Publish all that was built in one transaction, and announce it."""
    from include.pipeline import tables_dag as steps

    day = steps.publish(run, [TABLES[name].table for name in tables])
    for one in context["task"].outlets:
        context["outlet_events"][one].add_partitions(day.isoformat())


def tables_dag(dag_id: str, *, schedule: Any, tables: Collection[str], doc_md: str | None) -> DAG:
    """A DAG that builds tables from the newest published copy of the shop and publishes them in one transaction.

    Args:
        dag_id: its id, and the ``dag`` of its runs in the ledger; of several shops, its id goes on with the shop's.
        schedule: what ``DAG`` takes; a cron expression is read in the shop's time zone.
        tables: names of the registry, of one schema: what they need and is not among them is read as it was published,
            or made from the shop's rows on the way.
        doc_md: its run-book.

    Raises:
        ValueError: when a table is unknown, this shop cannot have it, or the tables are of both schemas.
    """
    names = _in_order(dag_id, tables)
    if isinstance(schedule, str):
        schedule = CronTriggerTimetable(schedule, timezone=settings().timezone)
    with DAG(
        dag_id_of(dag_id),
        schedule=schedule,
        start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - read in the timetable's zone
        catchup=False,
        is_paused_upon_creation=False,  # it reads what is published, and starts nothing of itself
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=6),
        on_failure_callback=at_once(),
        default_args=task_defaults(),
        params={
            "date": Param(None, type=["null", "string"], format="date", description="A published day, 2026-11-21."),
            "engine": Param(AUTO, type="string", enum=[AUTO, *ENGINES], description="What builds the tables."),
            "parity": Param(
                None,
                type=["null", "string"],
                enum=[None, *ENGINES],
                description="Build a sample of them on this one as well.",
            ),
        },
        tags=["stocktake", dag_id],
        doc_md=doc_md,
    ) as dag:
        run = "{{ run_id }}"
        outlets = [asset(TABLES[name].table) for name in names]
        published = queued(publish, outlets=outlets)(run, names)
        queued(begin)(run, names) >> builds(run, names) >> queued(audit)(run, names) >> published
        published >> report(run)
    return dag


def _in_order(dag_id: str, tables: Collection[str]) -> list[str]:
    """The names, each after its inputs."""
    plan = buildable(shop_sources(settings().sources))
    for name in tables:
        if name not in plan.tables:
            why = plan.left_out.get(name, "nobody declares it")
            raise ValueError(f"{dag_id}: there is no table {name} here: {why}")
    if len({TABLES[name].table.schema for name in tables}) != 1:
        raise ValueError(f"{dag_id} is to build tables of one schema: give reporting tables and features a DAG each")
    return [name for name in plan.tables if name in tables]
