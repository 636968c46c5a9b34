"""The steps of the DAG ``remove_slices``: a night's slices are removed from every table of slices.

For a day that should never have been run, or was run on wrong data. The slices are removed from the lake too: otherwise
training sets would still hold their rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from include.contract import Table
from include.ledger import builds, copies, publications, runs
from include.ledger.migrations import prepare
from include.ledger.runs import Kind, Run
from include.pipeline import table_build
from include.pipeline.declarations import typed
from include.pipeline.run_request import WrongRequest, refuse_unknown
from include.pipeline.stages import stage
from include.pipeline.troubles import told_apart
from include.publish.publication import publish_removal
from include.publish.table_version import TableVersion

FORM = ("night",)  # what a person may ask of a run


@told_apart()
def begin(run_id: str, conf: Mapping[str, Any], tables: Iterable[Table]) -> Run:
    """Enter a run: which night's slices are removed.

    Args:
        run_id: as Airflow knows it.
        conf: the form: ``night``.
        tables: the published tables there are now.

    Raises:
        WrongRequest: when the form holds something unknown, or that night has no slices.
    """
    refuse_unknown(conf, FORM)
    prepare()
    try:
        night = date.fromisoformat(conf.get("night") or "")
    except ValueError as error:
        raise WrongRequest(f"there is no night {conf.get('night')!r}; one is written 2026-11-20") from error
    copy = copies.newest_copy()
    if copy is None or not _holding(night, tables):
        raise WrongRequest(f"no table has a slice of the night of {night}")
    publication, _, horizon = copy
    run = Run(run_id, night, horizon=horizon, dag="remove_slices", kind=Kind.REMOVAL, built_from=publication)
    runs.open_run(run)
    copies.take_copy(run)
    return run


def publish(run_id: str, tables: Iterable[Table]) -> str:
    """Remove the slices from the lake, then from the warehouse in one transaction.

    Args:
        run_id: the run.
        tables: the published tables there are now.

    Returns:
        A sentence that says what was removed.
    """
    run = runs.find_run(run_id)
    snapshot_at, _ = copies.snapshot_of(run_id)
    known = typed(tables)
    holding = _holding(run.night, known)
    done = builds.built_versions(run_id)  # by an earlier attempt, which may have published too
    sliced = [table for table in known if table in holding or table.name in done]
    built = [TableVersion(table, done.get(table.name) or table_build.remove_slice(run_id, table)) for table in sliced]
    with stage(run_id, "publish"):
        publication = publish_removal(run, snapshot_at, built)
    names = ", ".join(one.table.qualified_name for one in built)
    return f"publication {publication} removes the night of {run.night} from {names}"


def _holding(night: date, tables: Iterable[Table]) -> list[Table]:
    """The tables of slices that have a slice of a night."""
    published = publications.tables_of(night)
    return [table for table in tables if table.rebuild.kind == "as_of" and table.qualified_name in published]
