"""The steps of the DAG ``features``, where they differ from a night's: what is asked for, and publishing.

Belongs here: which day's slices are built, from which published copy of the shop. Does not: building and judging them,
which is what ``night`` does for any table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from include.contract import Table
from include.ledger import builds, copies, runs
from include.ledger.connection import prepare
from include.ledger.runs import Run
from include.pipeline.nightly import other_definitions, typed
from include.pipeline.run_request import WrongRequest, asked_day
from include.pipeline.stages import stage
from include.publish.publication import publish_features
from include.publish.table_version import TableVersion
from include.settings import settings
from include.sources import shop_sources

FORM = ("date", "engine", "parity")  # what a person may ask of a run


def begin(run_id: str, partition_key: str | None, conf: Mapping[str, Any]) -> Run:
    """Enter a run: a day's features, from the newest published copy of the shop that covers the day.

    Args:
        run_id: as Airflow knows it.
        partition_key: the business day of the assets that started the run, or that whoever triggered it gave.
        conf: the form: date, engine, parity. Without a day of its own a run is for the night that was published last.

    Raises:
        WrongRequest: when the form holds something unknown, the two days differ, no published copy covers the day, or
            the sources are not declared as when they were read.
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
    if changed := other_definitions(shop_sources(settings().sources)):
        raise WrongRequest(f"the sources are not declared as when they were read ({changed}): run nightly first")
    run = Run(
        run_id, day, horizon=day, engine=conf.get("engine") or "auto", parity=conf.get("parity"), dag="features",
        built_from=publication,
    )  # fmt: skip
    runs.open_run(run)
    copies.take_copy(run)
    return run


def publish(run_id: str, tables: Iterable[Table]) -> date:
    """Publish the day's slices of all feature sets in one transaction.

    Returns:
        The business day that was published.
    """
    run, versions = runs.find_run(run_id), builds.built_versions(run_id)
    snapshot_at, _ = copies.snapshot_of(run_id)
    with stage(run_id, "publish"):
        publish_features(run, snapshot_at, [TableVersion(table, versions[table.name]) for table in typed(tables)])
    return run.night
