"""Watching: finds incidents in the ledger, opens and closes them, and has every channel told, once of each.

Belongs here: what is an incident, and when it is over. Does not: words (``alerts``), or how a message travels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import psycopg

from include.ledger import anomalies, approvals, incidents, publications
from include.ledger.incidents import Found, Incident, IncidentKind
from include.ledger.locks import LockBusy, held
from include.ledger.migrations import prepare
from include.ledger.runs import PUBLISH_NIGHT, Kind
from include.pipeline import alerts
from include.pipeline.run_request import day_before
from include.pipeline.watched_state import State, last_night
from include.serve.channels import channels
from include.settings import NIGHT_AT, settings
from include.settings.shops import dag_of, of_shop, shop_of

EVERY: Final = timedelta(minutes=5)  # how often is looked; dags/watch.py goes by it
_AWAY: Final = 6 * EVERY  # without a look for longer, Airflow was away; long tasks may hold every slot for a while
_FEATURES_BEGIN: Final = timedelta(minutes=30)  # within this after a night is published; mostly it is seconds
_STILL_WORTH: Final = timedelta(days=1)  # to tell that something is over to a channel that was down
_PATIENCE: Final = timedelta(seconds=40)  # for another look; Airflow gives a callback 50 s

_log = logging.getLogger(__name__)


class UnknownChannel(ValueError):
    """A URL of ``STOCKTAKE_ALERTS`` is none that Apprise knows; the message names its place, not the URL."""


def look(at: datetime) -> dict[str, int]:
    """Look for incidents once: open what is new, close what is over, tell what is untold.

    Args:
        at: now.

    Returns:
        How many were opened and closed, and how many messages were taken.

    Raises:
        UnknownChannel: after everything else, when a channel can never be told.
        ConnectionError: when the warehouse cannot be reached.
    """
    if not settings().alerts:
        return {}
    prepare()
    with held("watch", _PATIENCE):
        state = State.read(at)
        opened = sum(incidents.open_incident(one, at) for one in found(state))
        closed = 0
        for incident in incidents.unsettled(at):
            if incident.closed_at is None and (over := _over(incident, state)):
                incidents.close_incident(incident.incident_id, over, at)
                closed += 1
        incidents.record_look(at)
        told = _tell(at)
    if unknown := [one.name for one in channels() if not one.is_known()]:
        raise UnknownChannel(
            f"Apprise knows no such service, or its URL lacks something: {', '.join(unknown)} of STOCKTAKE_ALERTS"
        )
    return {"opened": opened, "closed": closed, "told": told}


def run_failed(context: Mapping[str, Any]) -> None:
    """Tell at once that a run failed: Airflow calls this in its DAG processor. It never raises.

    Args:
        context: of a DAG's callback: ``dag`` and ``run_id``.
    """
    dag_id = str(context["dag"].dag_id)
    with of_shop(shop_of(dag_id)):
        _tell_at_once(str(context["run_id"]), dag_of(dag_id), datetime.now(UTC))


def _tell_at_once(run_id: str, dag: str, at: datetime) -> None:
    try:
        prepare()
        with held("watch", _PATIENCE):
            state = State.read(at)
            run = state.run(run_id)
            if run is None:
                entry = _unentered(run_id, dag, at, state.standing)
            elif run["dry_run"] or run["published_at"]:
                return
            else:
                entry = alerts.failed({**run, "state": "failed"}, state.standing)
            incidents.open_incident(entry, at)
            _tell(at)
    except Exception as error:
        if isinstance(error, ConnectionError | psycopg.OperationalError) and not isinstance(error, LockBusy):
            _tell_without_ledger(run_id, dag, at, error)
            return
        # Whatever it is, the next look tells it. Only the type of the error: its text may quote a connection string.
        _log.warning("run %s: nobody could be told that it failed: %s", run_id, type(error).__name__)


def at_once() -> Callable[[Mapping[str, Any]], None] | None:
    """What a DAG has called when its run failed; nothing where nobody is to be told."""
    return run_failed if settings().alerts else None


def found(state: State) -> Iterator[Found]:
    """Every incident there is at this instant, known or not."""
    yield from _failed_runs(state)
    yield from _waiting(state)
    yield from _late_or_away(state)
    yield from _without_features(state)
    yield from _unusual(state)


def _failed_runs(state: State) -> Iterator[Found]:
    """Runs that failed, of which no later publication made up; of each DAG and night the last one.

    A replay, a night put back and a removal are started by a person, who sees what comes of them.
    """
    seen: set[tuple[str, date]] = set()
    for run in state.runs:
        if run["kind"] not in (Kind.NIGHT, Kind.TABLES) or run["dry_run"] or (run["dag"], run["night"]) in seen:
            continue
        seen.add((run["dag"], run["night"]))
        kind = IncidentKind.FEATURES if run["dag"] == alerts.FEATURES else IncidentKind.FAILED
        if run["state"] == "failed" and not state.ended(kind, run["dag"], run["night"], run["started_at"]):
            yield alerts.failed(run, state.standing)


def _waiting(state: State) -> Iterator[Found]:
    for run in state.runs:
        if run["state"] == "running" and run["waits"] and (asked := approvals.latest(run["run_id"])):
            yield alerts.waits(run, asked, state.standing)


def _late_or_away(state: State) -> Iterator[Found]:
    """The last night that was due, where it is late: because Airflow was away, or for whatever reason."""
    away = _gap(state)
    if away is not None:
        night, since = away
        yield alerts.away(night, since, state.at, state.run_of(night), state.standing)
    by = settings().published_by
    if by is None:
        return
    night, deadline = last_night(state.at, by)
    if away is not None or incidents.was_away(night, deadline):
        return  # the same, and told
    published = state.first_published(night)
    # Published late between two looks is told too, but nothing that was over before the last one.
    fresh = published is None or (
        deadline < published.published_at and state.looks is not None and state.looks[1] < published.published_at
    )
    if fresh and state.expected_before(deadline):
        yield alerts.late(night, deadline, state.run_of(night), state.standing)


def _gap(state: State) -> tuple[date, datetime] | None:
    """The night that is late because nobody looked while it was due or under way, and since when; None if none is.

    A look is a run of Airflow's every five minutes: without any, the scheduler was away.
    """
    if state.looks is None or state.at - state.looks[1] <= _AWAY:
        return None
    since = state.looks[1]
    night, due = last_night(state.at, NIGHT_AT)
    published, run = state.first_published(night), state.run_of(night)
    in_time = due + _AWAY
    if state.at <= in_time:
        return None
    if published and (since >= due or published.published_at <= max(since, in_time)):
        return None  # what was published since then shows that Airflow was there
    if run is not None and (run["state"] == "failed" or (since < due and run["started_at"] <= in_time)):
        return None  # it has another reason; or it began in time: then only the DAG watch was away
    return night, since


def _without_features(state: State) -> Iterator[Found]:
    """The night that was published last, where no run of its features has begun."""
    night = next((one for one in state.published if one.kind in PUBLISH_NIGHT), None)
    if night is None or state.at - night.published_at < _FEATURES_BEGIN or not publications.has_feature_sets():
        return
    begun = any(run["dag"] == alerts.FEATURES and run["night"] == night.night for run in state.runs)
    if not begun and not any(one.has_features and one.night == night.night for one in state.published):
        yield alerts.no_features(night.night, night.published_at)


def _unusual(state: State) -> Iterator[Found]:
    """The last night, where figures of its day are not as expected and nobody has explained them."""
    run = next((one for one in state.runs if one["kind"] == Kind.NIGHT and not one["dry_run"]), None)
    if run is None or run["waits"]:  # what waits for an approval says itself why
        return
    found = anomalies.of_run(run["run_id"])
    if any(one.reason is None for one in found):
        yield alerts.unusual(run, found, state.standing)


def _over(incident: Incident, state: State) -> str | None:
    """What people are told, where an incident is over."""
    run = state.run(incident.run_id)
    if incident.kind == IncidentKind.WAITS:
        if run is not None and run["state"] == "running" and run["waits"]:
            return None
        asked = approvals.latest(incident.run_id) if incident.run_id else None
        return alerts.over(incident, None, run, asked)
    if incident.kind == IncidentKind.ANOMALY:
        return alerts.over(incident, None, run, None, why) if (why := _no_longer_unusual(incident, state)) else None
    if incident.kind in (IncidentKind.LATE, IncidentKind.SCHEDULER):
        published = state.first_published(incident.night)
    else:
        since = run["started_at"] if run else incident.opened_at
        published = state.ended(incident.kind, incident.dag, incident.night, since)
    return alerts.over(incident, published, run, None) if published else None


def _no_longer_unusual(incident: Incident, state: State) -> str | None:
    """What people are told, where a night's figures are explained, as expected now, or those of an earlier night."""
    latest = next((one for one in state.runs if one["kind"] == Kind.NIGHT and not one["dry_run"]), None)
    if latest is not None and latest["night"] > incident.night and latest["published_at"]:
        return f"The night of {latest['night']} is published; what is unusual of it is told by itself."
    run = state.run_of(incident.night)
    found = anomalies.of_run(run["run_id"]) if run else []
    if any(one.reason is None for one in found):
        return None
    if found:
        return f"Explained by {found[0].explained_by}: {found[0].reason}"
    if run is None or run["published_at"]:
        return "The night was run again, and its figures are as expected."
    return None  # it is under way again


def _tell(at: datetime) -> int:
    """Tell every channel what it has not been told; one that is down is tried again at the next look.

    Returns:
        How many messages were taken.
    """
    told = 0
    for incident in incidents.unsettled(at - _STILL_WORTH):
        message = incident.message if incident.closed_at is None else incident.over
        over = incident.closed_at is not None
        for channel in channels():
            known = incident.told_over if over else incident.told
            if message is None or channel.name in known or not channel.take(message, over=over):
                continue
            incidents.record_told(incident.incident_id, channel.name, over=over)
            told += 1
    return told


def _tell_without_ledger(run_id: str, dag: str, at: datetime, error: Exception) -> None:
    """Tell that a run failed where the warehouse is away, which may be why: nothing can be entered."""
    reason = f"the warehouse cannot be reached: {error}"
    message = _unentered(run_id, dag, at, None, reason).message
    for channel in channels():
        channel.take(message, over=False)


def _unentered(run_id: str, dag: str, at: datetime, standing: date | None, *reason: str) -> Found:
    return alerts.failed_unentered(run_id, dag, day_before(at), standing, *reason)
