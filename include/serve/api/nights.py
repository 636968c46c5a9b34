"""Runs, how far the tables go, and the quarantine."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi import Query as Parameter

from include.serve import figures, night
from include.serve.api.login import operator, viewer
from include.serve.api.models import (
    HeldRow,
    Quarantine,
    RunDetail,
    RunList,
    RunSummary,
    SourceCounts,
    Stage,
    Status,
    TableStatus,
)
from include.serve.api.problems import unknown
from include.serve.verdict import verdict
from include.sources import SOURCES

router = APIRouter(dependencies=[viewer], tags=["runs"])

_MOST_ROWS = 100


@router.get("/status")
def table_status() -> Status:
    """How far each table goes and whether to trust it, tables that need attention first."""
    return Status(
        tables=[
            TableStatus(table=row["published_table"], **_without(row, "published_table")) for row in figures.status()
        ]
    )


@router.get("/runs")
def latest_runs() -> RunList:
    """The latest runs, the newest first."""
    return RunList(runs=[RunSummary(**_summary(run)) for run in figures.runs()])


@router.get("/runs/{run_id:path}")
def one_run(run_id: Annotated[str, Path(pattern="^[ -~]+$")]) -> RunDetail:
    """One run: what it read, and how long its stages took."""
    try:
        found = night.read(run_id)
    except KeyError:
        raise unknown("run_id", run_id, f"the ledger has no run {run_id!r}") from None
    return RunDetail(
        **_summary(found.run),
        reasons=list(verdict(found.run).reasons),
        sources=[SourceCounts(**{name: row[name] for name in SourceCounts.model_fields}) for row in found.sources],
        stages=[Stage(**row) for row in found.stages],
        tables=[dict(row) for row in found.tables],
    )


@router.get("/quarantine", dependencies=[operator])
def rows_in_quarantine(
    source: Annotated[str | None, Parameter(description="Of this source; of all, unless given.")] = None,
    rule: Annotated[str | None, Parameter(pattern=r"^\w+$", description="That break this rule.")] = None,
    after: Annotated[int, Parameter(ge=0, lt=2**63, description="`next` of the page before.")] = 0,
    limit: Annotated[int, Parameter(ge=1, le=_MOST_ROWS, description="The most rows of a page.")] = _MOST_ROWS,
) -> Quarantine:
    """Rows in quarantine, with their values: for operators, because these hold personal data."""
    if source is not None and source not in SOURCES:
        raise unknown("source", source, f"no source is called {source!r}", list(SOURCES))
    rows = figures.quarantine(source, rule, after, limit + 1)
    declared = sorted({one.name for found in SOURCES.values() for one in found.all_rules})
    if rule is not None and not rows and rule not in declared:  # rows of an earlier release may have its rules
        raise unknown("rule", rule, f"no rule is called {rule!r}", difflib.get_close_matches(rule, declared, 5))
    following = rows[limit - 1]["quarantine_id"] if len(rows) > limit else None
    return Quarantine(rows=[HeldRow(**row) for row in rows[:limit]], next=following)


def _summary(run: Mapping[str, Any]) -> dict[str, Any]:
    found = verdict(run)
    said = {"mood": found.mood, "word": found.word, "verdict": found.sentence}
    return said | {name: run[name] for name in RunSummary.model_fields if name not in said}


def _without(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
