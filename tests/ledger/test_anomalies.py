"""Which days count: published nights, each as its own night said it, but for what operators explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from include.ledger import anomalies, runs
from include.ledger.anomalies import Anomaly, Measured
from include.ledger.retention import forget
from include.ledger.runs import Run
from include.serve.exposition import GAUGES
from tests.conftest import Database

NIGHT = date(2026, 11, 21)


def days_before(days: int) -> date:
    return NIGHT - timedelta(days=days)


def a_night(
    ledger: psycopg.Connection[Any], run: str, night: date, rows: dict[date, int], *, published: bool = True
) -> None:
    """A night that measured the orders of some days, and tax on each."""
    runs.open_run(Run(run, night, night))
    measures = [
        Measured("orders", day, name, "count", value, value)
        for day, count in rows.items()
        for name, value in (("rows", count), ("tax", 7))
    ]
    anomalies.record(run, measures, [], night)
    if published:
        ledger.execute(
            "insert into audit.publications (run_id, night, horizon, snapshot_at) values (%s, %s, %s, now())",
            [run, night, night],
        )


def counted(measure: str = "rows", before: date = NIGHT) -> dict[date, float]:
    """What the orders were on days that count."""
    return {
        date(1970, 1, 1) + timedelta(days=day): value
        for one in anomalies.past(before, before - timedelta(days=400))
        if one.measure == measure
        for day, value in zip(one.days, one.measured, strict=True)
        if not any(day in left.days for left in anomalies.explained(before) if left.is_about(one.source, measure))
    }


@pytest.fixture
def ledger(empty_ledger: Database) -> Any:
    """The ledger, as its owner."""
    with empty_ledger.connect("loader") as connection:
        yield connection


def test_a_day_is_what_its_own_night_said_last(ledger: psycopg.Connection[Any]) -> None:
    a_night(ledger, "first", days_before(3), {days_before(5): 50, days_before(4): 40, days_before(3): 30})
    a_night(ledger, "second", days_before(2), {days_before(2): 20})
    a_night(ledger, "again", days_before(2), {days_before(2): 21})
    a_night(ledger, "later", days_before(1), {days_before(4): 44, days_before(2): 22, days_before(1): 10})
    assert counted() == {
        days_before(5): 50, days_before(4): 44, days_before(3): 30, days_before(2): 21, days_before(1): 10,
    }  # fmt: skip


def test_neither_the_day_itself_counts_nor_a_later_one(ledger: psycopg.Connection[Any]) -> None:
    a_night(ledger, "first", NIGHT, {days_before(1): 10, NIGHT: 0})
    a_night(ledger, "later", NIGHT + timedelta(days=1), {NIGHT + timedelta(days=1): 5})
    assert counted() == {days_before(1): 10}


def test_a_night_that_failed_does_not_count_and_what_it_found_of_other_days_is_measured_again(
    ledger: psycopg.Connection[Any],
) -> None:
    a_night(ledger, "failed", days_before(2), {days_before(3): 30, days_before(2): 2}, published=False)
    assert counted() == {}
    assert anomalies.known_days(NIGHT) == {"orders": [days_before(2)]}, "it had its night, which does not count"
    a_night(ledger, "next", days_before(1), {days_before(3): 33, days_before(1): 10})
    assert counted() == {days_before(3): 33, days_before(1): 10}
    assert anomalies.known_days(NIGHT) == {"orders": [days_before(3), days_before(2), days_before(1)]}


def test_what_is_explained_does_not_count(ledger: psycopg.Connection[Any]) -> None:
    a_night(ledger, "first", days_before(1), {days_before(one): 10 * one for one in range(1, 5)})
    about = ((2, None, None), (3, "orders", "tax"), (4, "payments", None))
    for back, source, measure in about:
        anomalies.explain(days_before(back), source, measure, lasting=False, reason="a sale", explained_by="ada")
    assert counted() == {days_before(1): 10, days_before(3): 30, days_before(4): 40}
    assert list(counted("tax")) == [days_before(4), days_before(1)]


def test_what_is_lasting_leaves_out_the_days_before_it(ledger: psycopg.Connection[Any]) -> None:
    a_night(ledger, "first", days_before(1), {days_before(one): 10 * one for one in range(1, 5)})
    anomalies.explain(days_before(2), "orders", "tax", lasting=True, reason="a new rate", explained_by="ada")
    assert list(counted("tax")) == [days_before(2), days_before(1)]
    assert len(counted()) == 4
    assert list(counted("tax", days_before(3))) == [days_before(4)], "for a day before it they count"


def test_a_nights_findings_have_who_explained_them_and_these_are_not_asked_about(
    ledger: psycopg.Connection[Any],
) -> None:
    found = Anomaly("orders", "rows", "count", 3, 10, 6, 15, 1.8, "orders: rows 3", True, 3, ["7"], "select 1")
    further = replace(found, measure="tax", excess=2.5, sentence="orders: tax 3")
    for back in (2, 1):
        a_night(ledger, f"night-{back}", days_before(back), {days_before(back): 3})
        anomalies.record(f"night-{back}", [], [found, further], days_before(back))
    assert anomalies.explain(days_before(2), None, "rows", lasting=False, reason="a strike", explained_by="ada") == 1
    listed = [(one.measure, one.reason, one.explained_by) for one in anomalies.of_run("night-2")]
    assert listed == [("tax", None, None), ("rows", "a strike", "ada")]
    assert [one.reason for one in anomalies.of_run("night-1")] == [None, None], "that was another day"
    assert anomalies.asked_about("night-2") == ["orders: tax 3"]
    assert anomalies.asked_about("night-1") == ["orders: tax 3", "orders: rows 3"]


def test_prometheus_counts_what_nobody_has_explained_of_the_last_night(ledger: psycopg.Connection[Any]) -> None:
    gauge = next(one for one in GAUGES if one.name == "stocktake_unusual_figures")
    names = ("rows", "tax", "channel web")
    found = [Anomaly("orders", name, "count", 3, 10, 6, 15, 1.8, name, False, 3, ["7"], "select 1") for name in names]
    for back, some in ((2, found[:1]), (1, found)):
        a_night(ledger, f"night-{back}", days_before(back), {days_before(back): 3})
        anomalies.record(f"night-{back}", [], some, days_before(back))
    assert ledger.execute(gauge.sql).fetchall() == [(3,)]
    anomalies.explain(days_before(1), "orders", "tax", lasting=False, reason="a sale", explained_by="ada")
    assert ledger.execute(gauge.sql).fetchall() == [(2,)]


def test_the_measures_of_published_nights_are_kept_for_two_years_more(ledger: psycopg.Connection[Any]) -> None:
    old, older = days_before(700), days_before(1200)
    a_night(ledger, "published", old, {older: 1, old: 2})
    a_night(ledger, "failed", old, {old: 3}, published=False)
    a_night(ledger, "recent", days_before(1), {days_before(1): 4})
    ledger.execute("update audit.runs set started_at = night, state = 'failed'")
    ledger.execute("update audit.publications set published_at = night")
    forget(datetime(2026, 8, 1, tzinfo=UTC), dry_run=False)
    left = ledger.execute("select run_id, day from audit.measures where measure = 'rows' order by day").fetchall()
    assert left == [("published", old), ("recent", days_before(1))]
