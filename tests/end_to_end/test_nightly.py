"""The whole thing: ``make nightly`` and ``make ui`` on an empty machine, with nothing replaced."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from include.ledger.runs import slug
from include.sources import SOURCES
from tests.end_to_end.conftest import PATIENCE_SECONDS, ZONE, FirstNight, ScheduledNight, Stack, standalone
from tests.nights import GROSS
from transforms.registry import TABLES

PUBLISHED = {one.table.qualified_name for one in TABLES.values()}
REPORTING = {name for name in PUBLISHED if name.startswith("reporting.")}
FEATURES = PUBLISHED - REPORTING
SECRETS = ("passwords.json", "logins.json", "secrets.json")  # where secrets belong


def test_the_first_night_says_what_came_of_it(first_night: FirstNight, stack: Stack) -> None:
    printed = first_night.done.stdout
    words = [line.split() for line in printed.splitlines()]
    assert re.match(
        rf"Night of {stack.last_closed_day}: success \((pandas|duckdb|pandas, duckdb|duckdb, pandas)\)\n", printed
    )
    for source in SOURCES:
        [(rows,)] = stack.shop(f"select count(*) from {source}")
        assert [source, f"{rows:,}", f"{rows:,}", "0", "0", "0", "0", "yes"] in words
    for table in PUBLISHED:
        rows = first_night.rows[table]
        assert [table, f"{rows:,}", f"{rows:,}", "0"] in words
    sales = stack.warehouse(
        "select net_sales, currency, orders from reporting.daily_sales where day = %s order by 2", stack.last_closed_day
    )
    decimals = {"JPY": 0, "KWD": 3}
    said = "; ".join(
        f"{amount:,.{decimals.get(currency, 2)}f} {currency} from {orders:,} order{'s' * (orders != 1)}"
        for amount, currency, orders in sales
    )
    assert f"Net sales of {stack.last_closed_day}: {said}\n" in printed
    [(stockouts,)] = stack.warehouse(
        "select count(*) from reporting.inventory_daily where day = %s and is_stockout", stack.last_closed_day
    )
    assert f"Stock-outs at its close: {stockouts} (product, warehouse)\n" in printed
    timed = itertools.takewhile(bool, words[words.index(["stage", "seconds"]) + 1 :])
    stages = {" ".join(line[:-1]): float(line[-1]) for line in timed}
    assert {"extract", "accept", "audit", "publish", *(f"validate {name}" for name in SOURCES)} <= set(stages)
    assert {"features: build customer_activity", "features: publish"} <= set(stages)
    assert "\nIts features: manual__" in first_night.done.stderr
    assert all(0 < seconds < 300 for seconds in stages.values())
    assert "Where to look next\n  make psql" in printed


@pytest.mark.usefixtures("first_night")
def test_daily_sales_equal_independent_sql_on_the_shop_to_the_cent(stack: Stack) -> None:
    """Discounts over all days: of an order to which a line was added, its share counts on another day."""
    expected = stack.shop(
        f"""
        with days as (
            select (ordered_at at time zone '{ZONE}')::date as day, currency,
                case when status = 'cancelled' then 0 else 1 end as orders,
                case when status = 'cancelled' then 1 else 0 end as cancelled,
                0 as gross,
                0 as returned,
                case when status = 'cancelled' then 0 else tax end as tax
            from orders
            union all
            select (coalesce(sold_at, ordered_at) at time zone '{ZONE}')::date, currency, 0, 0, {GROSS},
                0, 0
            from order_items join orders using (order_id) where status <> 'cancelled'
            union all
            select (refunded_at at time zone '{ZONE}')::date, currency, 0, 0, 0, amount, 0
            from refunds join order_items using (order_item_id) join orders using (order_id)
            union all
            select (removed_at at time zone '{ZONE}')::date, currency, 0, 0, 0, {GROSS}, 0
            from order_items join orders using (order_id) where status <> 'cancelled' and removed_at is not null
        )
        select day, currency, sum(orders), sum(cancelled), sum(gross), sum(returned), sum(tax)
        from days where day <= %s group by day, currency
        having sum(orders) + sum(cancelled) + sum(gross) + sum(returned) > 0 order by day, currency
        """,
        stack.last_closed_day,
    )
    published = stack.warehouse(
        """
        select day, currency, orders, cancelled_orders, gross_sales, returns, tax
        from reporting.daily_sales where orders + cancelled_orders + gross_sales + returns > 0 order by day, currency
        """
    )
    assert len(expected) > 700
    assert published == expected
    discounts = "select currency, sum({}) from {} group by 1 order by 1"
    kept = f"orders where status <> 'cancelled' and (ordered_at at time zone '{ZONE}')::date <= %s"
    assert stack.warehouse(discounts.format("discounts", "reporting.daily_sales")) == stack.shop(
        discounts.format("discount", kept), stack.last_closed_day
    )
    assert stack.warehouse(
        "select count(*) from reporting.daily_sales where net_sales <> gross_sales - discounts - returns"
    ) == [(0,)]


@pytest.mark.usefixtures("first_night")
def test_data_status_names_every_published_table_and_nothing_else(stack: Stack) -> None:
    status = stack.warehouse("select published_table, verdict, last_day, complete from reporting.data_status")
    assert {name: (verdict, day, complete) for name, verdict, day, complete in status} == dict.fromkeys(
        PUBLISHED, ("ok", stack.last_closed_day, True)
    )
    there = stack.warehouse("select schemaname || '.' || tablename from pg_tables where schemaname = any(%s)",
                            ["reporting", "features"])  # fmt: skip
    assert {name for (name,) in there} == PUBLISHED


@pytest.mark.usefixtures("first_night")
def test_the_ledger_has_heard_from_airflow_how_the_run_ended(stack: Stack) -> None:
    run = stack.runs()[0]
    assert (run["run_type"], run["state"], run["partition_key"]) == (
        "manual", "success", stack.last_closed_day.isoformat(),
    )  # fmt: skip
    entered = stack.warehouse(
        "select state, error, night, horizon, finished_at between %s and %s from audit.runs where run_id = %s",
        datetime.fromisoformat(run["start_date"]), datetime.fromisoformat(run["end_date"]) + timedelta(seconds=20),
        run["dag_run_id"],
    )  # fmt: skip
    assert entered == [("success", None, stack.last_closed_day, stack.last_closed_day, True)]


@pytest.mark.usefixtures("first_night")
def test_every_published_table_is_an_asset_event_of_the_day(stack: Stack) -> None:
    run = stack.runs()[0]
    answer = stack.api("GET", "assets/events", params={"source_run_id": run["dag_run_id"], "limit": 100}).json()
    events = {(event["name"], event["partition_key"]) for event in answer["asset_events"]}
    assert events == {(name, stack.last_closed_day.isoformat()) for name in REPORTING}
    assert answer["total_entries"] == len(REPORTING)
    run = stack.runs("features")[0]
    answer = stack.api("GET", "assets/events", params={"source_run_id": run["dag_run_id"], "limit": 100}).json()
    events = {(event["name"], event["partition_key"]) for event in answer["asset_events"]}
    assert events == {(name, stack.last_closed_day.isoformat()) for name in FEATURES}


def test_published_reports_start_the_features_of_their_day_and_nothing_else_does(
    stack: Stack, scheduled_night: ScheduledNight
) -> None:
    """A night with an Airflow of its own asks for them itself, and leaves none to be made when Airflow stays."""
    features = scheduled_night.features
    assert (features["state"], features["run_type"]) == ("success", "asset_triggered")
    assert features["partition_key"] == scheduled_night.run["partition_key"]
    kinds = [run["run_type"] for run in stack.runs("features")][:2]
    assert kinds == ["manual", "asset_triggered"]
    assert stack.warehouse(
        "select state, night, built_from = (select max(publication_id) from audit.publications where run_id = %s)"
        " from audit.runs where run_id = %s",
        scheduled_night.run["dag_run_id"], features["dag_run_id"],
    ) == [("success", stack.last_closed_day, True)]  # fmt: skip


def test_the_schedule_runs_the_day_that_closed_and_a_second_night_changes_no_row(
    stack: Stack, first_night: FirstNight, scheduled_night: ScheduledNight
) -> None:
    assert scheduled_night.state == "success"
    zone = ZoneInfo(ZONE)
    due = datetime.fromisoformat(scheduled_night.run["run_after"]).astimezone(zone)
    assert due.hour < 6
    assert scheduled_night.run["partition_key"] == (due.date() - timedelta(days=1)).isoformat()

    assert scheduled_night.published == first_night.published
    assert stack.warehouse(
        "select count(*), sum(inserted), sum(deleted) from audit.publication_tables join audit.publications"
        " using (publication_id) where run_id in (%s, %s)",
        scheduled_night.run["dag_run_id"], scheduled_night.features["dag_run_id"],
    ) == [(len(PUBLISHED), 0, 0)]  # fmt: skip


@pytest.mark.usefixtures("scheduled_night")
@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"date": "22.11.2026"}, "Invalid input for param date: '22.11.2026' is not a 'date'"),
        ({"date": "2026-02-30"}, "Invalid input for param date: '2026-02-30' is not a 'date'"),
        ({"date": 20261122}, "Invalid input for param date: 20261122 is not of type 'null', 'string'"),
        ({"engine": "excel"}, "Invalid input for param engine: 'excel' is not one of ['auto'"),
        ({"dry_run": "maybe"}, "Invalid input for param dry_run: 'maybe' is not of type 'boolean'"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_runs(stack: Stack, conf: dict[str, Any], message: str) -> None:
    before = len(stack.runs())
    answer = stack.trigger(**conf)
    assert answer.status_code == 400
    assert message in answer.json()["detail"]
    assert len(stack.runs()) == before


@pytest.mark.usefixtures("scheduled_night")
def test_a_request_that_makes_no_sense_fails_at_once_and_says_why(stack: Stack) -> None:
    today = stack.last_closed_day + timedelta(days=1)
    requests: list[tuple[dict[str, Any], str]] = [
        ({"dat": "2026-11-01"}, "unknown parameter dat; there are date, engine, full_refresh, dry_run"),
        (
            {"date": today.isoformat()},
            f"{today} is not over in {ZONE}: the last closed day is {stack.last_closed_day}",
        ),
    ]
    before = stack.published()
    runs = [stack.trigger(**conf).json()["dag_run_id"] for conf, _ in requests]
    for run, (_, message) in zip(runs, requests, strict=True):
        assert stack.ended(run) == "failed"
        tasks = stack.tasks(run)
        assert (tasks["begin"]["state"], tasks["begin"]["try_number"]) == ("failed", 1)
        assert message in stack.log(run, "begin")
        assert tasks["report"]["state"] == "failed"
        assert "the run was refused before it was entered: the log of begin says why" in stack.log(run, "report")
        others = {task["state"] for name, task in tasks.items() if name not in {"begin", "report"}}
        assert others == {"upstream_failed"}
    assert stack.published() == before


def test_a_past_day_goes_green_and_takes_no_later_day_away(stack: Stack, past: tuple[date, str]) -> None:
    day, run = past
    states = {name: task["state"] for name, task in stack.tasks(run).items()}
    assert states.pop("approve") == "skipped"
    assert set(states.values()) == {"success"}
    features = stack.features_of(run)["dag_run_id"]
    assert {task["state"] for task in stack.tasks(features, "features").values()} == {"success"}
    slices = dict(stack.warehouse("select as_of, count(*) from features.customer_activity group by 1"))
    assert slices[stack.last_closed_day] > slices[day] > 1_000
    assert stack.warehouse("select max(day) from reporting.daily_sales") == [(stack.last_closed_day,)]
    changed = stack.warehouse(
        "select schema_name || '.' || table_name from audit.publication_tables join audit.publications"
        " using (publication_id) where run_id in (%s, %s) and inserted + deleted > 0",
        run,
        features,
    )
    by_night = {one.table.qualified_name for one in TABLES.values() if one.table.rebuild.kind == "as_of"}
    assert {name for (name,) in changed} == by_night


@pytest.mark.usefixtures("scheduled_night")
def test_a_backfill_runs_the_days_it_is_asked_for(stack: Stack) -> None:
    first = stack.last_closed_day - timedelta(days=60)
    # A night counts as its small hour of its day, so the midnight that --to-date names is before that day's night.
    asked = ["--from-date", f"{first}", "--to-date", f"{first + timedelta(days=1)}", "--max-active-runs", "1"]
    before = {run["dag_run_id"] for run in stack.runs()}

    done = subprocess.run(
        [Path(sys.executable).with_name("airflow"), "backfill", "create", "--dag-id", "nightly", *asked],
        env={**os.environ, **stack.variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    new = [run for run in stack.runs() if run["dag_run_id"] not in before]
    assert [run["partition_key"] for run in new] == [f"{first}"]
    run = new[0]["dag_run_id"]
    assert stack.ended(run) == "success", stack.log(run, "begin")
    assert stack.features_of(run)["partition_key"] == f"{first}"
    assert stack.warehouse("select count(*) > 0 from features.customer_activity where as_of = %s", first) == [(True,)]
    verdicts = stack.warehouse("select distinct verdict from reporting.data_status")
    assert verdicts == [("ok",)]


@pytest.mark.usefixtures("scheduled_night")
def test_features_of_a_past_day_are_asked_for_by_hand(stack: Stack) -> None:
    day = stack.last_closed_day - timedelta(days=45)
    answer = stack.trigger("features", date=day.isoformat(), engine="duckdb")
    run = answer.json()["dag_run_id"]
    assert stack.ended(run, "features") == "success", stack.tasks(run, "features")
    assert stack.warehouse("select count(*) > 1000 from features.customer_activity where as_of = %s", day) == [(True,)]
    served = page_of(stack, f"/stocktake/runs/{run}")
    assert f"Published: the feature sets as of {day}" in served

    future = stack.last_closed_day + timedelta(days=1)
    run = stack.trigger("features", date=future.isoformat()).json()["dag_run_id"]
    assert stack.ended(run, "features") == "failed"
    assert f"{future} is not published yet, only the days up to" in stack.log(run, "begin", "features")


@pytest.mark.usefixtures("scheduled_night")
def test_a_training_set_is_written_and_can_be_made_again(stack: Stack) -> None:
    """Customers as of their orders, asked for as the analyst; the set is read as anyone would read it."""
    sql = """
        select order_id, customer_id, ordered_at + interval '1 day' as timestamp
        from reporting.orders
        where customer_id is not null
    """
    form: dict[str, Any] = {"entities_sql": sql, "features": ["customer_activity"], "labels": ["customer_labels"]}
    notes: list[Path] = []
    for name in ("one", "two"):
        publication = json.loads(notes[0].read_text())["publication"] if notes else None
        answer = stack.trigger("training_set", name=name, known_only=False, publication=publication, **form)
        assert answer.status_code == 200, answer.text
        run = answer.json()["dag_run_id"]
        assert stack.ended(run, "training_set") == "success", stack.log(run, "write", "training_set")
        notes.append(Path(stack.variables["STOCKTAKE_LAKE"]) / "training_sets" / f"{name}.json")
    first, second = (note.with_suffix(".parquet").read_bytes() for note in notes)
    assert first == second
    made = pq.read_table(notes[0].with_suffix(".parquet"))
    assert [(made.num_rows,)] == stack.warehouse("select count(customer_id) from reporting.orders")
    found = made.filter(pc.is_valid(made["customer_activity__as_of"]))
    assert found.num_rows > 0
    assert set(found["customer_activity__as_of"].to_pylist()) <= {
        day for (day,) in stack.warehouse("select distinct as_of from features.customer_activity")
    }

    answer = stack.trigger("training_set", entities_sql=sql, features=["moods"])
    run = answer.json()["dag_run_id"]
    assert stack.ended(run, "training_set") == "failed"
    assert "no feature set is called 'moods'; there are customer_activity" in stack.log(run, "check", "training_set")


@pytest.mark.usefixtures("first_night")
def test_an_export_is_asked_for_written_by_a_run_and_fetched(stack: Stack) -> None:
    headers = {"Authorization": f"Bearer {stack.token}"}
    asked = {"table": "reporting.orders", "columns": "order_id,total", "sort": "-order_id", "format": "parquet"}
    answer = stack.airflow.post("/stocktake/api/v1/exports", json=asked, headers=headers)
    assert answer.status_code == 202, answer.text
    one = answer.headers["location"]
    run = f"export__{answer.json()['id']}"
    assert stack.ended(run, "exports") == "success", stack.log(run, "write", "exports")
    done = stack.airflow.get(one, headers=headers).json()
    assert (done["state"], done["error"]) == ("done", None)
    made = pq.read_table(io.BytesIO(stack.airflow.get(done["file"], headers=headers).content))
    expected = stack.warehouse("select order_id, total from reporting.orders order by order_id desc")
    assert [tuple(row.values()) for row in made.to_pylist()] == expected
    assert done["rows_done"] == len(expected) > 1000


@pytest.mark.usefixtures("first_night")
def test_the_report_of_a_night_is_for_who_logs_in_and_on_the_disk(stack: Stack) -> None:
    run = stack.runs()[0]["dag_run_id"]
    path = f"/stocktake/runs/{run}"
    for page in (path, "/stocktake/", "/stocktake/status"):
        assert stack.airflow.get(page).status_code == 401
    served = page_of(stack, path)
    assert "Published" in served
    assert f"{stack.last_closed_day}" in served
    written = stack.state / "demo_shop" / "reports" / slug(run) / "index.html"
    assert all(table in written.read_text() for table in REPORTING)


@pytest.mark.usefixtures("scheduled_night")
def test_a_night_that_somebody_stops_is_no_success(stack: Stack) -> None:
    """Airflow skips what has not run yet, and finds no failed task: it would call the run a success."""
    before = stack.published()
    run = stack.trigger().json()["dag_run_id"]
    while (state := stack.tasks(run)["extract"]["state"]) != "running":
        assert state in {None, "scheduled", "queued"}
        time.sleep(0.2)
    assert stack.api("PATCH", f"dags/nightly/dagRuns/{run}", json={"state": "failed"}).status_code == 200
    stack.finished(run, "report")
    assert stack.ended(run) == "failed"
    assert stack.tasks(run)["report"]["state"] == "failed"
    assert stack.warehouse("select state from audit.runs where run_id = %s", run) == [("failed",)]
    assert stack.published() == before


@pytest.mark.usefixtures("scheduled_night")
def test_a_night_and_whoever_waits_for_it_outlive_the_api_server(stack: Stack) -> None:
    """It is killed while `make nightly` waits: the keeper of `make ui` starts it again, and the night goes on."""
    record = stack.state / "demo_shop" / "airflow" / "processes" / "api-server.json"
    before = json.loads(record.read_text())["pid"]
    known = {run["dag_run_id"] for run in stack.runs()}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(standalone, stack.state, "nightly")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (begun := {run["dag_run_id"] for run in stack.runs()} - known):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        os.killpg(before, signal.SIGKILL)
        done = waiting.result(PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "success" in done.stdout
    assert json.loads(record.read_text())["pid"] != before
    assert {stack.ended(run) for run in begun} == {"success"}
    kept = (record.parent.parent / "logs" / "keeper.log").read_text()
    assert "api-server ended by itself; starting it again" in kept


@pytest.mark.usefixtures("scheduled_night")
def test_more_in_quarantine_than_is_tolerated_waits_for_an_answer(stack: Stack) -> None:
    """A no leaves everything as it was; asked again, a yes publishes the night without these rows."""
    before = stack.published()
    lost = stack.shop(
        "update orders set currency = 'ZZZ', updated_at = now() where order_id % 25 = 0 returning order_id"
    )
    with ThreadPoolExecutor() as pool:
        night = pool.submit(standalone, stack.state, "nightly")
        question = stack.asked()
        run = question["task_instance"]["dag_run_id"]
        assert "Waits for you" in page_of(stack, f"/stocktake/runs/{run}")
        assert stack.answered(run, "Reject") == "failed"
        done = night.result()
    said = question["subject"]
    assert said.startswith(f"More rows in quarantine than tolerated: {len(lost):,} of ")
    assert all(f"**{answer}**" in question["body"] for answer in ("Approve", "Reject", "No answer"))
    assert question["options"] == ["Approve", "Reject"]
    assert done.returncode == 1
    assert (
        f"\n{said}\nAnswer at {stack.url}/dags/nightly/runs/{quote(run)}/tasks/approve/required_actions\n"
        in done.stderr
    )
    assert stack.published() == before
    refused = "admin rejected it; nothing is published, yesterday&#39;s tables stay"
    assert refused in page_of(stack, f"/stocktake/runs/{run}")

    clear = {"dry_run": False, "dag_run_id": run, "task_ids": ["approve"], "include_downstream": True}
    assert stack.api("POST", "dags/nightly/clearTaskInstances", json=clear).status_code == 200
    assert stack.answered(run, "Approve") == "success", stack.tasks(run)
    held = "select count(*) from audit.quarantine where source = 'orders' and outcome = 'open' and quarantined_by = %s"
    assert stack.warehouse(held, run) == [(len(lost),)]
    answers = "select answer, answered_by, answered_at > asked_at from audit.approvals where run_id = %s"
    assert set(stack.warehouse(answers, run)) == {("rejected", "admin", True), ("approved", "admin", True)}
    assert stack.features_of(run)["state"] == "success"


def test_no_secret_is_in_a_log_a_page_or_a_command_line(stack: Stack, past: tuple[date, str]) -> None:
    secrets = list(secrets_of(stack))
    assert len(secrets) >= 8
    assert all(len(secret) >= 12 for secret in secrets)
    run = past[1]
    written = [
        file
        for file in stack.state.rglob("*")
        if file.is_file()
        and file.name not in SECRETS
        and not {"data", "lake"} & set(file.relative_to(stack.state).parts)
    ]
    assert {".log", ".html"} <= {file.suffix for file in written}
    pages = ("/stocktake/", "/stocktake/status", f"/stocktake/runs/{run}")
    texts = {str(file): file.read_bytes().decode(errors="replace") for file in written}
    texts |= {page: page_of(stack, page) for page in pages}
    texts |= {f"log of {task}": stack.log(run, task) for task, one in stack.tasks(run).items() if one["try_number"]}
    texts |= {f"rendered {path}": stack.api("GET", path).text for path in ("config", "dags/nightly/details", "plugins")}
    texts |= {f"command line {number}": line for number, line in enumerate(stack.command_lines)}
    assert any("include.local" in line for line in stack.command_lines)
    told = [where for where, text in texts.items() if any(secret in text for secret in secrets)]
    assert told == []


def secrets_of(stack: Stack) -> Iterator[str]:
    """Every password and key that this Stocktake made for itself."""
    for name in SECRETS:
        for file in stack.state.rglob(name):
            yield from json.loads(file.read_text()).values()


def page_of(stack: Stack, path: str) -> str:
    """A page, as someone sees it who has logged in."""
    answer = stack.airflow.get(path, headers={"Cookie": f"_token={stack.token}"})
    assert answer.status_code == 200, answer.text
    return answer.text
