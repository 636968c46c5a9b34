"""Slices: none before the shop's first day, what data_status says of them, and how a night's are removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from include.contract.types import day_number
from include.lake import tables as lake
from include.ledger import runs
from include.pipeline import nightly, republish, slice_removal
from include.pipeline.run_request import WrongRequest
from tests.nights import LAST_DAY, Nights

EARLIER, NEXT_DAY = LAST_DAY - timedelta(days=20), LAST_DAY + timedelta(days=1)
RFM, ACTIVITY = "reporting.customer_rfm", "features.customer_activity"
FIRST_YEAR = date(1, 1, 1)


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """Two tables of slices, one of each kind, and what they are made from."""
    return ("order_lines", "orders", "daily_sales", "customer_rfm", "customer_activity")


def status(nights: Nights) -> dict[str, tuple[Any, ...]]:
    """What data_status says of the tables that are built: days, rows, publication, verdict."""
    found = nights.ask("select published_table, last_day, rows, publication_id, verdict from reporting.data_status")
    ours = {table.qualified_name for table in nights.tables}
    return {name: tuple(rest) for name, *rest in found if name in ours}


def slices(nights: Nights, table: str = RFM) -> dict[date, int]:
    """The rows of every slice that readers see."""
    column = {RFM: "night", ACTIVITY: "as_of"}[table]
    return dict(nights.ask(f"select {column}, count(*) from {table} group by 1 order by 1"))


def remove(nights: Nights, night: date) -> str:
    """Remove a night's slices as the DAG does; gives the run's id."""
    run = f"remove-{len(nights.ask('select from audit.runs'))}"
    slice_removal.begin(run, {"night": night.isoformat()}, nights.tables)
    slice_removal.publish(run, nights.tables)
    runs.finish_run(run, "success")
    return run


def test_the_first_night_is_not_before_the_shop(nights: Nights) -> None:
    """Before rows were accepted nobody knows: begin lets it pass, accept does not."""
    run = nights.begin(FIRST_YEAR)
    nightly.extract(run)
    nights.judge(run)
    assert not nightly.check_tolerance(run)
    with pytest.raises(WrongRequest, match="0001-01-01 is before the shop's first day, 2026-0"):
        nightly.accept(run)
    assert nights.ask("select count(*) from audit.publications") == [(0,)]


@pytest.mark.after_a_night
def test_no_run_is_for_a_day_before_the_shop(nights: Nights) -> None:
    [(first,)] = nights.shop.execute(
        "select least(min(ordered_at), (select min(moved_at) from inventory_movements))::date from orders"
    ).fetchall()
    for refused in (nights.begin, nights.begin_features):
        with pytest.raises(WrongRequest, match=f"{first - timedelta(days=1)} is before the shop's first day, {first}"):
            refused(first - timedelta(days=1))
    assert runs.find_run(nights.begin(first)).night == first
    assert runs.find_run(nights.begin_features(first)).night == first


@pytest.mark.after_a_night
def test_data_status_speaks_of_the_latest_slice(nights: Nights) -> None:
    """A run for an earlier day changes nothing of it; the tables without slices are as fresh as that run."""
    before = status(nights)
    assert before[RFM][:2] == (LAST_DAY, slices(nights)[LAST_DAY])
    nights.run(EARLIER)
    assert slices(nights)[EARLIER] < slices(nights)[LAST_DAY]
    assert slices(nights, ACTIVITY)[EARLIER] < slices(nights, ACTIVITY)[LAST_DAY]
    after = status(nights)
    assert {name: after[name] for name in (RFM, ACTIVITY)} == {name: before[name] for name in (RFM, ACTIVITY)}
    assert after["reporting.orders"] == (LAST_DAY, before["reporting.orders"][1], 3, "ok")
    assert nights.ask(
        "select rows from audit.publication_tables where publication_id = 3 and table_name = %s", RFM[10:]
    ) == [(slices(nights)[EARLIER],)]


@pytest.mark.after_a_night
def test_data_status_names_a_night_whose_features_are_missing(nights: Nights) -> None:
    nights.report(NEXT_DAY)
    assert status(nights)[ACTIVITY][0::3] == (LAST_DAY, f"no slice of {NEXT_DAY}")
    assert status(nights)[RFM][0::3] == (NEXT_DAY, "ok")
    later = [NEXT_DAY + timedelta(days=number) for number in (1, 2, 3)]
    for day in later:
        nights.warehouse.execute(
            "insert into audit.runs (run_id, night, engine, full_refresh, dry_run, horizon, kind)"
            " values (%(day)s::text, %(day)s, 'auto', false, false, %(day)s, 'night')",
            {"day": day},
        )
        nights.warehouse.execute(
            "insert into audit.publications (run_id, night, horizon, snapshot_at)"
            " values (%(day)s::text, %(day)s, %(day)s, now())",
            {"day": day},
        )
    assert status(nights)[ACTIVITY][3] == f"no slice of {later[2]}, {later[1]}, {later[0]} and 1 more"
    nights.warehouse.execute("delete from audit.publications where night > %s", [NEXT_DAY])
    nights.feature(NEXT_DAY)
    assert status(nights)[ACTIVITY][0::3] == (NEXT_DAY, "ok")


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_nights_slices_are_removed_and_nothing_else(nights: Nights) -> None:
    nights.run(EARLIER)
    before, published = {table: slices(nights, table) for table in (RFM, ACTIVITY)}, nights.published()
    run = remove(nights, EARLIER)
    page = Path(nightly.report(run) or "").read_text()
    assert f"Removed: no table has a slice of the night of {EARLIER} now." in page
    for table in (RFM, ACTIVITY):
        assert slices(nights, table) == {LAST_DAY: before[table][LAST_DAY]}
        layer, _, name = table.partition(".")
        column = {RFM: "night", ACTIVITY: "as_of"}[table]
        days = DeltaTable(lake.folder(layer, name)).to_pyarrow_table(columns=[column])[column].unique().to_pylist()
        assert days == [day_number(LAST_DAY)]
    others = {name: digest for name, digest in nights.published().items() if name not in (RFM, ACTIVITY)}
    assert others == {name: published[name] for name in others}
    assert {name: row[0::3] for name, row in status(nights).items()} == dict.fromkeys(published, (LAST_DAY, "ok"))
    assert nights.ask(
        "select state, table_name, rows, inserted, deleted from audit.runs join audit.publications using (run_id)"
        " join audit.publication_tables using (publication_id) where run_id = %s order by 2",
        run,
    ) == [
        ("success", "customer_activity", 0, 0, before[ACTIVITY][EARLIER]),
        ("success", "customer_rfm", 0, 0, before[RFM][EARLIER]),
    ]
    for night in (EARLIER, FIRST_YEAR):
        with pytest.raises(WrongRequest, match=f"no table has a slice of the night of {night}"):
            slice_removal.begin("again", {"night": night.isoformat()}, nights.tables)
    with pytest.raises(WrongRequest, match="there is no night 'yesterday'"):
        slice_removal.begin("again", {"night": "yesterday"}, nights.tables)
    # The task that published, and died before Airflow heard of it, is tried again.
    assert "removes the night of" in slice_removal.publish(run, nights.tables)
    assert nights.ask("select count(*) from audit.publications where run_id = %s", run) == [(1,)]

    nights.run(EARLIER)
    assert {table: slices(nights, table) for table in (RFM, ACTIVITY)} == before


@pytest.mark.after_a_night
@pytest.mark.long
def test_the_last_nights_slices_can_be_removed_too(nights: Nights) -> None:
    nights.run(EARLIER)
    before = slices(nights)
    remove(nights, LAST_DAY)
    assert status(nights)[RFM][:2] == (EARLIER, before[EARLIER])
    assert status(nights)[ACTIVITY][0::3] == (EARLIER, "ok")
    nights.run(NEXT_DAY)
    assert list(slices(nights)) == [EARLIER, NEXT_DAY]


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_night_that_is_put_back_has_its_slices_and_the_next_one_removes_them_again(nights: Nights) -> None:
    nights = replace(nights, names=("order_lines", "orders", "customer_rfm"))
    nights.report(NEXT_DAY)
    before = slices(nights)
    remove(nights, LAST_DAY)
    republish.begin("put back", {"night": NEXT_DAY.isoformat()})
    republish.publish("put back", nights.reporting)
    assert slices(nights) == before
    nights.report(NEXT_DAY)
    assert slices(nights) == {NEXT_DAY: before[NEXT_DAY]}


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_removal_while_a_past_night_is_put_back_takes_no_other_slice_away(nights: Nights) -> None:
    nights = replace(nights, names=("order_lines", "orders", "customer_rfm"))
    nights.report(NEXT_DAY)
    before = slices(nights)
    republish.begin("put back", {"night": LAST_DAY.isoformat()})
    republish.publish("put back", nights.reporting)
    assert list(slices(nights)) == [LAST_DAY]
    remove(nights, LAST_DAY)
    assert slices(nights) == {}
    later = NEXT_DAY + timedelta(days=1)
    nights.report(later)
    assert {day: rows for day, rows in slices(nights).items() if day != later} == {NEXT_DAY: before[NEXT_DAY]}
    assert status(nights)[RFM][0::3] == (later, "ok")
