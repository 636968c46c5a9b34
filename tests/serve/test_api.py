"""The API in Airflow's own API server, with its own logins, over tables that a real night published."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import hypothesis
import jwt
import psycopg
import pyarrow as pa
import pytest
import schemathesis
from psycopg.sql import SQL
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from include.serve.api.query import Query
from include.settings import ROOT
from tests.conftest import Database, Done
from tests.nights import SOME
from tests.serve.a_night import publish_again
from tests.serve.conftest import SECRET, hold, logged_in, problem, token_of
from transforms.registry import TABLES

API = "/stocktake/api/v1"
SALES = f"{API}/tables/reporting.daily_sales/rows"
_CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
]  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(night_done: Callable[[tuple[str, ...]], Done]) -> Iterator[Database]:
    """What a night published, and a row in quarantine."""
    database = night_done(SOME).warehouse.copy()
    with database.connect("loader") as connection:
        row = connection.execute("select run_id from audit.publications order by publication_id limit 1").fetchone()
        assert row is not None
    hold(database, row[0], "7001", ["total_equals_parts"], "110.00", "EUR")
    yield database
    database.drop()


@pytest.fixture(scope="module")
def operator(airflow: httpx.Client) -> Iterator[httpx.Client]:
    """A program of someone who may trigger the night."""
    with logged_in(airflow, "operator") as client:
        yield client


@pytest.fixture
def ask(warehouse: Database) -> Iterator[Callable[[str], list[Any]]]:
    with warehouse.connect("loader") as connection:
        yield lambda statement: connection.execute(statement).fetchall()


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every route of the API, with something in the place of its names."""
    command = "from include.serve.api.app import api; print(*(route.path for route in api().routes))"
    # In a process of its own, as a server: FastAPI's parts warn of each other, which is an error in a test.
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path_factory.mktemp("routes")), "PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", command], env=environment, text=True, capture_output=True, check=True)
    paths = found.stdout.splitlines()[-1].split()
    names = {"name": "reporting.daily_sales", "run_id:path": "unknown", "export_id": str(uuid4())}
    return [API + re.sub(r"{([^}]+)}", lambda found: names[found[1]], path) for path in paths]


def test_nobody_is_answered_without_a_login(airflow: httpx.Client, routes: list[str]) -> None:
    assert len(routes) == 16
    for route in routes:
        answer = airflow.get(route)
        assert problem(answer, 401)["detail"] == "Not authenticated"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_login_that_expired_is_none(airflow: httpx.Client, routes: list[str]) -> None:
    claims = jwt.decode(token_of(airflow, "viewer"), options={"verify_signature": False})
    claims["exp"] = int((datetime.now(UTC) - timedelta(minutes=5)).timestamp())
    header = jwt.get_unverified_header(token_of(airflow, "viewer"))
    expired = jwt.encode(claims, SECRET, algorithm="HS512", headers=header)
    for route in routes:
        answer = airflow.get(route, headers={"Authorization": f"Bearer {expired}"})
        assert problem(answer, 401)["detail"] == "Token Expired"


def test_a_parameter_that_no_route_has_is_refused(operator: httpx.Client, routes: list[str]) -> None:
    for route in routes:
        assert problem(operator.get(route, params={"filters": "day=2026-03-05"}), 422)["field"] == "filters"
    assert "did you mean filter?" in problem(operator.get(SALES, params={"filters": "orders>1"}), 422)["detail"]


def test_only_rows_may_be_kept_and_nothing_is_guessed(operator: httpx.Client, routes: list[str]) -> None:
    for route in routes:
        headers = operator.get(route).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == ("private, no-cache" if route == SALES else "no-store"), route


def test_each_role_is_answered_by_the_routes_that_are_for_it(airflow: httpx.Client, routes: list[str]) -> None:
    refused = {}
    for user in ("viewer", "operator", "admin"):
        with logged_in(airflow, user) as client:
            answers = {route: client.get(route).status_code for route in routes}
        assert 401 not in answers.values()
        refused[user] = [route for route, status in answers.items() if status == 403]
    assert refused == {"viewer": [f"{API}/quarantine"], "operator": [], "admin": []}


def test_only_operators_read_the_quarantine(viewer: httpx.Client, operator: httpx.Client) -> None:
    assert problem(viewer.get(f"{API}/quarantine"), 403)
    rows = operator.get(f"{API}/quarantine").json()["rows"]
    assert [(row["source"], row["row_key"], row["amount"]) for row in rows] == [("orders", "7001", "110.00")]
    assert "outcome" not in rows[0]  # only open ones are answered
    assert operator.get(f"{API}/quarantine", params={"rule": "status_known"}).json()["rows"] == []
    assert "status_known" in problem(operator.get(f"{API}/quarantine", params={"rule": "status_know"}), 404)["allowed"]
    assert problem(operator.get(f"{API}/quarantine?rule=%00"), 422)["field"] == "rule"
    assert "orders" in problem(operator.get(f"{API}/quarantine", params={"source": "order"}), 404)["allowed"]


def test_the_cookie_of_the_pages_is_a_login_too(airflow: httpx.Client) -> None:
    answer = airflow.get(SALES, headers={"Cookie": f"_token={token_of(airflow, 'viewer')}"})
    assert answer.status_code == 200


def test_the_dictionary_says_what_the_declaration_says(viewer: httpx.Client) -> None:
    tables = {table["name"]: table for table in viewer.get(f"{API}/tables").json()["tables"]}
    sales = tables["reporting.daily_sales"]
    assert sales["grain"] == TABLES["daily_sales"].table.grain
    assert (sales["key"], sales["last_day"], sales["verdict"][:9]) == (["day", "currency"], "2026-03-31", "published")
    assert {"reporting.orders", "source.refunds"} <= set(sales["made_from"])
    columns = {column["name"]: column for column in sales["columns"]}
    assert columns["net_sales"]["unit"] == "units of the row's currency"
    assert columns["day"]["type"] == "date"
    assert tables["reporting.stockouts"]["verdict"] == "not published yet"
    assert viewer.get(f"{API}/tables/reporting.daily_sales").json() == sales
    assert "reporting.daily_sales" in problem(viewer.get(f"{API}/tables/reporting.daily_sale"), 404)["allowed"]


def test_rows_are_those_of_the_table_and_amounts_are_exact(
    viewer: httpx.Client, ask: Callable[[str], list[Any]]
) -> None:
    found = viewer.get(SALES, params={"columns": "day,currency,net_sales,orders", "limit": 5}).json()
    expected = ask("select day, currency, net_sales, orders from reporting.daily_sales order by day, currency limit 5")
    assert [tuple(row.values()) for row in found["rows"]] == [
        (day.isoformat(), currency, f"{amount:f}", orders) for day, currency, amount, orders in expected
    ]


@pytest.mark.parametrize(
    ("filters", "condition"),
    [
        (["day>=2026-03-01"], "day >= '2026-03-01'"),
        (["day=2026-03-05", "currency=EUR"], "day = '2026-03-05' and currency = 'EUR'"),
        (["currency in (EUR, USD)"], "currency in ('EUR', 'USD')"),
        (['currency in "EUR"'], "currency = 'EUR'"),
        (["currency like %R"], "currency like '%R'"),
        (["net_sales>100.5", "net_sales != 200"], "net_sales > 100.5 and net_sales <> 200"),
        (["average_order_value is null"], "average_order_value is null"),
        (["average_order_value IS NOT NULL"], "average_order_value is not null"),
        (["currency=it's; drop table x -- %s"], "currency = 'it''s; drop table x -- %s'"),
    ],
)
def test_filters_choose_the_rows_that_the_database_would(
    viewer: httpx.Client, ask: Callable[[str], list[Any]], filters: list[str], condition: str
) -> None:
    answer = viewer.get(SALES, params={"filter": filters, "columns": "day,currency"})
    assert answer.status_code == 200, answer.text
    expected = ask(f"select day::text, currency from reporting.daily_sales where {condition} order by 1, 2 limit 100")
    assert [tuple(row.values()) for row in answer.json()["rows"]] == expected


@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        ({"columns": "day,net_sale"}, "columns", "did you mean net_sales?"),
        ({"filter": "day>yesterday"}, "filter", "day is a day, as 2026-11-01"),
        ({"filter": "orders=1.5"}, "filter", "orders is a whole number"),
        ({"filter": "orders=99999999999999999999"}, "filter", "orders is a whole number"),
        ({"filter": "net_sales=NaN"}, "filter", "net_sales is an amount"),
        ({"filter": "net_sales like 1%"}, "filter", "net_sales is no text"),
        ({"filter": "currency in ()"}, "filter", "in takes 1 to 100 values"),
        ({"filter": "currency=\0"}, "filter", "currency is a text"),
        ({"filter": "drop table"}, "filter", "a filter is a column, an operator and a value"),
        ({"filter": "currency is null or true"}, "filter", "nothing may follow"),
        ({"sort": "-password"}, "sort", "no column 'password'"),
        ({"limit": "101"}, "limit", "less than or equal to 100"),
        ({"limit": "0"}, "limit", "greater than or equal to 1"),
        ({"cursor": "rubbish"}, "cursor", "this is no cursor"),
        ({"cursor": base64.urlsafe_b64encode(b"[true,1,null]").decode()}, "cursor", "this is no cursor"),
        ({"format": "xml"}, "format", "'json', 'csv' or 'arrow'"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    viewer: httpx.Client, asked: dict[str, str], field: str, says: str
) -> None:
    found = problem(viewer.get(SALES, params=asked), 422)
    assert found["field"] == field
    assert says in found["detail"]


@pytest.mark.parametrize(
    "sort", [None, "-net_sales", "average_order_value", "-average_order_value,day", "currency,-day"]
)
def test_pages_hold_every_row_once_in_order(
    viewer: httpx.Client, ask: Callable[[str], list[Any]], sort: str | None
) -> None:
    asked: dict[str, Any] = {"columns": "day,currency", "limit": 7, "filter": "day>=2026-03-10"}
    if sort:
        asked["sort"] = sort
    rows: list[tuple[Any, ...]] = []
    following: str | None = ""
    while following is not None:
        page = viewer.get(SALES, params=asked | ({"cursor": following} if following else {})).json()
        rows += [tuple(row.values()) for row in page["rows"]]
        following = page["next"]
    order = ", ".join(
        f"{part.removeprefix('-')} {'desc' if part.startswith('-') else 'asc'} nulls last"
        for part in [*(sort.split(",") if sort else []), "day", "currency"]
    )
    expected = ask(f"select day::text, currency from reporting.daily_sales where day >= '2026-03-10' order by {order}")
    assert len(expected) > 14
    assert rows == expected


def test_a_cursor_belongs_to_its_question(viewer: httpx.Client) -> None:
    following = viewer.get(SALES, params={"limit": 2}).json()["next"]
    found = problem(viewer.get(SALES, params={"limit": 2, "cursor": following, "sort": "-day"}), 422)
    assert "another order" in found["detail"]


def test_csv_and_arrow_hold_the_same_rows(viewer: httpx.Client) -> None:
    asked = {"columns": "day,currency,net_sales,orders,average_order_value", "filter": "day=2026-03-05"}
    rows = viewer.get(SALES, params=asked).json()["rows"]
    text = viewer.get(SALES, params=asked | {"format": "csv"})
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    read = list(csv.DictReader(io.StringIO(text.text)))
    assert [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows] == read
    arrow = pa.ipc.open_stream(viewer.get(SALES, params=asked | {"format": "arrow"}).content).read_all().to_pylist()
    assert [(row["day"], row["net_sales"]) for row in arrow] == [
        (date.fromisoformat(row["day"]), Decimal(row["net_sales"])) for row in rows
    ]


@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
def test_every_format_says_where_its_next_page_is(viewer: httpx.Client, form: str) -> None:
    asked = {"columns": "day,currency", "filter": "day>=2026-03-25", "limit": "3", "format": form}
    expected = viewer.get(SALES, params=asked | {"limit": "100", "format": "json"}).json()["rows"]
    found: list[dict[str, Any]] = []
    for _ in range(2):  # the second time as it was kept
        found = []
        answer = viewer.get(SALES, params=asked)
        while True:
            found += _rows(answer, form)
            if "next" not in answer.links:
                break
            answer = viewer.get(answer.url.join(answer.links["next"]["url"]))
    assert len(expected) > 6
    assert found == expected


def _rows(answer: httpx.Response, form: str) -> list[dict[str, Any]]:
    if form == "json":
        return list(answer.json()["rows"])
    if form == "csv":
        return list(csv.DictReader(io.StringIO(answer.text)))
    rows = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    return [{name: str(value) for name, value in row.items()} for row in rows]


def test_every_published_table_can_be_read_in_every_format(viewer: httpx.Client) -> None:
    read = 0
    for table in viewer.get(f"{API}/tables").json()["tables"]:
        for form in ("json", "csv", "arrow"):
            answer = viewer.get(f"{API}/tables/{table['name']}/rows", params={"limit": 20, "format": form})
            if table["verdict"] == "not published yet":
                assert "is not published" in problem(answer, 404)["detail"]
            else:
                assert answer.status_code == 200, answer.text
                read += 1
    assert read >= 3 * len(SOME)


def test_runs_and_status_say_what_the_pages_say(viewer: httpx.Client) -> None:
    runs = viewer.get(f"{API}/runs").json()["runs"]
    assert {run["kind"] for run in runs} == {"night", "tables"}
    night = viewer.get(f"{API}/runs/{runs[-1]['run_id']}").json()
    assert night["word"] == "Published"
    assert {one["source"] for one in night["sources"]} > {"orders", "products"}
    status = {one["table"]: one for one in viewer.get(f"{API}/status").json()["tables"]}
    assert status["reporting.orders"]["quarantined_amounts"] == {"EUR": "110.00"}
    assert problem(viewer.get(f"{API}/runs/unknown"), 404)
    assert problem(viewer.get(f"{API}/runs/%00"), 422)["field"] == "run_id"


def test_the_description_refers_to_itself_alone(viewer: httpx.Client) -> None:
    description = viewer.get(f"{API}/openapi.json")
    assert description.json()["info"]["title"] == "Stocktake"
    assert description.json()["servers"] == [{"url": API}]
    refers = re.findall(r'"\$ref": "([^"]+)"', json.dumps(description.json()))
    assert len(refers) > 10
    assert all(reference.startswith("#/components/schemas/") for reference in refers)
    assert viewer.get(f"{API}/docs").status_code == 404


def test_whatever_is_asked_is_answered_as_described(operator: httpx.Client) -> None:
    description = operator.get(f"{API}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(description)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == 15
    for operation in operations:

        @hypothesis.settings(max_examples=40, deadline=None, database=None, derandomize=True)
        @hypothesis.given(case=operation.as_strategy())
        def answers(case: schemathesis.Case[Any]) -> None:
            answer = case.call(base_url=f"{str(operator.base_url).rstrip('/')}{API}", headers=dict(operator.headers))
            case.validate_response(answer, checks=_CHECKS)

        answers()


@pytest.mark.parametrize(("sort", "compared"), [(None, ">="), ("-day", "<=")])
def test_a_later_page_begins_in_the_index(warehouse: Database, sort: str | None, compared: str) -> None:
    table = TABLES["inventory_daily"].table
    statement = Query.of(table, sort=sort).sql(table.columns, [date(2026, 3, 5), 1, 1])
    with warehouse.connect("analyst") as connection:
        connection.execute("set enable_seqscan = off")  # a table of a test is read faster as a whole
        connection.execute("set enable_bitmapscan = off")
        plan = "\n".join(line for (line,) in connection.execute(SQL("explain ") + statement))
    assert f"Index Cond: (day {compared} '2026-03-05'::date)" in plan
    assert "Sort" not in plan or "Presorted Key: day" in plan


# From here on, tests change what the night published.


def test_a_new_publication_ends_cursors_and_answers_at_once(viewer: httpx.Client, warehouse: Database) -> None:
    first = viewer.get(SALES, params={"limit": 2})
    again = viewer.get(SALES, params={"limit": 2}, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    any_ = viewer.get(SALES, params={"limit": 2}, headers={"If-None-Match": "*"})
    assert (any_.status_code, any_.headers["etag"]) == (304, first.headers["etag"])
    with warehouse.connect("loader") as connection:
        _publish_again(connection)
    renewed = viewer.get(SALES, params={"limit": 2}, headers={"If-None-Match": first.headers["etag"]})
    assert renewed.status_code == 200
    assert renewed.json()["rows"][0]["net_sales"] == "123.450"
    gone = problem(viewer.get(SALES, params={"limit": 2, "cursor": first.json()["next"]}), 410)
    assert "without the cursor" in gone["detail"]


def _publish_again(connection: psycopg.Connection) -> None:
    """Another publication of daily_sales, whose first figure is another one."""
    with connection.transaction():
        publish_again(connection, "daily_sales")
        connection.execute(
            """
            update reporting.daily_sales set net_sales = 123.45
            where (day, currency) = (select day, currency from reporting.daily_sales order by day, currency limit 1)
            """
        )


def test_a_column_that_no_night_has_published_yet_is_left_out(viewer: httpx.Client, warehouse: Database) -> None:
    rows = f"{API}/tables/reporting.discounts/rows"
    with warehouse.connect("loader") as connection:
        connection.execute("alter table reporting.discounts drop column discounts cascade")
    answer = viewer.get(rows, params={"limit": 1})
    assert answer.status_code == 200
    assert "discounts" not in answer.json()["rows"][0]
    assert (
        "not published before the next night" in problem(viewer.get(rows, params={"sort": "discounts"}), 422)["detail"]
    )


def test_a_table_that_the_shop_has_no_longer_is_not_there(viewer: httpx.Client, warehouse: Database) -> None:
    rows = f"{API}/tables/reporting.payments_daily/rows"
    first = viewer.get(rows, params={"limit": 1})
    assert first.status_code == 200
    with warehouse.connect("loader") as connection:
        connection.execute("drop table reporting.payments_daily cascade")
    for headers in ({}, {"If-None-Match": first.headers["etag"]}):
        assert "is not published" in problem(viewer.get(rows, params={"limit": 1}, headers=headers), 404)["detail"]


def test_what_a_night_will_mend_is_a_problem_until_then(viewer: httpx.Client, warehouse: Database) -> None:
    rows = f"{API}/tables/reporting.discounts/rows"
    with warehouse.connect("loader") as connection:
        connection.execute("alter table reporting.discounts alter column orders type text")
    assert problem(viewer.get(rows, params={"filter": "orders>0"}), 422)["field"] == "filter"
    broken = problem(viewer.get(rows, params={"format": "arrow"}), 500)
    assert broken["detail"].startswith("ArrowInvalid: ")
    with warehouse.connect("loader") as connection:
        connection.execute("alter table audit.publication_tables rename to elsewhere")
    assert "nothing is published yet" in problem(viewer.get(rows), 404)["detail"]
