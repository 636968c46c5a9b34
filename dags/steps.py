"""The tasks that more than one DAG has; each DAG says when and for which tables. No DAG itself."""

from __future__ import annotations

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from transforms.catalogue import TABLES


@task
def build(run: str, table: str) -> int:
    """Build one table, or the day's slice of it, into the lake."""
    from include import night
    from transforms.build import build as builder

    one = TABLES[table]
    return night.build(run, one.table, one.layers, one.sources, builder)


@task
def audit(run: str, tables: list[str]) -> dict[str, dict[str, int]]:
    """Judge what was built by each table's own rules, and prove that a night adds up."""
    from include import night

    return night.audit(run, [TABLES[name].table for name in tables])


@task
def report(run: str) -> str:
    """Write the run's report page, whatever came of it."""
    from include import night

    page = night.report(run)
    if page is None:
        raise AirflowSkipException("the run was refused before it was entered: the log of begin says why")
    return page
