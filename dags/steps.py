"""The tasks that more than one DAG has; each DAG says when and for which tables. No DAG itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from airflow.sdk import TaskGroup, task
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowSkipException

from include.pipeline.approval import Approval
from include.settings import settings
from include.sources import shop_sources
from transforms.registry import TABLES

STEPS: Final = ("begin", "extract", "validates", "check_tolerance", "accept", "builds", "audit", "publish", "report")
SPARE = "spare"  # what begin tells the report where it finds nothing to do


def queue_of(step: str, name: str = "") -> str:
    """The queue of a step, or of one of its sources or tables.

    Raises:
        ValueError: when the setting names what there is none of.
    """
    queues = settings().queues
    if queues and (unknown := queues.keys() - {*STEPS, *TABLES, *shop_sources(settings().sources)}):
        raise ValueError(
            f"STOCKTAKE_QUEUES: there is no step, source or table {min(unknown)!r}; steps are {', '.join(STEPS)}"
        )
    return queues.get(name) or queues.get(step) or str(conf.get("operators", "default_queue"))


def queued(step: Any, **more: Any) -> Any:
    """A step that is a task of its own name, in the queue that the shop's settings give it.

    Args:
        step: what ``task`` made of a function.
        more: what else the DAG says of it, as ``override`` takes it.
    """
    return step.override(queue=queue_of(step.function.__name__), **more)


@task
def validate(run: str, source: str) -> dict[str, int]:
    """Check the rows of one source."""
    from include.pipeline import nightly

    return nightly.validate(run, source)


def validates(run: str, sources: Iterable[str]) -> TaskGroup:
    """One task per source that checks its rows."""
    with TaskGroup("validates") as group:
        for name in sources:
            validate.override(task_id=name, queue=queue_of("validates", name))(run, name)
    return group


@task.short_circuit(ignore_downstream_trigger_rules=False)  # accept runs all the same
def check_tolerance(run: str) -> bool:
    """Ask for an approval if more is in quarantine than tolerated, or the day unusual; else the question is skipped."""
    from include.pipeline import nightly

    return nightly.check_tolerance(run)


def approve(run: str) -> Approval:
    """The question to an operator, who may take the time that the settings give."""
    return Approval(
        task_id="approve",
        run_id=run,
        response_timeout=timedelta(hours=settings().approval_hours),
        execution_timeout=None,
        doc_md="Wait for an operator's approval: more rows would be in quarantine than is tolerated.",
    )


@task(trigger_rule="none_failed")  # where nobody has to be asked, approve is skipped
def accept(run: str) -> dict[str, dict[str, int]]:
    """Accepted rows into lake/clean, rejected ones into quarantine; or stop the night."""
    from include.pipeline import nightly

    return nightly.accept(run)


@task
def build(run: str, table: str) -> int:
    """Build one table, or the day's slice of it, into the lake."""
    from include.pipeline import table_build
    from transforms.build import build as builder

    one = TABLES[table]
    return table_build.build(run, one.table, one.layers, one.sources, builder, one.code)


def builds(run: str, tables: Iterable[str]) -> TaskGroup:
    """One task per table that builds it, after those that it is made from."""
    with TaskGroup("builds") as group:
        built = {name: build.override(task_id=name, queue=queue_of("builds", name))(run, name) for name in tables}
        for name, table in built.items():
            table << [
                built[needed] for layer, needed in TABLES[name].layers.values() if layer != "clean" and needed in built
            ]
    return group


@task
def audit(run: str, tables: list[str]) -> dict[str, dict[str, int]]:
    """Check what was built by each table's own rules, and prove that a night adds up."""
    from include.pipeline import nightly

    return nightly.audit(run, [TABLES[name].table for name in tables])


@task
def publish(run: str, tables: list[str], **context: Any) -> None:
    """Publish every reporting table in one transaction, and announce those that are the task's outlets."""
    from include.pipeline import nightly

    day = nightly.publish(run, [TABLES[name].table for name in tables])
    if day is None:
        raise AirflowSkipException("a dry run publishes nothing")
    for one in context["task"].outlets:
        context["outlet_events"][one].add_partitions(day.isoformat())


def report(run: str) -> Any:
    """A task that writes the run's report page, whatever came of it; its failure is the run's."""

    @task(task_id="report", queue=queue_of("report"))
    def written(run: str, **context: Any) -> str | None:
        """Write the report page; fail where the run was to publish and did not, which somebody may have stopped."""
        from include.pipeline import nightly

        if context["ti"].xcom_pull(task_ids="begin", key=SPARE):
            raise AirflowSkipException("begin found nothing to do")
        return nightly.report(run)

    return written(run).as_teardown(on_failure_fail_dagrun=True)
