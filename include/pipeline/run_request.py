"""What a run was asked for, by its partition key and its form; what makes no sense is refused in one sentence.

Belongs here: reading a request. Does not: what Airflow's form itself refuses, or doing what was asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from include.ledger.runs import Run
from include.settings import settings

FORM = ("date", "engine", "full_refresh", "dry_run", "parity")  # what a person may ask of a night


class WrongRequest(ValueError):
    """A run was asked for in a way that makes no sense; the message says what would."""


def refuse_unknown(conf: Mapping[str, Any], form: Sequence[str]) -> None:
    """Refuse a form that asks for what there is not: a misspelt ``dry_run`` would do things.

    Raises:
        WrongRequest: naming it, and what there is.
    """
    if unknown := sorted(set(conf) - set(form)):
        there = "is" if len(form) == 1 else "are"
        raise WrongRequest(f"unknown parameter {', '.join(unknown)}; there {there} {', '.join(form)}")


def asked_for(
    run_id: str, partition_key: str | None, conf: Mapping[str, Any], run_after: datetime, started_at: datetime
) -> Run:
    """What a run was asked to do; its day is the partition key, else the form's date, else the last closed day.

    Args:
        run_id: as Airflow knows it.
        partition_key: the business day that the schedule (or whoever triggered) gave the run, as ``2026-11-21``.
        conf: the form, with the fields of ``FORM``.
        run_after: when the run was due: without a day of its own it is for the one that had closed then, also when
            it is cleared a week later. A backfill is due at the start of its own day, however long that is over.
        started_at: when it started: a day that was not over then is refused.

    Raises:
        WrongRequest: when the form holds something unknown, the two days differ, or the day is not over.
    """
    last_closed = day_before(max(run_after, started_at))
    night = asked_day(partition_key, conf, FORM) or day_before(run_after)
    if night > last_closed:
        raise WrongRequest(f"{night} is not over in {settings().timezone}: the last closed day is {last_closed}")
    return Run(
        run_id,
        night,
        horizon=night,
        engine=conf.get("engine") or "auto",
        full_refresh=bool(conf.get("full_refresh")),
        dry_run=bool(conf.get("dry_run")),
        parity=conf.get("parity"),
    )


def asked_day(partition_key: str | None, conf: Mapping[str, Any], form: Sequence[str]) -> date | None:
    """The business day that a run was given, by its partition key or in its form; None where it was given none.

    Raises:
        WrongRequest: when the form holds something that is not in ``form``, a day is none, or the two days differ.
    """
    refuse_unknown(conf, form)
    days = set()
    for text in (partition_key, conf.get("date")):
        try:
            days |= {date.fromisoformat(text)} if text else set()
        except ValueError as error:
            raise WrongRequest(f"there is no day {text!r}; one is written 2026-11-21") from error
    if len(days) > 1:
        raise WrongRequest(f"the partition key says {partition_key}, the form says {conf['date']}: give one of them")
    return days.pop() if days else None


def day_before(instant: datetime) -> date:
    """The last business day that was over at an instant."""
    return instant.astimezone(ZoneInfo(settings().timezone)).date() - timedelta(days=1)
