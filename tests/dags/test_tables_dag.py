"""A DAG of one's own: a file that says when and which tables, read by Airflow, and its runs after a night."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.contract import Table
from include.contributing.dag_bag import parsed
from include.ledger import listener
from include.ledger.runs import Overtaken
from include.pipeline import nightly, republish, tables_dag
from include.pipeline.run_request import WrongRequest
from tests.nights import LAST_DAY, Nights
from transforms.registry import TABLES

WEEKLY = """
'''# weekly: the cohorts, in an Airflow DAG'''

from dags.tables import tables_dag

tables_dag("weekly", schedule="0 6 * * MON", tables=["customer_cohorts"], doc_md=__doc__)
"""
NEXT_DAY = LAST_DAY + timedelta(days=1)

_numbers = itertools.count(1)


def chosen(names: Collection[str]) -> list[Table]:
    return [one.table for name, one in TABLES.items() if name in names]


def begin(names: Collection[str] = ("customer_cohorts",), day: date | None = None) -> str:
    run_id = f"weekly-{next(_numbers)}"
    conf = {"date": day.isoformat()} if day else {}
    tables_dag.begin(run_id, None, conf, dag="weekly", tables=chosen(names))
    return run_id


def weekly(names: Collection[str] = ("customer_cohorts",), day: date | None = None) -> str:
    """A run of the DAG: its tasks' steps, and what Airflow tells when they are over."""
    run_id = begin(names, day)
    Nights.build(run_id, chosen(names))
    tables_dag.publish(run_id, chosen(names))
    listener.on_dag_run_success(SimpleNamespace(dag_id="weekly", run_id=run_id))
    return run_id


def with_these(nights: Nights, *names: str) -> Nights:
    """Nights that build more tables than those before."""
    return replace(nights, names=(*nights.names, *names))


def status(nights: Nights, name: str) -> tuple[Any, ...]:
    [found] = nights.ask(
        "select verdict, last_day, publication_id from reporting.data_status where published_table = %s", name
    )
    return found


def changed(nights: Nights, run_id: str) -> dict[str, tuple[int, int]]:
    """Rows that a run's publication inserted and deleted, by table."""
    rows = nights.ask(
        """
        select table_name, inserted, deleted
        from audit.publication_tables join audit.publications using (publication_id) where run_id = %s
        """,
        run_id,
    )
    return {name: (inserted, deleted) for name, inserted, deleted in rows}


def test_airflow_reads_it_as_a_dag_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "weekly.py").write_text(WEEKLY)
    bag = parsed(tmp_path)
    assert bag["import_errors"] == {}
    assert set(bag["dags"]) == {"weekly"}
    dag = bag["dags"]["weekly"]
    assert Path(dag["file"]).name == "weekly.py"
    assert {name: task["downstream"] for name, task in dag["tasks"].items()} == {
        "begin": ["builds.customer_cohorts"],
        "builds.customer_cohorts": ["audit"],
        "audit": ["publish"],
        "publish": ["report"],
        "report": [],
    }
    assert dag["tasks"]["publish"]["outlets"] == ["reporting.customer_cohorts"]
    assert all(task["owner"] == "stocktake" and task["has_retry_policy"] for task in dag["tasks"].values())
    assert tuple(dag["params"]) == tables_dag.FORM
    assert "0 6 * * MON" in dag["schedule"]
    assert (dag["tags"], dag["catchup"], dag["max_active_runs"]) == (["stocktake", "weekly"], False, 1)
    assert dag["doc_md"].startswith("# weekly: ")


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ('["customer_cohort"]', "there is no table customer_cohort here: nobody declares it"),
        ('["customer_cohorts", "customer_activity"]', "give reporting tables and features a DAG each"),
        ("[]", "give reporting tables and features a DAG each"),
    ],
)
def test_tables_that_make_no_sense_are_refused_when_it_is_read(tmp_path: Path, tables: str, said: str) -> None:
    (tmp_path / "weekly.py").write_text(WEEKLY.replace('["customer_cohorts"]', tables))
    bag = parsed(tmp_path)
    assert bag["dags"] == {}
    assert said in "".join(bag["import_errors"].values())


@pytest.mark.after_a_night
@pytest.mark.long
def test_its_table_is_published_and_the_next_night_is_right(nights: Nights) -> None:
    name = "reporting.customer_cohorts"
    before, [(night,)] = nights.published(), nights.ask("select max(publication_id) from audit.publication_sources")
    assert status(nights, name) == ("not published yet", None, None)
    run = weekly()
    assert nights.ask("select dag, kind, state, night, horizon, built_from from audit.runs where run_id = %s", run) == [
        ("weekly", "tables", "success", LAST_DAY, LAST_DAY, night)
    ]
    [(publication,)] = nights.ask("select publication_id from audit.publications where run_id = %s", run)
    assert status(nights, name) == ("ok", LAST_DAY, publication)
    assert set(changed(nights, run)) == {"customer_cohorts"}
    assert nights.published() == before
    page = Path(nightly.report(run) or "").read_text()
    assert f"Published: the tables cover whole days up to {LAST_DAY}" in page
    assert "Weekly of" in page

    # A night that builds the table itself finds nothing to change in it.
    assert changed(nights, with_these(nights, "customer_cohorts").report())["customer_cohorts"] == (0, 0)

    nights.shop.execute("delete from refunds")
    replace(nights, approves=True).report(NEXT_DAY)
    assert status(nights, name)[1] == LAST_DAY
    inserted, deleted = changed(nights, weekly())["customer_cohorts"]
    assert inserted > 0
    assert deleted > 0
    assert status(nights, name)[:2] == ("ok", NEXT_DAY)
    anew = with_these(nights, "customer_cohorts").report(NEXT_DAY, full_refresh=True)
    assert set(changed(nights, anew).values()) == {(0, 0)}


@pytest.mark.after_a_night
def test_a_run_for_an_earlier_day_makes_its_slices_and_keeps_whole_tables_whole(nights: Nights) -> None:
    names, early = ("customer_rfm", "customer_cohorts"), LAST_DAY - timedelta(days=3)
    weekly(names)
    again = weekly(names, early)
    assert changed(nights, again)["customer_cohorts"] == (0, 0)
    assert nights.ask("select distinct night from reporting.customer_rfm order by 1") == [(early,), (LAST_DAY,)]
    assert status(nights, "reporting.customer_cohorts")[1] == LAST_DAY
    with pytest.raises(WrongRequest, match="is not published yet"):
        begin(names, NEXT_DAY)


@pytest.mark.after_a_night
@pytest.mark.long
def test_days_that_are_new_to_its_table_are_no_restatements(nights: Nights) -> None:
    """Also where the night has published these days of other tables long since."""
    names = ("fulfilment_daily",)
    first = weekly(names)
    nights.report(NEXT_DAY)
    nights.report(NEXT_DAY + timedelta(days=1))
    second = weekly(names)
    assert changed(nights, first)["fulfilment_daily"][0] > 0
    assert changed(nights, second)["fulfilment_daily"][0] > 0
    days = """
        select count(*) filter (where day > %s), count(*)
        from audit.restatements join audit.publications using (publication_id) where run_id = any(%s)
    """
    [(new, _)] = nights.ask(days, LAST_DAY, [first, second])
    assert new == 0
    [(_, of_first)] = nights.ask(days, LAST_DAY, [first])
    assert of_first == 0
    more = weekly((*names, "refunds_daily"))  # a table that the DAG did not have
    assert changed(nights, more)["refunds_daily"][0] > 0
    assert nights.ask(days, LAST_DAY, [more]) == [(0, 0)]


@pytest.mark.after_a_night
def test_a_night_that_is_published_meanwhile_overtakes_it(nights: Nights) -> None:
    run = begin()
    Nights.build(run, chosen(["customer_cohorts"]))
    nights.report(NEXT_DAY)
    with pytest.raises(Overtaken, match="is ahead"):
        tables_dag.publish(run, chosen(["customer_cohorts"]))
    assert status(nights, "reporting.customer_cohorts")[0] == "not published yet"


@pytest.mark.after_a_night
@pytest.mark.long
def test_beside_a_night_that_was_put_back_it_waits_for_the_next(nights: Nights) -> None:
    nights.report(NEXT_DAY)
    republish.begin("back", {"night": LAST_DAY.isoformat()})
    republish.publish("back", nights.reporting)
    with pytest.raises(WrongRequest, match=f"a past night is put back, up to {LAST_DAY}: run nightly first"):
        begin()
    nights.report(NEXT_DAY)
    weekly()
    assert status(nights, "reporting.customer_cohorts")[1] == NEXT_DAY
