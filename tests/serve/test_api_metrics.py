"""The figures of the dashboard, each beside another way to it: Python over the rows of the published tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from include.serve.metrics import METRICS
from include.serve.metrics.definition import Parameter
from tests.conftest import Database, Done
from tests.nights import LAST_DAY
from tests.serve.a_night import NAMES, publish_again, published_night
from tests.serve.conftest import airflow_of, logged_in, problem
from tests.serve.expected_figures import EXPECTED, FIRST, FIRST_COHORT, Read, Rows, money
from tests.serve.test_night_figures import OF_THE_LEDGER

API = "/stocktake/api/v1"


@pytest.fixture(scope="module")
def warehouse(night_done: Callable[[tuple[str, ...]], Done]) -> Iterator[Database]:
    """What a night published."""
    with published_night(night_done) as database:
        yield database


@pytest.fixture(scope="module")
def read(warehouse: Database) -> Iterator[Callable[[str], Rows]]:
    """All rows of a reporting table."""
    with warehouse.connect("loader") as connection, connection.cursor(row_factory=dict_row) as cursor:
        yield cache(lambda table: cursor.execute(f"select * from reporting.{table}".encode()).fetchall())


def _shown(value: Any) -> Any:
    """A value of a table as JSON has it, for a shop of three decimals."""
    if isinstance(value, Decimal):
        return money(value)
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-12)
    return value.isoformat() if isinstance(value, date) else value


def _asked(name: str, currency: str | None = None, limit: int | None = None) -> dict[str, Any]:
    first = FIRST_COHORT if name == "cohorts" else FIRST
    values = {"from": first.isoformat(), "to": LAST_DAY.isoformat(), "currency": currency, "limit": limit}
    return {key: value for key, value in values.items() if key in METRICS[name].takes and value is not None}


def answer_of(client: httpx.Client, name: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The answer to a figure."""
    answer = client.get(f"{API}/metrics/{name}", params=dict(asked or {}))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_every_figure_is_compared() -> None:
    assert set(METRICS) == set(EXPECTED) | {"freshness"} | set(OF_THE_LEDGER)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize(("currency", "limit"), [(None, None), ("EUR", 2)], ids=["all", "two of EUR"])
def test_a_figure_is_what_the_tables_say(
    viewer: httpx.Client, read: Read, name: str, currency: str | None, limit: int | None
) -> None:
    rows = answer_of(viewer, name, _asked(name, currency, limit))["rows"]
    expected = EXPECTED[name](read, currency, limit or 10)
    assert len(expected) > 1
    assert rows == [{key: _shown(value) for key, value in row.items()} for row in expected]


def test_shelves_without_stock_are_those_of_the_stock_itself(viewer: httpx.Client, read: Read) -> None:
    found: Counter[str] = Counter()
    for row in answer_of(viewer, "stockouts", {"from": "2026-01-01"})["rows"]:
        found[row["day"]] += row["shelves"]
    days = Counter(row["day"].isoformat() for row in read("inventory_daily") if row["is_stockout"])
    first = min(row["day"] for row in read("inventory_daily")).isoformat()
    assert min(found) == first
    assert {day: number for day, number in found.items() if number} == days


@pytest.mark.parametrize("name", METRICS)
def test_its_sql_gives_its_rows_as_it_is_written(viewer: httpx.Client, warehouse: Database, name: str) -> None:
    answer = answer_of(viewer, name, _asked(name, "EUR", 3))
    columns = [column["name"] for column in answer["columns"]]
    assert all(column["meaning"] and column["type"] for column in answer["columns"])
    with psycopg.connect(warehouse.url("analyst")) as connection:
        cursor = connection.execute(answer["sql"].encode())
        rows = cursor.fetchall()
    assert [column.name for column in cursor.description or ()] == columns
    assert len(rows) == len(answer["rows"])
    if name != "freshness":  # it ages
        for row, shown in zip(rows, answer["rows"], strict=True):
            assert all(map(_same, row, shown.values())), (row, shown)


def _same(value: Any, shown: Any) -> bool:
    """Whether an answer shows a value of Postgres."""
    if isinstance(value, bool | str) or value is None:
        return bool(shown == value)
    if isinstance(value, datetime):
        return value == datetime.fromisoformat(shown)
    if isinstance(value, date):
        return value.isoformat().startswith(shown)  # a month is shown without its day
    return float(shown) == pytest.approx(float(value), rel=1e-12)


def test_freshness_is_how_far_the_tables_go(viewer: httpx.Client, warehouse: Database) -> None:
    answer = viewer.get(f"{API}/metrics/freshness")
    (row,) = answer.json()["rows"]
    with warehouse.connect("loader") as connection:
        (published,) = connection.execute(
            "select extract(epoch from now() - max(published_at)) / 3600 from audit.publications"
        ).fetchone() or (None,)
    assert published is not None
    assert row["age_hours"] == pytest.approx(float(published), abs=0.05)
    said = {name: row[name] for name in ("last_day", "tables", "incomplete", "attention")}
    assert said == {"last_day": LAST_DAY.isoformat(), "tables": len(NAMES), "incomplete": 0, "attention": 0}
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


def test_the_list_says_what_may_be_asked(viewer: httpx.Client) -> None:
    metrics = {metric["name"]: metric for metric in viewer.get(f"{API}/metrics").json()["metrics"]}
    assert list(metrics) == list(METRICS)
    for name, metric in metrics.items():
        answer = answer_of(viewer, name)
        assert [parameter["name"] for parameter in metric["parameters"]] == list(answer["parameters"])
        assert (metric["published"], metric["roles"]) == (True, ["viewer", "operator"])
        assert metric["columns"] == answer["columns"]
        assert metric["grain"].startswith("One row")
        assert all(rows.keys() == {column["name"] for column in metric["columns"]} for rows in answer["rows"])
    columns = {column["name"]: column for column in metrics["net_sales"]["columns"]}
    assert columns["net_sales"]["type"] == columns["weekday_median"]["type"] == "numeric(18, 3)"


def test_days_are_the_latest_unless_they_are_said(viewer: httpx.Client) -> None:
    assert answer_of(viewer, "net_sales")["parameters"] == {"from": "2026-03-04", "to": "2026-03-31", "currency": None}
    early = answer_of(viewer, "net_sales", {"to": "2026-03-10"})["parameters"]
    assert (early["from"], early["to"]) == ("2026-02-11", "2026-03-10")
    late = answer_of(viewer, "net_sales", {"from": "2026-03-30", "to": "2026-12-31"})
    assert late["parameters"]["to"] == "2026-03-31"
    assert {row["day"] for row in late["rows"]} == {"2026-03-30", "2026-03-31"}
    assert answer_of(viewer, "stockouts", {"from": "2027-01-01"})["rows"] == []
    assert answer_of(viewer, "orders", {"to": "0001-01-03"})["rows"] == []
    (night,) = {row["night"] for row in answer_of(viewer, "rfm_segments", {"to": "2026-03-30"})["rows"]}
    assert night == "2026-03-30"


@pytest.mark.parametrize(
    ("name", "asked", "field", "says", "allowed"),
    [
        ("net_sales", {"from": "yesterday"}, "from", "a day, as 2026-11-01", "a day, as 2026-11-01"),
        ("net_sales", {"to": "1767139200"}, "to", "a day, as 2026-11-01", "a day, as 2026-11-01"),
        ("net_sales", {"from": "2026-03-31", "to": "2026-03-30"}, "from", "no later", "2025-02-24 to 2026-03-30"),
        ("net_sales", {"from": "2025-02-24", "to": "2026-03-31"}, "from", "400 days", "2025-02-25 to 2026-03-31"),
        ("net_sales", {"from": "2024-01-01"}, "from", "400 days", "2025-02-25 to 2026-03-31"),
        ("net_sales", {"currency": "euro"}, "currency", "three capital letters", "EUR"),
        ("net_sales", {"currency": "E'R"}, "currency", "three capital letters", "EUR"),
        ("net_sales", {"limit": "5"}, "limit", "net_sales has no limit", "currency"),
        ("movers", {"from": "2026-03-01"}, "from", "movers has no from", "to"),
        ("fulfilment", {"currency": "EUR"}, "currency", "has no currency", "from"),
        ("freshness", {"to": "2026-03-31"}, "to", "has no to", None),
        ("movers", {"limit": "101"}, "limit", "less than or equal to 100", None),
        ("movers", {"limit": "many"}, "limit", "integer", None),
        ("movers", {"limits": "1"}, "limits", "did you mean limit?", "limit"),
    ],
)
def test_a_wrong_parameter_is_told_what_is_wrong(
    viewer: httpx.Client, name: str, asked: dict[str, str], field: str, says: str, allowed: str | None
) -> None:
    found = problem(viewer.get(f"{API}/metrics/{name}", params=asked), 422)
    assert (found["field"], found["value"]) == (field, asked[field])
    assert says in found["detail"]
    assert allowed is None or allowed in found["allowed"]


def test_four_hundred_days_are_answered(viewer: httpx.Client) -> None:
    for name, metric in METRICS.items():
        if Parameter.FROM in metric.takes:
            answer_of(viewer, name, {"from": "2025-02-25", "to": "2026-03-31"})


def test_a_figure_that_is_none_is_told_which_there_are(viewer: httpx.Client) -> None:
    found = problem(viewer.get(f"{API}/metrics/net_sale"), 404)
    assert found["field"] == "name"
    assert found["allowed"] == list(METRICS)


def test_viewers_may_and_nobody_else(airflow: httpx.Client, viewer: httpx.Client) -> None:
    for path in ("metrics", *(f"metrics/{name}" for name in METRICS)):
        assert problem(airflow.get(f"{API}/{path}"), 401)["detail"] == "Not authenticated"
        assert viewer.get(f"{API}/{path}").status_code == 200


# From here on, tests change what the night published.


def test_an_answer_holds_until_its_tables_are_published_again(viewer: httpx.Client, warehouse: Database) -> None:
    url = f"{API}/metrics/suggested_orders"
    first = viewer.get(url)
    assert (first.headers["cache-control"], first.headers["x-stocktake-publication"]) == ("private, no-cache", "1")
    known = {"If-None-Match": first.headers["etag"]}
    assert viewer.get(url, headers=known).status_code == 304
    assert viewer.get(url, params={"limit": 3}, headers=known).status_code == 200
    with warehouse.connect("loader") as connection:
        connection.execute("update reporting.products set name = 'Renamed'")
    assert viewer.get(url).content == first.content  # as it was kept
    with warehouse.connect("loader") as connection, connection.transaction():
        publish_again(connection, "products")
    renewed = viewer.get(url, headers=known)
    assert renewed.status_code == 200
    assert {row["name"] for row in renewed.json()["rows"]} == {"Renamed"}
    assert len(set(renewed.json()["publications"].values())) == 2


def test_a_figure_of_a_table_that_is_not_published_says_so(viewer: httpx.Client, warehouse: Database) -> None:
    with warehouse.connect("loader") as connection:
        connection.execute("alter table reporting.fulfilment_daily drop column open_orders cascade")
        connection.execute("drop table reporting.stockouts cascade")
        connection.execute("update audit.tables set left_out = 'no inventory.sql' where table_name = 'stockouts'")
    absent = problem(viewer.get(f"{API}/metrics/stockouts"), 404)
    assert absent["detail"] == "stockouts is computed from reporting.stockouts: absent: no inventory.sql"
    later = problem(viewer.get(f"{API}/metrics/fulfilment", params={"to": "2026-03-29"}), 404)
    assert "not published before the next night" in later["detail"]
    published = {one["name"]: one["published"] for one in viewer.get(f"{API}/metrics").json()["metrics"]}
    assert [name for name in METRICS if not published[name]] == ["stockouts"]


def test_before_the_first_night_no_figure_is_published(
    empty_ledger: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        airflow_of(empty_ledger, tmp_path_factory.mktemp("airflow")) as airflow,
        logged_in(airflow, "viewer") as viewer,
    ):
        assert {one["published"] for one in viewer.get(f"{API}/metrics").json()["metrics"]} == {False}
        for name in METRICS:
            assert "publish" in problem(viewer.get(f"{API}/metrics/{name}"), 404)["detail"]
