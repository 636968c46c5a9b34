"""The steps of a DAG that builds some tables from the published copy of the shop, where they differ from a night's.

The DAG ``features`` is one, and so is every DAG of one's own. Belongs here: what is asked for, which copy it is built
from, and publishing. Does not: building and checking, which is what ``nightly`` does for any table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from include.contract import Table
from include.ledger import builds, copies, publications, runs
from include.ledger.migrations import prepare
from include.ledger.runs import Kind, Run
from include.pipeline.declarations import other_definitions, other_sources, typed
from include.pipeline.first_day import refuse_before
from include.pipeline.run_request import WrongRequest, asked_day
from include.pipeline.stages import stage
from include.pipeline.troubles import told_apart
from include.publish.publication import publish_tables
from include.publish.table_version import TableVersion
from include.settings import settings
from include.sources import lake_sources, shop_sources

FORM = ("date", "engine", "parity")  # what a person may ask of a run


@told_apart()
def begin(
    run_id: str,
    partition_key: str | None,
    conf: Mapping[str, Any],
    *,
    dag: str,
    tables: Iterable[Table],
) -> Run:
    """Enter a run: some tables, from the newest published copy of the shop that covers the day.

    Args:
        run_id: as Airflow knows it.
        partition_key: the business day of the assets that started the run, or that whoever triggered it gave.
        conf: the form: date, engine, parity. Without a day of its own a run is for the night that was published last.
        dag: the DAG whose run it is.
        tables: what it builds. A slice is the day's; other tables cover whole days up to the last published one.

    Raises:
        WrongRequest: when the form holds something unknown, the two days differ, no published copy covers the day, the
            day is before the shop's first, the shop has other sources or declares them otherwise than when they were
            read, or readers have a past night that was put back, to which new reporting tables do not fit.
    """
    asked = asked_day(partition_key, conf, FORM)
    prepare()
    copy = copies.newest_copy()
    if copy is None:
        raise WrongRequest("nothing is published yet: run nightly first")
    publication, night, horizon = copy
    day = asked or night
    if day > horizon:
        raise WrongRequest(f"{day} is not published yet, only the days up to {horizon}: run nightly for it first")
    refuse_before(day, copies.first_day())
    sources = shop_sources(settings().sources)
    if other := other_sources(lake_sources(settings().sources), publication):
        raise WrongRequest(f"the shop has other sources than when it was read ({other}): run nightly first")
    if changed := other_definitions(sources):
        raise WrongRequest(f"the sources are not declared as when they were read ({changed}): run nightly first")
    live = publications.live_copy()
    if live and live.is_put_back and any(table.schema == "reporting" for table in tables):
        raise WrongRequest(f"a past night is put back, up to {live.horizon}: run nightly first, which ends that")
    run = Run(
        run_id, day, horizon=horizon, engine=conf.get("engine") or "auto", parity=conf.get("parity"), dag=dag,
        kind=Kind.TABLES, built_from=publication,
    )  # fmt: skip
    runs.open_run(run)
    copies.take_copy(run)
    return run


def publish(run_id: str, tables: Iterable[Table]) -> date:
    """Publish all of them in one transaction: the day's slices, and tables without slices whole.

    Returns:
        The business day that was published.
    """
    run, versions = runs.find_run(run_id), builds.built_versions(run_id)
    snapshot_at, _ = copies.snapshot_of(run_id)
    with stage(run_id, "publish"):
        publish_tables(run, snapshot_at, [TableVersion(table, versions[table.name]) for table in typed(tables)])
    return run.night
