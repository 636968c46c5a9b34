"""Who is told what of nights that fail, wait or are late: once of each, by mail and by a web server of this machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from include.ledger import anomalies, approvals, incidents, runs
from include.ledger.anomalies import Anomaly
from include.ledger.redaction import redacted
from include.ledger.runs import Kind, Run
from include.pipeline import alerts, watch
from include.serve.channels import channels as channels_of_settings
from include.settings import settings
from tests.conftest import Database
from tests.pipeline.receivers import LOCAL, Receiver, mailbox, webhook

NIGHT = date(2026, 11, 21)
FOUR = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)  # when the night of the 21st begins
TOKEN = "T0ken-of-the-test"  # noqa: S105 - of nobody
LINK = "http://airflow.invalid:8080/dags/nightly/runs"
FIGURES = {
    "source": "orders", "held": 30, "total": 1000, "tolerance": 0.01, "over": True,
    "amounts": {"EUR": "1234.50", "JPY": "700"}, "rules": [], "samples": [],
}  # fmt: skip


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """A web server that is up."""
    with webhook().up() as receiver:
        yield receiver


@pytest.fixture
def told(empty_ledger: Database, hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """The web server as the only channel; a night is to be published by 06:30."""
    monkeypatch.setenv("STOCKTAKE_PUBLISHED_BY", "06:30")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.invalid:8080/")
    channels(monkeypatch, f"json://{LOCAL}:{hook.port}/{TOKEN}")
    assert empty_ledger.name
    yield hook
    settings.cache_clear()


@pytest.fixture
def ledger(empty_ledger: Database) -> Iterator[psycopg.Connection[Any]]:
    """The ledger, as its owner."""
    with empty_ledger.connect("loader") as connection:
        yield connection


def channels(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    monkeypatch.setenv("STOCKTAKE_ALERTS", json.dumps(urls))
    settings.cache_clear()


def at(hour: int, minute: int = 0, *, days: int = 0) -> datetime:
    """On the day after the night of the 21st, or days later."""
    return FOUR.replace(hour=hour, minute=minute) + timedelta(days=days)


def begun(
    ledger: psycopg.Connection[Any], run_id: str = "night", when: datetime = FOUR, night: date = NIGHT, **asked: Any
) -> str:
    """A run that began then."""
    runs.open_run(Run(run_id, night, night, **asked))
    ledger.execute("update audit.runs set started_at = %s where run_id = %s", [when, run_id])
    return run_id


def failed(
    ledger: psycopg.Connection[Any],
    run_id: str = "night",
    error: str = "extract: no column full_nam",
    when: datetime = FOUR,
) -> str:
    begun(ledger, run_id, when)
    runs.finish_run(run_id, "failed", error)
    return run_id


def published(
    ledger: psycopg.Connection[Any], run_id: str, when: datetime, night: date = NIGHT, *, schema: str = "reporting"
) -> None:
    """A publication of a run at an instant; the run is over."""
    ledger.execute(
        """
        with one as (
            insert into audit.publications (run_id, night, horizon, snapshot_at, published_at)
            values (%(run)s, %(night)s, %(night)s, %(at)s, %(at)s) returning publication_id
        )
        insert into audit.publication_tables select publication_id, %(schema)s, 'one', 0, 0, 0, 0, true from one
        """,
        {"run": run_id, "night": night, "at": when, "schema": schema},
    )
    runs.finish_run(run_id, "success")


def callback(run_id: str, dag: str = "nightly") -> Mapping[str, Any]:
    """What Airflow calls a DAG back with."""
    return {"dag": SimpleNamespace(dag_id=dag), "run_id": run_id, "reason": "task_failure"}


def entries(ledger: psycopg.Connection[Any]) -> list[tuple[str, bool, list[str], list[str]]]:
    return ledger.execute(
        "select kind, closed_at is null, told, told_over from audit.incidents order by incident_id"
    ).fetchall()


def test_a_night_that_failed_is_told_once_and_once_that_it_is_over(
    told: Receiver, ledger: psycopg.Connection[Any]
) -> None:
    failed(ledger)
    watch.run_failed(callback("night"))
    for minute in range(10, 40, 5):
        watch.look(at(4, minute))
    assert told.titles == ["demo_shop: night of 2026-11-21: it failed"]
    reason, verdict, to_do, link = told.taken[0][1].splitlines()
    assert reason == "No column full_nam"
    assert (
        verdict == "The reading of the shop stopped the night, nothing was published. Nothing has been published yet."
    )
    assert to_do.startswith("What to do: see what the reason names")
    assert link == f"{LINK}/night"
    begun(ledger, "again", at(5))
    watch.look(at(5))
    published(ledger, "again", at(5, 20))
    for minute in range(25, 45, 5):
        watch.look(at(5, minute))
    assert told.titles[1:] == ["demo_shop: over: night of 2026-11-21: it failed"]
    assert "Published at 2026-11-22 05:20 UTC: readers have whole days up to 2026-11-21." in told.taken[1][1]
    assert "It was: no column full_nam" in told.taken[1][1]
    assert entries(ledger) == [("failed", False, ["1 json"], ["1 json"])]


def test_a_look_finds_what_nobody_called_back(told: Receiver, ledger: psycopg.Connection[Any]) -> None:
    failed(ledger)
    assert watch.look(at(4, 10)) == {"opened": 1, "closed": 0, "told": 1}
    watch.run_failed(callback("night"))
    assert len(told.taken) == 1


def test_a_night_that_fails_again_with_something_else_is_told_again_and_is_over_once(
    told: Receiver, ledger: psycopg.Connection[Any]
) -> None:
    failed(ledger)
    watch.look(at(4, 10))
    runs.resume_run("night", "nightly")
    watch.look(at(4, 15))
    runs.finish_run("night", "failed", "publish: no room")
    watch.look(at(4, 20))
    failed(ledger, "by hand", "publish: no room", at(4, 22))
    watch.look(at(4, 25))
    begun(ledger, "last", at(4, 30))
    published(ledger, "last", at(4, 40))
    watch.look(at(4, 45))
    assert [body.splitlines()[0] for _, body in told.taken[:3]] == ["No column full_nam", "No room", "No room"]
    assert told.titles[3:] == ["demo_shop: over: night of 2026-11-21: it failed"]


def test_a_later_night_makes_up_for_one_that_failed_and_what_is_past_is_not_told(
    told: Receiver, ledger: psycopg.Connection[Any]
) -> None:
    failed(ledger)
    begun(ledger, "next", at(4, days=1), NIGHT + timedelta(days=1))
    published(ledger, "next", at(4, 20, days=1), NIGHT + timedelta(days=1))
    watch.look(at(4, 25, days=1))
    assert told.taken == []


@pytest.mark.parametrize("asked", [{"dry_run": True}, {"kind": Kind.REPUBLISH}, {"kind": Kind.REPLAY}])
def test_what_a_person_started_and_sees_is_not_told(
    told: Receiver, ledger: psycopg.Connection[Any], asked: dict[str, Any]
) -> None:
    begun(ledger, **asked)
    runs.finish_run("night", "failed", "publish: no")
    watch.look(at(4, 10))
    assert told.taken == []


def test_a_run_that_failed_before_it_was_entered_is_told_too(told: Receiver) -> None:
    watch.run_failed(callback("unknown"))
    watch.run_failed(callback("unknown"))
    ((title, body),) = told.taken
    assert title.startswith("demo_shop: nightly of ")
    assert body.startswith("The run failed before it was entered in the ledger")
    assert body.endswith(f"{LINK}/unknown")


def test_a_run_that_fails_because_the_warehouse_is_away_is_told_all_the_same(
    told: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", f"postgresql://loader:hunter22@{LOCAL}:1/warehouse")
    settings.cache_clear()
    watch.run_failed(callback("night"))
    ((_, body),) = told.taken
    assert body.startswith("The warehouse cannot be reached: no connection to the warehouse")
    assert "hunter22" not in body


def test_a_night_that_waits_says_until_when_and_how_much_money_and_then_who_answered(
    told: Receiver, ledger: psycopg.Connection[Any]
) -> None:
    begun(ledger)
    approvals.ask("night", "digest", [FIGURES])
    ledger.execute("update audit.approvals set asked_at = %s", [at(4, 3)])
    watch.look(at(4, 5))
    watch.look(at(4, 10))
    ((title, body),) = told.taken
    assert title == "demo_shop: night of 2026-11-21: it waits for an approval until 08:03"
    reason, verdict, to_do, link = body.splitlines()
    assert reason == (
        "More rows in quarantine than tolerated: 30 of 1,000 orders. Money at stake: orders (1,234.50 EUR, 700 JPY)"
    )
    assert verdict.startswith("It waits for you until 2026-11-22 08:03 UTC; no answer is a no.")
    assert to_do == "What to do: approve or reject under Required Actions, where the evidence is."
    assert link == f"{LINK}/night/tasks/approve/required_actions"
    approvals.record_answer("night", approvals.Answer.APPROVED, "Ada")
    watch.look(at(4, 15))
    watch.look(at(4, 20))
    assert told.titles[1:] == ["demo_shop: over: night of 2026-11-21: it waits for an approval until 08:03"]
    assert told.taken[1][1].startswith("It no longer waits: approved by Ada.")


def test_a_night_is_late_at_half_past_six_and_not_before(told: Receiver, ledger: psycopg.Connection[Any]) -> None:
    begun(ledger)
    for minute in range(5, 30, 5):
        watch.look(at(6, minute))
    assert told.taken == []
    watch.look(at(6, 30))
    watch.look(at(6, 35))
    ((title, body),) = told.taken
    assert title == "demo_shop: night of 2026-11-21: not published by 06:30"
    assert body.startswith("Its run says: Not finished yet.")
    assert body.endswith(f"{LINK}/night")
    published(ledger, "night", at(6, 50))
    for minute in (55, 59):
        watch.look(at(6, minute))
    assert told.titles[1:] == ["demo_shop: over: night of 2026-11-21: not published by 06:30"]


def test_by_half_past_six_is_in_the_shops_zone(
    told: Receiver, ledger: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKTAKE_TIMEZONE", "Europe/Berlin")
    settings.cache_clear()
    begun(ledger, when=at(3))
    watch.look(at(5, 25))
    assert told.taken == []
    watch.look(at(5, 30))
    assert told.titles == ["demo_shop: night of 2026-11-21: not published by 06:30"]


def test_a_night_that_no_run_began_is_late_and_a_new_deployment_is_not(
    told: Receiver, ledger: psycopg.Connection[Any]
) -> None:
    watch.look(at(12))
    watch.look(at(12, 5))
    assert told.taken == []
    watch.look(at(6, 25, days=1))
    ledger.execute("update audit.incidents set closed_at = opened_at")
    told.taken.clear()
    watch.look(at(6, 30, days=1))
    ((title, body),) = told.taken
    assert title == "demo_shop: night of 2026-11-22: not published by 06:30"
    assert body.startswith("No run of this night has begun")
    assert body.endswith("http://airflow.invalid:8080/dags/nightly")


def test_a_night_that_was_published_late_between_two_looks_is_told_once(
    told: Receiver, ledger: psycopg.Connection[Any]
) -> None:
    begun(ledger)
    watch.look(at(6, 29))
    published(ledger, "night", at(6, 32))
    watch.look(at(6, 34))
    ledger.execute("update audit.looks set last_at = %s", [at(6, 29)])  # the look was killed before it was over
    watch.look(at(6, 39))
    ((title, body),) = told.taken
    assert title == "demo_shop: over: night of 2026-11-21: not published by 06:30"
    assert "It was: its run says: " in body
    assert "Published at 2026-11-22 06:32 UTC" in body


def test_a_night_that_is_in_time_is_not_told(told: Receiver, ledger: psycopg.Connection[Any]) -> None:
    begun(ledger)
    watch.look(at(4, 5))
    published(ledger, "night", at(4, 20))
    for minute in range(0, 30, 5):
        watch.look(at(4, 25 + minute))
    for hour in range(5, 8):
        for minute in range(0, 60, 5):
            watch.look(at(hour, minute))
    assert told.taken == []


def test_a_night_that_is_late_because_airflow_was_away_is_told_when_it_is_back(
    told: Receiver, ledger: psycopg.Connection[Any]
) -> None:
    watch.look(at(3, 10))
    watch.look(at(9, 5))
    begun(ledger, when=at(9, 5))
    watch.look(at(9, 10))
    ((title, body),) = told.taken
    assert title == "demo_shop: night of 2026-11-21: late, Airflow was away"
    assert body.startswith("Airflow ran nothing between 2026-11-22 03:10 UTC and 2026-11-22 09:05 UTC")
    published(ledger, "night", at(9, 20))
    watch.look(at(9, 25))
    watch.look(at(9, 30))
    assert told.titles[1:] == ["demo_shop: over: night of 2026-11-21: late, Airflow was away"]


def test_an_airflow_that_was_away_during_a_night_and_without_harm(
    told: Receiver, ledger: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STOCKTAKE_PUBLISHED_BY")
    settings.cache_clear()
    begun(ledger)
    watch.look(at(4, 5))
    published(ledger, "night", at(4, 6))
    watch.look(at(8))  # away, but the night was published
    assert told.taken == []
    begun(ledger, "next", at(4, days=1), NIGHT + timedelta(days=1))
    for minute in range(0, 20 * 60, 30):
        watch.look(at(8) + timedelta(minutes=minute))
    watch.look(at(4, 5, days=1))
    watch.look(at(7, days=1))  # away, while the night ran
    assert told.titles == ["demo_shop: night of 2026-11-22: late, Airflow was away"]


def test_features_that_failed_and_features_that_never_began(told: Receiver, ledger: psycopg.Connection[Any]) -> None:
    ledger.execute("insert into audit.tables values ('features', 'one', '{orders}', null)")
    begun(ledger)
    published(ledger, "night", at(4, 20))
    watch.look(at(4, 45))
    assert told.taken == []
    watch.look(at(4, 50))
    watch.look(at(4, 55))
    assert told.titles == ["demo_shop: features of 2026-11-21: missing"]
    begun(ledger, "features", at(5), dag="features", kind=Kind.TABLES, built_from=1)
    watch.look(at(5, 5))
    runs.finish_run("features", "failed", "builds.one: too little memory")
    watch.look(at(5, 10))
    assert told.titles[1:] == ["demo_shop: features of 2026-11-21: missing, the run failed"]
    assert told.taken[1][1].startswith("Too little memory")
    begun(ledger, "features", at(5, 15), dag="features", kind=Kind.TABLES, built_from=1)
    published(ledger, "features", at(5, 20), schema="features")
    watch.look(at(5, 25))
    watch.look(at(5, 30))
    assert told.titles[2:] == ["demo_shop: over: features of 2026-11-21: missing, the run failed"]


def test_a_shop_without_feature_sets_misses_none(told: Receiver, ledger: psycopg.Connection[Any]) -> None:
    ledger.execute("insert into audit.tables values ('features', 'one', '{orders}', 'it has no orders')")
    begun(ledger)
    published(ledger, "night", at(4, 20))
    watch.look(at(5))
    assert told.taken == []


def test_a_channel_that_was_down_is_told_when_it_is_back_and_the_other_is_not_told_twice(
    told: Receiver, ledger: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mail = mailbox()
    with mail.up():
        channels(
            monkeypatch,
            f"json://{LOCAL}:{told.port}/{TOKEN}",
            f"mailto://{LOCAL}:{mail.port}?from=stocktake@example.com&to=oncall@example.com&name={TOKEN}",
        )
    failed(ledger)
    with caplog.at_level(logging.DEBUG):
        watch.run_failed(callback("night"))
        watch.look(at(4, 10))
    assert (len(told.taken), mail.taken) == (1, [])
    assert "channel 2 mailto took no message" in caplog.text
    assert TOKEN not in caplog.text
    assert "example.com" not in caplog.text
    with mail.up():
        watch.look(at(4, 15))
        watch.look(at(4, 20))
    ((title, body),) = mail.taken
    assert title == "demo_shop: night of 2026-11-21: it failed"
    assert "No column full_nam" in body
    assert f"{LINK}/night" in body
    assert len(told.taken) == 1
    assert entries(ledger) == [("failed", True, ["1 json", "2 mailto"], [])]


def test_a_channel_that_was_down_all_the_while_is_told_only_that_it_is_over_and_not_a_day_later(
    told: Receiver, ledger: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = told.port
    channels(monkeypatch, f"json://{LOCAL}:1/{TOKEN}")
    failed(ledger)
    watch.look(at(4, 10))
    begun(ledger, "again", at(5))
    published(ledger, "again", at(5, 20))
    watch.look(at(5, 25))
    channels(monkeypatch, f"json://{LOCAL}:{port}/{TOKEN}")
    ledger.execute("update audit.incidents set closed_at = closed_at - interval '2 days'")
    watch.look(at(5, 30))
    assert told.taken == []
    ledger.execute("update audit.incidents set closed_at = closed_at + interval '2 days'")
    watch.look(at(5, 35))
    assert told.titles == ["demo_shop: over: night of 2026-11-21: it failed"]


def test_two_that_look_at_once_tell_once(told: Receiver, ledger: psycopg.Connection[Any]) -> None:
    from threading import Thread

    failed(ledger)
    looking = [Thread(target=watch.look, args=[at(4, 10)]) for _ in range(2)]
    looking += [Thread(target=watch.run_failed, args=[callback("night")])]
    for one in looking:
        one.start()
    for one in looking:
        one.join()
    assert len(told.taken) == 1


def test_a_service_that_nobody_knows_is_named_by_its_place_after_the_others_are_told(
    told: Receiver, ledger: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    channels(monkeypatch, f"carrier-pigeon://{TOKEN}/coop", f"json://{LOCAL}:{told.port}/x")
    failed(ledger)
    with pytest.raises(watch.UnknownChannel, match="1 carrier-pigeon of STOCKTAKE_ALERTS") as refused:
        watch.look(at(4, 10))
    assert TOKEN not in str(refused.value)
    assert len(told.taken) == 1


def test_without_a_channel_nothing_is_looked_for_or_called_back(
    told: Receiver, ledger: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(ledger)
    assert watch.at_once() is watch.run_failed
    channels(monkeypatch)
    assert watch.at_once() is None
    assert watch.look(at(4, 10)) == {}
    assert incidents.looks() is None
    assert told.taken == []


@pytest.mark.usefixtures("told")
def test_no_secret_of_a_channel_is_told_or_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = [f"json://{LOCAL}:8080/Tok3nNumberC", "mailtos://ada:hunter22@example.com"]
    channels(monkeypatch, "slack://Tok3nNumberA/Tok3nNumberB/x", *servers)
    assert redacted("no route to Tok3nNumberB as ada:hunter22") == "no route to *** as ada:***"
    assert redacted(f"http://{LOCAL}:8080/dags, Tok3nNumberA") == f"http://{LOCAL}:8080/dags, ***"
    told = alerts.failed_unentered("night", "nightly", NIGHT, None, "no route to mailtos://ada:hunter22@example.com")
    assert "hunter22" not in f"{told}"
    shown = f"{settings()!r} {settings().model_dump_json()} {channels_of_settings()}"
    assert "Tok3n" not in shown
    assert "hunter22" not in shown


@pytest.mark.usefixtures("told")
def test_a_mail_is_plain_text_without_secrets(ledger: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    mail = mailbox()
    with mail.up():
        url = f"mailto://{LOCAL}:{mail.port}?from=stocktake@example.com&to=oncall@example.com"
        channels(monkeypatch, url)
        failed(ledger, error="extract: <script>alert(1)</script> at postgresql://a:hunter22@b/c")
        watch.look(at(4, 10))
    ((_, body),) = mail.taken
    assert "hunter22" not in body
    assert body.startswith("<script>alert(1)</script> at postgresql://a:***@b/c")


def unusual(*measures: str) -> list[Anomaly]:
    """Figures of the orders that are not as expected."""
    told = "orders: {} 61, expected 95 to 170 (usual 125; 84 days before)"
    return [
        Anomaly("orders", one, "count", 61, 125, 95, 170, 2.1, told.format(one), False, 61, [], "select 1")
        for one in measures
    ]


def test_unusual_figures_are_told_once_and_once_when_they_are_explained(
    told: Receiver, ledger: psycopg.Connection[Any]
) -> None:
    begun(ledger)
    anomalies.record("night", [], unusual("rows", "blank method", "c", "d", "e", "f"), NIGHT)
    published(ledger, "night", at(4, 5))
    for minute in (10, 15, 20):
        watch.look(at(4, minute))
    assert told.titles == ["demo_shop: night of 2026-11-21: 6 figures are unusual"]
    reason, verdict, to_do, link = told.taken[0][1].splitlines()
    assert reason.startswith("Orders: rows 61, expected 95 to 170 (usual 125; 84 days before); orders: blank method 61")
    assert reason.endswith("; and 1 more")
    assert verdict == "Published. Readers have whole days up to 2026-11-21."
    assert "trigger explain_day with the date 2026-11-21" in to_do
    assert link == f"{LINK}/night"
    anomalies.explain(NIGHT, "orders", "rows", lasting=False, reason="a strike", explained_by="ada")
    watch.look(at(4, 25))
    assert len(told.titles) == 1, "what is left of them was told"
    anomalies.explain(NIGHT, None, None, lasting=False, reason="a strike", explained_by="ada")
    for minute in (30, 35):
        watch.look(at(4, minute))
    assert told.titles[1:] == ["demo_shop: over: night of 2026-11-21: 6 figures are unusual"]
    assert "Explained by ada: a strike" in told.taken[1][1]


def test_what_was_explained_beforehand_is_not_told(told: Receiver, ledger: psycopg.Connection[Any]) -> None:
    begun(ledger)
    anomalies.record("night", [], unusual("rows", "blank method"), NIGHT)
    anomalies.explain(NIGHT, "orders", "rows", lasting=False, reason="a strike", explained_by="ada")
    published(ledger, "night", at(4, 5))
    watch.look(at(4, 10))
    assert told.titles == ["demo_shop: night of 2026-11-21: 1 figure is unusual"]
    assert told.taken[0][1].startswith("Orders: blank method")


def test_unusual_figures_are_over_when_the_night_is_run_again_without_them(
    told: Receiver, ledger: psycopg.Connection[Any]
) -> None:
    begun(ledger)
    anomalies.record("night", [], unusual("rows"), NIGHT)
    published(ledger, "night", at(4, 5))
    watch.look(at(4, 10))
    begun(ledger, "again", at(5))
    watch.look(at(5, 5))
    assert told.titles == ["demo_shop: night of 2026-11-21: 1 figure is unusual"], "it is under way"
    published(ledger, "again", at(5, 10))
    watch.look(at(5, 15))
    assert "The night was run again, and its figures are as expected." in told.taken[1][1]


def test_unusual_figures_of_a_night_are_over_with_the_next_one(told: Receiver, ledger: psycopg.Connection[Any]) -> None:
    begun(ledger)
    anomalies.record("night", [], unusual("rows"), NIGHT)
    published(ledger, "night", at(4, 5))
    watch.look(at(4, 10))
    later = NIGHT + timedelta(days=1)
    begun(ledger, "next", at(4, days=1), later)
    anomalies.record("next", [], unusual("rows"), later)
    published(ledger, "next", at(4, 5, days=1), later)
    watch.look(at(4, 10, days=1))
    assert sorted(told.titles[1:]) == [
        "demo_shop: night of 2026-11-22: 1 figure is unusual",
        "demo_shop: over: night of 2026-11-21: 1 figure is unusual",
    ]
    assert "The night of 2026-11-22 is published; what is unusual of it is told by itself." in str(told.taken)


def test_what_waits_for_an_approval_because_it_is_unusual_is_told_once(
    told: Receiver, ledger: psycopg.Connection[Any]
) -> None:
    begun(ledger)
    anomalies.record("night", [], unusual("rows"), NIGHT)
    approvals.ask("night", "digest", [{"unusual": unusual("rows")[0].sentence}])
    watch.look(at(4, 10))
    watch.look(at(4, 15))
    assert [title.partition(" until")[0] for title in told.titles] == [
        "demo_shop: night of 2026-11-21: it waits for an approval"
    ]
    assert "Figures of the day are unusual: orders: rows 61, expected 95 to 170" in told.taken[0][1]
