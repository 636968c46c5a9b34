"""The step of the DAG ``explain_day``: an operator says why a day was as it was, and it counts for no later one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from include.ledger import anomalies
from include.ledger.migrations import prepare
from include.ledger.redaction import redacted
from include.pipeline.run_request import WrongRequest, refuse_unknown
from include.pipeline.troubles import told_apart

FORM = ("date", "reason", "source", "measure", "lasting")  # what a person may ask of a run


@told_apart()
def explain(conf: Mapping[str, Any], who: str | None) -> str:
    """Record an explanation.

    Args:
        conf: the form, with the fields of ``FORM``.
        who: who triggered the run, as Airflow calls them.

    Returns:
        A sentence that says what it is about.

    Raises:
        WrongRequest: when the form holds something unknown or lacks the day or the reason, or when no such source or
            measure was ever measured.
    """
    refuse_unknown(conf, FORM)
    try:
        day = date.fromisoformat(conf.get("date") or "")
    except ValueError as error:
        raise WrongRequest(f"there is no day {conf.get('date')!r}; one is written 2026-11-27") from error
    reason = redacted(str(conf.get("reason") or "").strip())
    if not reason:
        raise WrongRequest("say why the day was as it was: reason is empty")
    prepare()
    source, measure = conf.get("source") or None, conf.get("measure") or None
    about = ": ".join(filter(None, (source, measure))) or "every figure"
    if (source or measure) and not anomalies.was_measured(source, measure):
        raise WrongRequest(f"nothing was ever measured of {about}: audit.measures has all there is")
    lasting = bool(conf.get("lasting"))
    known = anomalies.explain(day, source, measure, lasting=lasting, reason=reason, explained_by=who or "somebody")
    counts = "no earlier day counts any more" if lasting else "it counts for no later day"
    return f"{about} of {day} is explained ({reason}): {known} findings; {counts}"
