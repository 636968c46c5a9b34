"""What counts of what a shop says of its days, and for which of them a night begins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from include.ledger import runs
from include.ledger.runs import Kind, Run
from include.pipeline import day_closed
from include.pipeline.day_closed import NoClosedDay
from include.settings import settings
from tests.conftest import Database

DAY = date(2026, 11, 28)
JUST_AFTER = datetime(2026, 11, 29, 0, 5, tzinfo=UTC)
PUBLISH = """
insert into audit.publications (run_id, night, horizon, snapshot_at)
select run_id, night, horizon, now() from audit.runs where run_id = %s
"""


@pytest.fixture(autouse=True)
def announced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A shop that says when its day is closed, in UTC."""
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql:///nowhere")
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql:///nowhere")
    monkeypatch.setenv("STOCKTAKE_DAY_CLOSED", "outbox")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def enter(empty_ledger: Database) -> Iterator[Callable[..., None]]:
    """Enter a run of a night, which is under way, and may have published it."""
    with empty_ledger.connect("loader") as ledger:
        yield lambda run, *, published=False: _enter(ledger, run, published=published)


def _enter(ledger: psycopg.Connection[Any], run: Run, *, published: bool) -> None:
    runs.open_run(run)
    if published:
        ledger.execute(PUBLISH, [run.run_id])
        runs.finish_run(run.run_id, "success")


def stored(*days: str | date, at: datetime = JUST_AFTER) -> list[object]:
    """What Airflow has stored of announcements."""
    return [{"from_trigger": True, "payload": {"business_day": str(day), "said_at": at.isoformat()}} for day in days]


@pytest.mark.parametrize(
    "message",
    ["2026-11-28", " 2026-11-28\n", b"2026-11-28", '{"business_day": "2026-11-28", "till": 7}'],
)
def test_a_message_names_a_day(message: str | bytes) -> None:
    assert day_closed.day_in(message) == DAY


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("", "a message of 0 characters names no day: one is 2026-11-28"),
        ("yesterday", "a message of 9 characters names no day"),
        ("20261128", "a message of 8 characters names no day"),
        ("2026-W48-6", "a message of 10 characters names no day"),
        ("2026-02-30", "a message of 10 characters names no day"),
        ("28.11.2026", "a message of 10 characters names no day"),
        (b"\xff\xfe\x00", "a message of 3 characters names no day"),
        ('{"day": "2026-11-28"}', "a message of 21 characters names no day"),
        ('{"business_day": 20261128}', "a message of 26 characters names no day"),
        ('{"business_day": ["2026-11-28"]}', "a message of 32 characters names no day"),
        ("{" * 999, "a message of 999 characters names no day"),
        ('["2026-11-28"]', "a message of 14 characters names no day"),
        ("2026-11-28" * 1_000_000, "a message of 10,000,000 characters names no day: one has 1,000 at most"),
    ],
)
def test_what_names_no_day_is_refused_and_not_quoted(message: str | bytes, said: str) -> None:
    with pytest.raises(NoClosedDay) as refused:
        day_closed.day_in(message)
    assert str(refused.value).startswith(said)
    assert len(str(refused.value)) < 150
    assert refused.value.__context__ is None, "its own would quote the message"


def test_a_day_is_closed_when_it_is_over_where_the_shop_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_TIMEZONE", "America/Los_Angeles")
    settings.cache_clear()
    with pytest.raises(NoClosedDay, match="2026-11-28 was not over in America/Los_Angeles when it was said"):
        day_closed.judge(DAY, JUST_AFTER, JUST_AFTER + timedelta(days=1))
    midnight = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
    assert day_closed.judge(DAY, midnight, midnight)
    # The shop's clock is ahead: it is looked at again.
    assert not day_closed.judge(DAY, midnight, midnight - timedelta(seconds=2))


def test_a_day_that_is_over_for_more_than_a_week_starts_nothing() -> None:
    assert day_closed.judge(DAY, JUST_AFTER, JUST_AFTER + timedelta(days=7))
    with pytest.raises(NoClosedDay, match="is over for more than 7 days"):
        day_closed.judge(DAY, JUST_AFTER, JUST_AFTER + timedelta(days=8))


def test_every_day_that_was_announced_begins_once_the_earliest_first(enter: Callable[..., None]) -> None:
    enter(Run("manual__1", date(2026, 11, 26), date(2026, 11, 26)), published=True)
    days = ["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-27", "2026-11-28"]
    said = stored("2026-11-28", "2026-11-26", "2026-11-29", "2026-11-01", *reversed(days), *days)

    assert day_closed.nights(said, JUST_AFTER, paused=False) == [
        {"trigger_run_id": f"day_closed__{day}", "conf": {"date": day}} for day in days
    ]


def test_nothing_begins_where_nightly_is_paused(empty_ledger: Database, caplog: pytest.LogCaptureFixture) -> None:
    assert empty_ledger.name
    assert day_closed.nights(stored(DAY), JUST_AFTER, paused=True) == []
    assert "nightly is paused: nothing begins for 2026-11-28" in caplog.text


@pytest.mark.parametrize(
    "event",
    [None, {}, {"payload": None}, {"payload": "2026-11-28"}, {"payload": {"business_day": "x", "said_at": "y"}}],
)
def test_an_event_that_a_person_made_starts_nothing(
    empty_ledger: Database, caplog: pytest.LogCaptureFixture, event: object
) -> None:
    assert empty_ledger.name
    with caplog.at_level(logging.WARNING):
        assert day_closed.to_begin([event], JUST_AFTER) == []
    assert "announces no day" in caplog.text


def test_a_day_is_settled_once_a_night_of_it_is_under_way_or_was_published(enter: Callable[..., None]) -> None:
    assert not day_closed.is_settled(DAY)
    enter(Run("manual__try", DAY, DAY, dry_run=True))
    assert not day_closed.is_settled(DAY)
    enter(Run("manual__1", DAY, DAY))
    assert day_closed.is_settled(DAY)
    runs.finish_run("manual__1", "failed", "the shop is away")
    assert not day_closed.is_settled(DAY)
    enter(Run("day_closed__2026-11-28", DAY, DAY))
    runs.finish_run("day_closed__2026-11-28", "failed", "the shop is away")
    assert day_closed.is_settled(DAY), "the schedule makes another"
    assert not day_closed.is_settled(DAY - timedelta(days=1))


@pytest.mark.parametrize(("run_id", "kind"), [("scheduled__1", "scheduled"), ("day_closed__2026-11-28", "operator")])
def test_a_night_that_nobody_asked_for_is_spare_when_another_run_has_published_it(
    enter: Callable[..., None], run_id: str, kind: str
) -> None:
    spare, asked_for = Run(run_id, DAY, DAY), Run("manual__2", DAY, DAY)
    assert not day_closed.is_spare(spare, kind)
    enter(Run("manual__1", DAY, DAY))
    assert not day_closed.is_spare(spare, kind)
    enter(Run("manual__1", DAY, DAY), published=True)

    assert day_closed.is_spare(spare, kind)
    assert not day_closed.is_spare(asked_for, "manual")
    assert not day_closed.is_spare(Run("backfill__1", DAY, DAY), "backfill")
    assert not day_closed.is_spare(Run(run_id, DAY + timedelta(days=1), DAY), "scheduled")


def test_a_run_that_published_its_night_may_be_cleared_and_run_again(enter: Callable[..., None]) -> None:
    enter(Run("day_closed__2026-11-28", DAY, DAY), published=True)
    assert not day_closed.is_spare(Run("day_closed__2026-11-28", DAY, DAY), "operator")


def test_after_a_past_night_was_put_back_the_schedule_brings_everything_forward(enter: Callable[..., None]) -> None:
    past = DAY - timedelta(days=3)
    enter(Run("manual__1", DAY, DAY), published=True)
    enter(Run("manual__back", past, past, dag="republish", kind=Kind.REPUBLISH), published=True)
    assert not day_closed.is_spare(Run("scheduled__1", DAY, DAY), "scheduled")


def test_without_the_setting_the_schedule_runs_as_ever(
    enter: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(Run("manual__1", DAY, DAY), published=True)
    monkeypatch.setenv("STOCKTAKE_DAY_CLOSED", "")
    settings.cache_clear()
    assert not day_closed.is_spare(Run("scheduled__1", DAY, DAY), "scheduled")
