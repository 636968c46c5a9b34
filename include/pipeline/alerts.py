"""What people are told of an incident: the reason first, then the verdict, what to do, and where in Airflow.

Belongs here: words. Does not: what is an incident (``watch``), or how a message travels (``serve.channels``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from include.ledger.anomalies import Finding
from include.ledger.approvals import Question
from include.ledger.incidents import Found, Incident, IncidentKind
from include.ledger.publications import Published
from include.ledger.redaction import redacted
from include.pipeline.approval import money, question
from include.serve import DAG_ID
from include.serve.verdict import verdict
from include.settings import NIGHT_AT, settings
from include.settings.shops import current_shop, dag_id_of

_LONGEST = 700  # characters of a reason: the run's page has the rest
_NAMED = 5  # figures that a message has
FEATURES = "features"
_CLEAR = "clear `begin` of the run with all that follows, or run the night again; the DAG's run-book says more by task"
_TO_DO = {
    "extract": f"see what the reason names (the shop's server, its tables, the folder's files), then {_CLEAR}",
    "check_tolerance": f"have the rows put right in the shop, then {_CLEAR}",
    "approve": "have the rows put right in the shop, then clear `begin`; or clear `check_tolerance`, to be asked again",
}
_UNENTERED = "the run failed before it was entered in the ledger; the log of its first red task says why"


def failed(run: Mapping[str, Any], standing: date | None) -> Found:
    """A run failed that was to publish.

    Args:
        run: its row of ``figures.runs``.
        standing: the last whole business day that readers have.
    """
    head, _, reason = verdict(run).sentence.partition(": ")
    task = (run["error"] or "").partition(":")[0]
    of = f"night of {run['night']}" if run["dag"] == DAG_ID else f"{run['dag']} of {run['night']}"
    features = run["dag"] == FEATURES
    return _found(
        IncidentKind.FEATURES if features else IncidentKind.FAILED,
        run["night"], run["dag"], run["run_id"],
        title=f"{of}: {'missing, the run' if features else 'it'} failed",
        reason=reason,
        verdict=f"{head}. {_readers_have(standing)}",
        to_do=_TO_DO.get(task, f"put right what the reason says, then {_CLEAR}"),
    )  # fmt: skip


def failed_unentered(run_id: str, dag: str, night: date, standing: date | None, reason: str = _UNENTERED) -> Found:
    """A run failed of which the ledger knows nothing."""
    return _found(
        IncidentKind.FEATURES if dag == FEATURES else IncidentKind.FAILED, night, dag, run_id,
        title=f"{dag} of {night}: it failed",
        reason=reason,
        verdict=f"Failed, nothing was published. {_readers_have(standing)}",
        to_do=f"put right what the reason or the log says, then {_CLEAR}",
    )  # fmt: skip


def waits(run: Mapping[str, Any], asked: Question, standing: date | None) -> Found:
    """A night waits for an approval."""
    until = asked.asked_at + timedelta(hours=settings().approval_hours)
    weighed = [one for one in asked.evidence if "source" in one]
    at_stake = "; ".join(f"{one['source']}{told}" for one in weighed if (told := money(one["amounts"])))
    return _found(
        IncidentKind.WAITS, run["night"], run["dag"], run["run_id"],
        title=f"night of {run['night']}: it waits for an approval until {_clock(until)}",
        reason=f"{question(asked.evidence)[0]}. Money at stake: {at_stake or 'none'}",
        verdict=f"It waits for you until {_instant(until)}; no answer is a no. {_readers_have(standing)}",
        to_do="approve or reject under Required Actions, where the evidence is",
        place="/tasks/approve/required_actions",
    )  # fmt: skip


def late(night: date, deadline: datetime, run: Mapping[str, Any] | None, standing: date | None) -> Found:
    """A night is not published by the time that it is to be.

    Args:
        night: its business day.
        deadline: that time.
        run: the night's latest run, a row of ``figures.runs``; None if there is none.
        standing: the last whole business day that readers have.
    """
    if run is None:
        reason = f"no run of this night has begun: the DAG {dag_id_of(DAG_ID)} is paused, or Airflow was away at 04:00"
    else:
        reason = f"its run says: {verdict(run).sentence}"
    return _found(
        IncidentKind.LATE, night, DAG_ID, run["run_id"] if run else None,
        title=f"night of {night}: not published by {_clock(deadline)}",
        reason=reason,
        verdict=f"Late: it was to be published by {_instant(deadline)}. {_readers_have(standing)}",
        to_do="look at the run" if run else f"unpause {dag_id_of(DAG_ID)}, or trigger it with this date",
    )  # fmt: skip


def no_features(night: date, published_at: datetime) -> Found:
    """A night is published, and no run of its features has begun."""
    return _found(
        IncidentKind.FEATURES, night, FEATURES, None,
        title=f"features of {night}: missing",
        reason=f"the night was published at {_instant(published_at)}, and no run of its features has begun since",
        verdict="The reporting tables are published; the features of this day are not.",
        to_do=f"trigger the DAG {dag_id_of(FEATURES)} with the date {night}",
    )  # fmt: skip


def away(night: date, since: datetime, until: datetime, run: Mapping[str, Any] | None, standing: date | None) -> Found:
    """Nothing ran while a night was due or under way."""
    missed = (until - since).days
    more = f" Of the {missed} nights of that time only the last one is run: backfill the others." if missed > 1 else ""
    return _found(
        IncidentKind.SCHEDULER, night, DAG_ID, run["run_id"] if run else None,
        title=f"night of {night}: late, Airflow was away",
        reason=f"Airflow ran nothing between {_instant(since)} and {_instant(until)}",
        verdict=f"Late: the night was due at {NIGHT_AT:%H:%M}, and runs now or next. {_readers_have(standing)}{more}",
        to_do=f"see why the scheduler was away, and that a run of {dag_id_of(DAG_ID)} is under way",
    )  # fmt: skip


def unusual(run: Mapping[str, Any], found: Sequence[Finding], standing: date | None) -> Found:
    """Figures of a night's day are not as expected.

    Args:
        run: its row of ``figures.runs``.
        found: what was found, the furthest off first, explained or not: while one is explained after the other, it is
            the same incident.
        standing: the last whole business day that readers have.
    """
    told = [one for one in found if one.reason is None]
    count = "1 figure is" if len(told) == 1 else f"{len(told)} figures are"
    return _found(
        IncidentKind.ANOMALY, run["night"], run["dag"], run["run_id"],
        title=f"night of {run['night']}: {count} unusual",
        reason=_figures(found),
        said=_figures(told),
        verdict=f"{verdict(run).word}. {_readers_have(standing)}",
        to_do="look at Unusual in the night's report, which has the rows; if the day was what it was, trigger"
        f" {dag_id_of('explain_day')} with the date {run['night']}; if not, have the rows put right and run the night"
        " again",
    )  # fmt: skip


def over(
    incident: Incident,
    published: Published | None,
    run: Mapping[str, Any] | None,
    asked: Question | None,
    why: str | None = None,
) -> str:
    """What people are told when an incident is over.

    Args:
        incident: which.
        published: what ended it, if a publication did.
        run: the run that it was about, a row of ``figures.runs``.
        asked: the question that it waited for an answer to.
        why: a sentence, where it is over for another reason.
    """
    shop, _, title = incident.message.partition("\n")[0].partition(": ")
    head = f"{shop}: over: {title}"
    if why is not None:
        said = why
    elif published is not None:
        said = f"Published at {_instant(published.published_at)}"
        said += "." if published.has_features else f": readers have whole days up to {published.horizon}."
    elif asked and asked.answer:
        said = f"It no longer waits: {asked.answer}{f' by {asked.answered_by}' if asked.answered_by else ''}."
    else:
        said = f"It no longer waits: {verdict(run).sentence}" if run else "It no longer waits: its run is gone."
    was = f"It was: {incident.reason}"
    return "\n".join([head, said, _cut(was), "Nothing to do.", _link(incident.dag, incident.run_id)])


def _found(
    kind: IncidentKind,
    night: date,
    dag: str,
    run_id: str | None,
    *,
    title: str,
    reason: str,
    verdict: str,
    to_do: str,
    place: str = "",
    said: str | None = None,
) -> Found:
    """The incident with its message, which says the reason, or what is ``said`` of it."""
    shop = current_shop() or settings().sources.name
    reason = redacted(reason)  # the only words that are not ours
    lines = [
        f"{shop}: {title}",
        _cut(redacted(said) if said else reason),
        verdict,
        f"What to do: {to_do}.",
        _link(dag, run_id, place),
    ]
    return Found(kind, night, dag, run_id, reason, "\n".join(lines))


def _figures(found: Sequence[Finding]) -> str:
    told = "; ".join(one.sentence for one in found[:_NAMED])
    return f"{told}; and {len(found) - _NAMED} more" if len(found) > _NAMED else told


def _readers_have(standing: date | None) -> str:
    return f"Readers have whole days up to {standing}." if standing else "Nothing has been published yet."


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    flat = f"{flat[:1].upper()}{flat[1:]}"
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(settings().timezone)):%H:%M}"


def _instant(at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(settings().timezone)):%Y-%m-%d %H:%M %Z}"


def _link(dag: str, run_id: str | None, place: str = "") -> str:
    """Where Airflow shows it: the run, or the DAG where there is none."""
    from airflow.sdk import conf

    home = str(conf.get("api", "base_url", fallback="") or "http://localhost:8080").rstrip("/")
    run = f"/runs/{quote(run_id, safe='')}{place}" if run_id else ""
    return f"{home}/dags/{dag_id_of(dag)}{run}"
