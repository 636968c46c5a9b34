"""The figures of the operations page: what they say of two nights of which everything is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from include.ledger import runs
from include.ledger.runs import Run
from include.local.embedded_postgres import Cluster
from include.sources import SOURCES
from tests.conftest import Database
from tests.serve.conftest import NIGHT, extracted, ledger_in, published

API = "/stocktake/api/v1"
FIRST, FAILED, SECOND = "scheduled__first", "scheduled__failed", "scheduled__second"
UNUSUAL = "rows: 5; expected 20 to 60"
SINCE = "2026-11-21T02:00:00Z"
BEFORE = NIGHT - timedelta(days=1)

# A run of the ledger says when it was, so that what is asked does not depend on the test's own clock.
_STORY = f"""
update audit.runs set night = '{BEFORE}' where run_id = '{FIRST}';
update audit.publications set night = '{BEFORE}', horizon = '{BEFORE}' where run_id = '{FIRST}';
update audit.runs set started_at = '2026-11-21 01:00Z' where run_id = '{FIRST}';
update audit.runs set started_at = '2026-11-22 01:00Z' where run_id = '{FAILED}';
update audit.runs set started_at = '2026-11-22 03:00Z' where run_id = '{SECOND}';
delete from audit.stages;
insert into audit.stages values
    ('{FIRST}', 'extract', '2026-11-21 01:00Z', 4.5),
    ('{FIRST}', 'build orders', '2026-11-21 01:01Z', 2),
    ('{FIRST}', 'build daily_sales', '2026-11-21 01:01:01Z', 1.25),
    ('{FAILED}', 'extract', '2026-11-22 01:00Z', 99),
    ('{SECOND}', 'extract', '2026-11-22 03:00Z', 5);
insert into audit.restatements
select
    publication_id, 'reporting', 'orders', '{BEFORE}', '{{"order_id": 7}}', figure.name, '"1.00"', '"2.00"',
    '{{"orders": {{"keys": ["7"], "rows": 1}}}}'
from audit.publications
cross join (values ('net_sales'), ('total')) as figure (name)
where run_id = '{SECOND}';
insert into audit.anomalies (
    run_id, day, source, measure, kind, value, usual, low, high, excess, sentence, asks, rows_behind, examples, rows_sql
)
select run_id, '{NIGHT}', 'orders', measure, 'count', 5, 40, 20, 60, 15, '{UNUSUAL}', false, 5, '{{}}', ''
from (values ('{SECOND}', 'rows'), ('{SECOND}', 'money EUR'), ('{FAILED}', 'rows')) as found (run_id, measure);
insert into audit.explanations (day, source, measure, lasting, reason, explained_by) values
    ('{NIGHT}', null, 'rows', false, 'a first word', 'admin'),
    ('{NIGHT}', 'orders', 'rows', false, 'a strike', 'admin'),
    ('{BEFORE}', null, null, false, 'another day', 'admin');
update audit.quarantine set quarantined_at = '2026-11-21 02:00Z';
"""

OF_THE_LEDGER: dict[str, list[dict[str, Any]]] = {
    "stage_seconds": [
        {"night": "2026-11-20", "run_id": FIRST, "state": "success", "stage": "extract", "tasks": 1, "seconds": 4.5},
        {"night": "2026-11-20", "run_id": FIRST, "state": "success", "stage": "build", "tasks": 2, "seconds": 3.25},
        {"night": "2026-11-21", "run_id": SECOND, "state": "success", "stage": "extract", "tasks": 1, "seconds": 5},
    ],
    "source_rows": [
        {
            "night": night, "run_id": run, "source": source, "extracted": read, "accepted": accepted,
            "quarantined": read - accepted, "source_rows": read, "complete": True,
        }
        for night, run in (("2026-11-20", FIRST), ("2026-11-21", SECOND))
        for source, read, accepted in (("customers", 4, 4), ("orders", 1000, 998))
    ],
    "newly_quarantined": [
        {"night": night, "source": "orders", "rule": rule, "currency": currency, "rows": 1, "amount": amount}
        for night, rule, currency, amount in (
            ("2026-11-20", "status_known", "EUR", "110.000"),
            ("2026-11-20", "total_equals_parts", "EUR", "110.000"),
            ("2026-11-20", "total_equals_parts", "USD", "70.000"),
            ("2026-11-21", "status_known", "EUR", "5.000"),
        )
    ],
    "in_quarantine": [
        {"source": "orders", "rule": rule, "currency": currency, "rows": 1, "amount": amount, "oldest_at": SINCE}
        for rule, currency, amount in (
            ("total_equals_parts", "EUR", "110.000"),
            ("total_equals_parts", "USD", "70.000"),
            ("status_known", "EUR", "110.000"),
        )
    ],
    "anomalies": [
        {
            "night": "2026-11-21", "run_id": SECOND, "source": "orders", "measure": measure,
            "sentence": UNUSUAL, "value": 5, "low": 20, "high": 60, "rows_behind": 5, "asks": False, "reason": reason,
        }
        for measure, reason in (("rows", "a strike"), ("money EUR", None))
    ],
    "restatements": [
        {
            "night": "2026-11-21", "publication_id": 2, "run_id": SECOND, "table_name": "reporting.orders",
            "figures": 2, "days": 1, "first_day": "2026-11-20", "last_day": "2026-11-20",
        }
    ],
    "restated_figures": [
        {
            "night": "2026-11-21", "publication_id": 2, "run_id": SECOND, "table_name": "reporting.orders",
            "day": "2026-11-20", "row_key": {"order_id": 7}, "metric": metric, "old_value": "1.00", "new_value": "2.00",
            "causes": {"orders": {"keys": ["7"], "rows": 1}},
        }
        for metric in ("net_sales", "total")
    ],
    "publications": [
        {
            "publication_id": number, "night": night, "horizon": night, "run_id": run, "dag": "nightly",
            "kind": "night", "tables": 1, "inserted": 321, "deleted": 123,
        }
        for number, night, run in ((2, "2026-11-21", SECOND), (1, "2026-11-20", FIRST))
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(cluster: Cluster) -> Iterator[Database]:
    """The ledger of a night, of one that failed, and of the same night again, which published."""
    database = Database(cluster, "warehouse").copy()
    with ledger_in(database):
        published(database, FIRST)
        extracted(FAILED)
        runs.finish_run(FAILED, "failed", "extract: gone")
        _published_again(database)
        with database.connect("loader") as connection:
            connection.execute(_STORY.encode())
    yield database
    database.drop()


def _published_again(database: Database) -> None:
    """The night again; what is in quarantine since the night before stays there."""
    kept = "create temporary table kept as select * from audit.quarantine"
    with database.connect("loader") as connection:
        connection.execute(kept.encode())
        run: Run = published(database, SECOND)
        assert run.night == NIGHT
        connection.execute("delete from audit.quarantine where quarantined_by = %s and outcome = 'open'", [SECOND])
        connection.execute("delete from audit.quarantine where quarantined_by = %s and outcome <> 'open'", [FIRST])


@pytest.mark.parametrize("name", OF_THE_LEDGER)
def test_a_figure_is_what_the_ledger_says(viewer: httpx.Client, name: str) -> None:
    answer = viewer.get(f"{API}/metrics/{name}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"  # it changes while nothing is published
    asked_of = ("meaning", "published_at")
    rows = [{key: value for key, value in row.items() if key not in asked_of} for row in answer.json()["rows"]]
    assert rows == OF_THE_LEDGER[name], json.dumps(rows, indent=1)


def test_a_rule_is_told_with_what_it_means(viewer: httpx.Client) -> None:
    rows = viewer.get(f"{API}/metrics/in_quarantine").json()["rows"]
    assert {row["rule"]: row["meaning"] for row in rows}["status_known"] == SOURCES["orders"].meaning_of("status_known")


def test_days_are_those_of_the_last_night_and_before(viewer: httpx.Client) -> None:
    answer = viewer.get(f"{API}/metrics/source_rows", params={"from": "2026-11-21"}).json()
    assert answer["parameters"] == {"from": "2026-11-21", "to": "2026-11-21"}
    assert {row["run_id"] for row in answer["rows"]} == {SECOND}
