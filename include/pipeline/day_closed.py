"""A shop that says that its day is closed: what counts of what it says, and which nights begin for it.

Belongs here: judging what was said. Does not: hearing it (``outbox``, ``day_messages``), or when a night begins that
nobody announced (the schedule of ``dags/nightly.py``).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import psycopg

from include.ledger import publications, runs
from include.ledger.migrations import prepare
from include.ledger.runs import Run
from include.pipeline.run_request import day_before
from include.settings import settings
from include.settings.shops import UnknownShop

# How long Airflow may have been away: days that were announced meanwhile still get their night. One that is over for
# longer is a mistake, or the first look at an outbox with a past.
DAYS: Final = 7
_LONGEST: Final = 1000  # characters of a message
_log = logging.getLogger(__name__)


class NoClosedDay(ValueError):
    """What was said starts no night; the message says why, without quoting it."""


async def while_set_to(place: str) -> None:
    """Return at once where the setting names this place; else never, until the task is cancelled.

    Airflow keeps the trigger of a DAG that is no more, and wants it to go on.
    """
    try:
        is_named = settings().day_closed == place
    except UnknownShop:  # it was taken out of those that the deployment names, or is the first of several now
        is_named = False
    if not is_named:
        _log.info("STOCKTAKE_DAY_CLOSED does not name %s any more: nobody listens there", place)
        await asyncio.Event().wait()


def shop_argument(shop: str | None) -> dict[str, str]:
    """What a trigger says of its shop, where there are several: by its arguments Airflow tells one from another."""
    return {} if shop is None else {"shop": shop}


def run_id_of(day: date) -> str:
    """The id of the run of ``nightly`` that an announced day gets: Airflow makes no second run with it."""
    return f"day_closed__{day}"


def day_in(message: str | bytes) -> date:
    """The business day that a message names: ``2026-11-28``, or JSON such as ``{"business_day": "2026-11-28"}``.

    Raises:
        NoClosedDay: when it names none, or is too long to be read.
    """
    if len(message) > _LONGEST:
        raise NoClosedDay(f"a message of {len(message):,} characters names no day: one has {_LONGEST:,} at most")
    try:
        text = message.decode() if isinstance(message, bytes) else message
        said = json.loads(text) if text.lstrip().startswith("{") else text.strip()
        day = said["business_day"] if isinstance(said, dict) else said
        if isinstance(day, str) and day == (found := date.fromisoformat(day)).isoformat():
            return found
    except (ValueError, KeyError, RecursionError):
        pass
    # Said outside the handler: its error quotes the message.
    raise NoClosedDay(
        f'a message of {len(message):,} characters names no day: one is 2026-11-28 or {{"business_day": "2026-11-28"}}'
    )


def judge(day: date, said_at: datetime, at: datetime) -> bool:
    """Whether a day that was announced is over by our clock too; the shop's may be ahead a little.

    Args:
        day: the business day.
        said_at: when the shop said so.
        at: now.

    Raises:
        NoClosedDay: when it was not over when it was said, or is over for too long.
    """
    zone = settings().timezone
    if day > day_before(said_at):
        raise NoClosedDay(f"{day} was not over in {zone} when it was said to be closed, at {said_at.isoformat()}")
    if day < day_before(at) - timedelta(days=DAYS):
        raise NoClosedDay(f"{day} is over for more than {DAYS} days: trigger nightly by hand for it")
    return day <= day_before(at)


def announcement(day: date, said_at: datetime) -> dict[str, str]:
    """What a trigger hands to Airflow, as JSON."""
    return {"business_day": day.isoformat(), "said_at": said_at.isoformat()}


def since(at: datetime) -> str:
    """Announcements of before this instant are of days that are over for too long."""
    return (at - timedelta(days=DAYS + 1)).isoformat()


def nights(announcements: Iterable[object], at: datetime, *, paused: bool) -> list[dict[str, Any]]:
    """The runs of ``nightly`` that are to begin, the earliest day first: the id and the form of each.

    Args:
        announcements: what Airflow has stored of the triggers ``since`` then; not only what started the run that asks,
            for Airflow may start one run for several.
        at: now.
        paused: whether ``nightly`` is paused: its schedule makes no runs then, and neither does this.
    """
    days = to_begin(announcements, at)
    if paused and days:
        _log.warning("nightly is paused: nothing begins for %s", ", ".join(map(str, days)))
        return []
    return [{"trigger_run_id": run_id_of(day), "conf": {"date": day.isoformat()}} for day in days]


def to_begin(announcements: Iterable[object], at: datetime) -> list[date]:
    """Of all days that were announced lately, those whose night is still to begin, the earliest first."""
    prepare()
    days = set()
    for one in announcements:
        try:
            day, said_at = _read(one)
            if judge(day, said_at, at):
                days.add(day)
        except NoClosedDay as refused:
            _log.warning("%s", refused)
    return [day for day in sorted(days) if not is_settled(day)]


def is_settled(day: date) -> bool:
    """Whether nothing is left to begin for a day: it is published, or on its way, or was begun when it was announced.

    Of one whose night failed, the schedule makes another.
    """
    return publications.is_published(day) or runs.is_begun(day, run_id_of(day))


def seems_settled(day: date) -> bool:
    """The same, for a trigger: where the ledger cannot be asked it is not, for the run that is started asks again."""
    try:
        return is_settled(day)
    except (psycopg.Error, ConnectionError) as error:
        _log.info("The ledger does not say whether the night of %s has begun: %s", day, type(error).__name__)
        return False


def is_spare(run: Run, run_type: str) -> bool:
    """Whether a night that nobody asked for finds its day published: the schedule is for days that were not."""
    if settings().day_closed is None or not (run_type == "scheduled" or run.run_id == run_id_of(run.night)):
        return False
    prepare()
    if not publications.is_published(run.night, but_for=run.run_id):
        return False
    _log.info("The night of %s is published already: there is nothing to do", run.night)
    return True


def _read(stored: object) -> tuple[date, datetime]:
    """The announcement in an event of Airflow's; a person may have made one in its pages."""
    payload: Any = stored.get("payload") if isinstance(stored, Mapping) else None
    try:
        said_at = datetime.fromisoformat(payload["said_at"])
        return date.fromisoformat(payload["business_day"]), said_at if said_at.tzinfo else said_at.replace(tzinfo=UTC)
    except (TypeError, KeyError, ValueError):
        raise NoClosedDay("an event of the asset that no trigger of ours made announces no day") from None
