"""The steps of the DAG ``replay``, where they differ from a night's: the quarantine is checked again, no shop is read.

Belongs here: which copy is checked, when that is refused, and whether there is anything to release. Does not: the gate,
building, proving and publishing, which are a night's own steps and do for a replay what they do for it.

A replay has the snapshot of the night that was published last, and moves no watermark. Its rows are the quarantine and
the families of what is in it; copy and quarantine together stay what the shop was proven to be.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from include.contract import Source, Table
from include.extract.completeness import keep_copy
from include.gate import handoff
from include.gate.row_outcomes import counts_of, load_checked_rows
from include.gate.selection import keep_touched
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.lake.night_views import open_night
from include.ledger import copies, runs
from include.ledger.migrations import prepare
from include.ledger.runs import Kind, Run
from include.pipeline import declarations, nightly
from include.pipeline.run_request import WrongRequest, refuse_unknown
from include.pipeline.stages import stage
from include.pipeline.troubles import told_apart
from include.publish.publication import enter_verdicts
from include.settings import settings
from include.sources import lake_sources, shop_sources

FORM = ("engine", "dry_run")  # what a person may ask of a run

_WHY = {
    "died": "run {run} of the night of {night} died while it changed the lake: run nightly, which reads everything",
    "open": "run {run} of the night of {night} is not over: replay the quarantine when it is",
    "unpublished": "run {run} of the night of {night} accepted rows that were never published: run nightly first",
}

_log = logging.getLogger(__name__)


class NotOver(RuntimeError):
    """The lake is not, or soon will not be, what the last publication left; the message says why. Nothing changed."""


@told_apart()
def begin(run_id: str, conf: Mapping[str, Any], tables: Iterable[tuple[Table, Iterable[str], str | None]]) -> Run:
    """Enter a run, for the last business day that is published, from the copy that was published last.

    Args:
        run_id: as Airflow knows it.
        conf: the form: engine, dry_run.
        tables: as ``night.begin`` takes them.

    Raises:
        WrongRequest: when the form holds something unknown, or nothing is published.
        NotOver: when a night, or another replay, is not over, died while it changed the lake, or left it ahead of what
            is published; or when the shop has other sources now, or these are read or derived otherwise.
    """
    refuse_unknown(conf, FORM)
    prepare()
    copy = copies.newest_copy()
    if copy is None:
        raise WrongRequest("nothing is published yet: run nightly first")
    publication, _, horizon = copy
    if found := copies.unfinished(run_id, publication):
        run, day, why = found
        raise NotOver(_WHY[why].format(run=run, night=day))
    sources = shop_sources(settings().sources)
    if other := declarations.other_sources(lake_sources(settings().sources), publication):
        raise NotOver(f"the shop has other sources than when it was read ({other}): run nightly first")
    if changed := declarations.other_definitions(sources):
        raise NotOver(f"the sources are not declared as when they were read ({changed}): run nightly first")
    asked = Run(
        run_id, horizon, horizon=horizon, engine=conf.get("engine") or "auto", dry_run=bool(conf.get("dry_run")),
        dag="replay", kind=Kind.REPLAY, built_from=publication,
    )  # fmt: skip
    nightly.begin(asked, tables)
    copies.take_copy(asked)
    handoff.clear(asked.slug)
    full = dict.fromkeys(sources, False)
    keep_touched(sources, asked.slug, full)
    with duck.session() as session:
        open_night(session, sources, asked.slug, full)
        for source in sources.values():
            keep_copy(session, source, asked.slug)
    return asked


def sift(run_id: str) -> bool:
    """Whether there is anything to publish; if not, the outcome of the check is entered in the ledger nevertheless.

    There is also something to publish when an earlier replay released rows to the lake and died before it published.

    Raises:
        Overtaken: when a night was published since the run began.
    """
    run, sources = runs.find_run(run_id), shop_sources(settings().sources)
    with stage(run_id, "sift"):
        if _is_ahead(run):
            return True
        snapshot_at, _ = copies.snapshot_of(run_id)
        with duck.session() as session:
            counts = _counts(session, sources, run)
            if any(one["released"] or one["recalled"] for one in counts):
                return True
            enter_verdicts(run, snapshot_at, session, sources)
    held = sum(one["held_rows"] for one in counts)
    _log.info("nothing to release: %s rows are in quarantine, and none passes its rules; nothing is published", held)
    return False


def _counts(session: Any, sources: Mapping[str, Source], run: Run) -> list[dict[str, int]]:
    """Load the checked rows into a session; returns per source what would be released, recalled and held."""
    full = dict.fromkeys(sources, False)
    open_night(session, sources, run.slug, full)
    load_checked_rows(session, sources, run.slug)
    return [counts_of(session, source, full=False) for source in sources.values()]


def _is_ahead(run: Run) -> bool:
    """Whether lake/clean holds other rows than the publication that a replay began from."""
    for name, version in copies.published_versions(run.replays or 0).items():
        latest = lake.version("clean", name)
        if latest is not None and lake.changes("clean", name, version, latest) != []:
            return True
    return False
