"""Exports as people ask for them: through Airflow's own API server, written by what the DAG's task calls."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pyarrow as pa
import pytest
from pyarrow import parquet

from include.ledger import exports as ledger
from include.ledger import listener
from include.pipeline import exports
from include.settings import settings
from tests.conftest import Database, Done
from tests.nights import FEW
from tests.serve.a_night import publish_again
from tests.serve.conftest import airflow_of, logged_in, problem, token_of, with_exports

API = "/stocktake/api/v1"
EXPORTS = f"{API}/exports"
SALES = {"table": "reporting.daily_sales", "format": "csv"}
OURS = {"X-Requested-With": "stocktake"}


@pytest.fixture(scope="module")
def warehouse(night_done: Callable[[tuple[str, ...]], Done]) -> Iterator[Database]:
    """What a night published, and names that a spreadsheet would take for formulas."""
    database = night_done(FEW).warehouse.copy()
    with database.connect("loader") as connection:
        connection.execute(
            """
            update reporting.orders set channel = '=1+1' where order_id % 7 = 0;
            update reporting.orders set channel = E'a "b",\r\nÄ' where order_id % 7 = 1;
            """
        )
    yield database
    database.drop()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files of exports are."""
    return tmp_path_factory.mktemp("state") / "lake"


@pytest.fixture(scope="module")
def airflow(warehouse: Database, lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A visitor of an Airflow that knows the DAG."""
    home = tmp_path_factory.mktemp("airflow")
    with_exports(home)
    with airflow_of(warehouse, home, STOCKTAKE_LAKE=str(lake)) as client:
        yield client


@pytest.fixture(scope="module")
def operator(airflow: httpx.Client) -> Iterator[httpx.Client]:
    """A program of someone who may trigger the night."""
    with logged_in(airflow, "operator") as client:
        yield client


@pytest.fixture(scope="module")
def admin(airflow: httpx.Client) -> Iterator[httpx.Client]:
    """A program of Airflow's admin."""
    with logged_in(airflow, "admin") as client:
        yield client


@pytest.fixture(autouse=True)
def worker(warehouse: Database, lake: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings of a task, and nobody's exports from before."""
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql://extractor@shop.invalid/shop")
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", warehouse.url("loader"))
    monkeypatch.setenv("STOCKTAKE_ANALYST_URL", warehouse.url("analyst"))
    monkeypatch.setenv("STOCKTAKE_LAKE", str(lake))
    settings.cache_clear()
    with warehouse.connect("loader") as connection:
        connection.execute("delete from audit.exports")
    shutil.rmtree(lake / "exports", ignore_errors=True)
    yield
    settings.cache_clear()


def ask(client: httpx.Client, **more: Any) -> dict[str, Any]:
    """An export that was just asked for."""
    answer = client.post(EXPORTS, json=SALES | more)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{EXPORTS}/{found['id']}"
    return found


def write(export: Mapping[str, Any]) -> int | None:
    """What the run does that the API started."""
    return exports.write({"export": export["id"]}, f"export__{export['id']}")


def status(client: httpx.Client, export: Mapping[str, Any]) -> dict[str, Any]:
    answer = client.get(f"{EXPORTS}/{export['id']}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def file_of(client: httpx.Client, export: Mapping[str, Any]) -> httpx.Response:
    answer = client.get(str(status(client, export)["file"]))
    assert answer.status_code == 200, answer.text
    return answer


def rows_of(client: httpx.Client, table: str, **asked: Any) -> list[dict[str, Any]]:
    """All rows of a question, page by page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(f"{API}/tables/{table}/rows", params=asked | cursor).json()
        found += page["rows"]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


def task_of(run: SimpleNamespace) -> SimpleNamespace:
    """What Airflow hands over of a run's task that failed for good."""
    operator = SimpleNamespace(is_teardown=False)
    return SimpleNamespace(dag_id=run.dag_id, run_id=run.run_id, task_id="write", state="failed", task=operator)


def as_shown(value: Any) -> Any:
    """A value of Arrow as the rows of a table show it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


def test_a_viewer_asks_a_run_writes_and_the_viewer_fetches(
    viewer: httpx.Client, operator: httpx.Client, lake: Path
) -> None:
    asked = ask(viewer, columns="day,currency,net_sales", filter=["currency in (EUR, USD)"], sort="-net_sales")
    assert (asked["state"], asked["rows_done"], asked["rows_to_do"], asked["file"]) == ("queued", 0, None, None)
    assert (asked["asked_by"], asked["asked_of_publication"], asked["publication_id"]) == ("viewer", 1, None)
    run = operator.get(f"/api/v2/dags/exports/dagRuns/export__{asked['id']}").json()
    assert (run["state"], run["conf"], run["triggering_user_name"]) == ("queued", {"export": asked["id"]}, "viewer")
    assert "queued" in problem(viewer.get(f"{EXPORTS}/{asked['id']}/file"), 409)["detail"]
    rows = write(asked) or 0
    done = status(viewer, asked)
    assert (done["state"], done["rows_done"], done["rows_to_do"], done["publication_id"]) == ("done", rows, rows, 1)
    assert (done["error"], done["note"]) == (None, None)
    kept = datetime.fromisoformat(done["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=6) < kept < timedelta(days=8)
    file = file_of(viewer, asked)
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    name = f"reporting.daily_sales-publication-1-{asked['id'][:8]}.csv"
    assert file.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert (len(file.content), file.headers["cache-control"]) == (done["bytes"], "no-store")
    expected = rows_of(viewer, "reporting.daily_sales", columns="day,currency,net_sales",
                       filter=["currency in (EUR, USD)"], sort="-net_sales")  # fmt: skip
    assert len(expected) == rows > 100
    assert list(csv.DictReader(io.StringIO(file.text))) == expected
    assert [one["id"] for one in viewer.get(EXPORTS).json()["exports"]] == [asked["id"]]
    assert operator.get(EXPORTS).json() == {"exports": []}
    assert [one.suffix for one in (lake / "exports").iterdir()] == [".csv"]


@pytest.mark.parametrize(
    ("table", "asked"),
    [
        ("reporting.daily_sales", {}),
        ("reporting.orders", {"sort": "-channel"}),
        ("reporting.orders", {"columns": "channel,order_id", "filter": ["channel like =%"]}),
        ("features.customer_activity", {"filter": ["customer_id<0"]}),
        ("reporting.order_lines", {"filter": ["ordered_on>=2026-03-28"], "sort": "currency,-unit_price"}),
    ],
)
def test_every_format_holds_the_rows_that_the_pages_hold(
    viewer: httpx.Client, monkeypatch: pytest.MonkeyPatch, table: str, asked: dict[str, Any]
) -> None:
    monkeypatch.setattr(exports, "BATCH", 37)
    expected = rows_of(viewer, table, **asked)
    assert len(expected) > 50 or asked.get("filter"), "of more than a batch"
    wanted = {"table": table, **asked}
    arrow, plain = ask(viewer, **wanted | {"format": "arrow"}), ask(viewer, **wanted)
    columnar = ask(viewer, **wanted | {"format": "parquet"})
    assert {write(one) for one in (arrow, plain, columnar)} == {len(expected)}
    read = pa.ipc.open_file(file_of(viewer, arrow).content).read_all()
    assert [{name: as_shown(value) for name, value in row.items()} for row in read.to_pylist()] == expected
    assert parquet.read_table(io.BytesIO(file_of(viewer, columnar).content)) == read
    text = file_of(viewer, plain).text
    pages: list[str] = []
    following: str | None = f"{API}/tables/{table}/rows"
    params: dict[str, Any] | None = asked | {"format": "csv"}
    while following:
        page = viewer.get(following, params=params)
        header, _, lines = page.text.partition("\r\n")
        pages += [lines] if pages else [f"{header}\r\n{lines}"]
        following = str(page.url.join(page.links["next"]["url"])) if "next" in page.links else None
        params = None
    assert text == "".join(pages)


def test_a_text_that_would_be_a_formula_is_one_no_more_and_excel_is_told_of_utf_8(viewer: httpx.Client) -> None:
    asked = ask(viewer, table="reporting.orders", columns="channel", filter=["channel like =%"], bom=True)
    write(asked)
    content = file_of(viewer, asked).content
    assert content.startswith(b'\xef\xbb\xbfchannel\r\n"\'=1+1"\r\n')
    refused = problem(viewer.post(EXPORTS, json=SALES | {"format": "parquet", "bom": True}), 422)
    assert (refused["field"], refused["allowed"]) == ("bom", ["false"])


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"table": "reporting.daily_sale"}, "table", "no table is called"),
        ({"table": None}, "table", "valid string"),
        ({"columns": "day,net_sale"}, "columns", "did you mean net_sales?"),
        ({"filter": ["day>yesterday"]}, "filter", "day is a day, as 2026-11-01"),
        ({"filter": "day>2026-03-01"}, "filter", "valid list"),
        ({"filter": ["day is null"] * 21}, "filter", "at most 20"),
        ({"filter": ["currency=\0"]}, "filter", "currency is a text"),
        ({"filter": ["currency=\ud800"]}, "filter.0", "unicode"),
        ({"sort": "-password"}, "sort", "no column 'password'"),
        ({"format": "xlsx"}, "format", "'csv', 'parquet' or 'arrow'"),
        ({"limit": 5}, "limit", "not permitted"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    viewer: httpx.Client, wrong: dict[str, Any], field: str, says: str
) -> None:
    body = json.dumps(SALES | wrong)  # which writes half a character as \ud800
    found = problem(viewer.post(EXPORTS, content=body, headers={"Content-Type": "application/json"}), 422)
    assert found["field"] == field
    assert says in found["detail"]
    assert "value" in found
    assert viewer.get(EXPORTS).json() == {"exports": []}


def test_what_is_no_json_is_told_so(viewer: httpx.Client) -> None:
    answer = viewer.post(EXPORTS, content="{", headers={"Content-Type": "application/json"})
    assert problem(answer, 422)["field"] == "body"


def test_a_table_that_is_not_published_cannot_be_exported(viewer: httpx.Client) -> None:
    answer = viewer.post(EXPORTS, json=SALES | {"table": "reporting.stockouts"})
    assert "is not published" in problem(answer, 404)["detail"]


def test_a_cookie_alone_changes_nothing(airflow: httpx.Client, viewer: httpx.Client) -> None:
    cookie = {"Cookie": f"_token={token_of(airflow, 'viewer')}"}
    for more in ({}, {"Authorization": "Basic dmlld2VyOg=="}, {"Authorization": "Bearer"}, {"X-Requested-With": ""}):
        answer = airflow.post(EXPORTS, json=SALES, headers=cookie | more)
        assert "X-Requested-With" in problem(answer, 403)["detail"]
    assert viewer.get(EXPORTS).json() == {"exports": []}
    asked = airflow.post(EXPORTS, json=SALES, headers=cookie | OURS)
    assert asked.status_code == 202
    one = f"{EXPORTS}/{asked.json()['id']}"
    assert problem(airflow.delete(one, headers=cookie), 403)
    assert airflow.get(one, headers=cookie).json()["state"] == "queued"
    write(asked.json())
    assert airflow.get(f"{one}/file", headers=cookie).status_code == 200
    assert airflow.delete(one, headers=cookie | OURS).status_code == 204


def test_nobody_exports_without_a_login(airflow: httpx.Client) -> None:
    one = f"{EXPORTS}/{uuid4()}"
    for method, path in (("POST", EXPORTS), ("DELETE", one), ("GET", one), ("GET", f"{one}/file")):
        assert problem(airflow.request(method, path, headers=OURS), 401)


def test_an_export_is_for_who_asked_and_for_operators(
    viewer: httpx.Client, operator: httpx.Client, admin: httpx.Client
) -> None:
    asked = ask(operator)
    write(asked)
    for path in ("", "/file"):
        assert "no such export of yours" in problem(viewer.get(f"{EXPORTS}/{asked['id']}{path}"), 404)["detail"]
    assert problem(viewer.delete(f"{EXPORTS}/{asked['id']}"), 404)
    assert file_of(admin, asked).content == file_of(operator, asked).content
    unknown = problem(viewer.get(f"{EXPORTS}/{uuid4()}"), 404)
    assert unknown["field"] == "export_id"
    assert problem(viewer.get(f"{EXPORTS}/mine"), 422)["field"] == "export_id"


def test_three_at_a_time_and_the_next_when_one_is_done_or_cancelled(viewer: httpx.Client, admin: httpx.Client) -> None:
    asked = [ask(viewer) for _ in range(3)]
    refused = viewer.post(EXPORTS, json=SALES)
    assert "not finished" in problem(refused, 429)["detail"]
    assert int(refused.headers["retry-after"]) > 0
    ask(admin)
    write(asked[0])
    asked.append(ask(viewer))
    assert viewer.post(EXPORTS, json=SALES).status_code == 429
    assert viewer.delete(f"{EXPORTS}/{asked[1]['id']}").status_code == 204
    asked.append(ask(viewer))
    assert [one["state"] for one in viewer.get(EXPORTS).json()["exports"]] == [
        "queued", "queued", "queued", "cancelled", "done",
    ]  # fmt: skip


def test_a_cancelled_export_is_not_written(viewer: httpx.Client, lake: Path) -> None:
    asked = ask(viewer)
    assert viewer.delete(f"{EXPORTS}/{asked['id']}").status_code == 204
    assert write(asked) is None
    assert status(viewer, asked)["state"] == "cancelled"
    assert "nothing to cancel" in problem(viewer.delete(f"{EXPORTS}/{asked['id']}"), 409)["detail"]
    assert not (lake / "exports").exists()


def test_a_removed_export_is_gone_with_its_file(viewer: httpx.Client, lake: Path) -> None:
    asked = ask(viewer)
    write(asked)
    assert viewer.delete(f"{EXPORTS}/{asked['id']}").status_code == 204
    assert list((lake / "exports").iterdir()) == []
    for path in ("", "/file"):
        assert "ask for the rows again" in problem(viewer.get(f"{EXPORTS}/{asked['id']}{path}"), 410)["detail"]
    assert viewer.get(EXPORTS).json() == {"exports": []}


def test_what_has_expired_is_gone_before_anybody_tidies_up(viewer: httpx.Client, warehouse: Database) -> None:
    asked = ask(viewer)
    write(asked)
    with warehouse.connect("loader") as connection:
        connection.execute("update audit.exports set expires_at = now()")
    for path in ("", "/file"):
        assert "has expired" in problem(viewer.get(f"{EXPORTS}/{asked['id']}{path}"), 410)["detail"]


def test_a_file_that_somebody_removed_by_hand_is_gone(viewer: httpx.Client, lake: Path) -> None:
    asked = ask(viewer)
    write(asked)
    for file in (lake / "exports").iterdir():
        file.unlink()
    assert "was removed" in problem(viewer.get(f"{EXPORTS}/{asked['id']}/file"), 410)["detail"]


def test_a_run_that_fails_says_why_and_names_no_secret(
    viewer: httpx.Client, warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(viewer)
    monkeypatch.setenv("STOCKTAKE_ANALYST_URL", "postgresql://analyst:s3cret-of-test@127.0.0.1:9/warehouse")
    settings.cache_clear()
    with pytest.raises(OSError, match="connection"):
        write(asked)
    waits = status(viewer, asked)
    assert (waits["state"], waits["note"]) == ("queued", "the last try failed: it is tried again")
    assert waits["error"].startswith("the warehouse: ")
    run = SimpleNamespace(dag_id="exports", run_id=f"export__{asked['id']}")
    listener.on_dag_run_failed(run, "task_failure")
    failed = status(viewer, asked)
    assert (failed["state"], failed["error"], failed["note"]) == ("failed", waits["error"], None)
    assert "s3cret" not in str(failed)
    monkeypatch.setenv("STOCKTAKE_ANALYST_URL", warehouse.url("analyst"))
    settings.cache_clear()
    assert write(asked), "an operator cleared the run"
    assert (status(viewer, asked)["state"], status(viewer, asked)["error"]) == ("done", None)


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        (lambda run: listener.on_dag_run_failed(run, "timed_out"), "the run took longer than it is allowed to"),
        (lambda run: listener.on_dag_run_failed(run, "stopped"), "its run was ended before the file was written"),
        (listener.on_dag_run_success, "its run was marked as ended before the file was written"),
        (
            lambda run: listener.on_task_instance_failed(task_of(run), "killed by its machine"),
            "write: killed by its machine",
        ),
    ],
    ids=["too_long", "stopped", "marked_as_done", "killed"],
)
def test_a_run_that_ends_without_a_word_leaves_nobody_waiting(
    viewer: httpx.Client, ends: Callable[[Any], None], error: str
) -> None:
    asked = ask(viewer)
    assert ledger.begin(UUID(asked["id"]), f"export__{asked['id']}")
    ends(SimpleNamespace(dag_id="exports", run_id=f"export__{asked['id']}"))
    found = status(viewer, asked)
    assert (found["state"], found["error"]) == ("failed", error)


def test_no_export_is_taken_while_none_would_be_written(viewer: httpx.Client, admin: httpx.Client) -> None:
    assert admin.patch("/api/v2/dags/exports", json={"is_paused": True}).status_code == 200
    paused = viewer.post(EXPORTS, json=SALES)
    assert admin.patch("/api/v2/dags/exports", json={"is_paused": False}).status_code == 200
    assert "is paused" in problem(paused, 503)["detail"]
    assert int(paused.headers["retry-after"]) > 0
    assert viewer.get(EXPORTS).json() == {"exports": []}


# From here on, tests change what the night published.


def test_an_export_is_of_what_is_published_when_it_is_written(viewer: httpx.Client, warehouse: Database) -> None:
    asked = ask(viewer, columns="day,currency,net_sales")
    with warehouse.connect("loader") as connection, connection.transaction():
        publish_again(connection, "daily_sales")
        connection.execute("update reporting.daily_sales set net_sales = 123.45")
    write(asked)
    done = status(viewer, asked)
    assert done["publication_id"] > done["asked_of_publication"] == 1
    assert "was published again since it was asked for" in done["note"]
    read = list(csv.DictReader(io.StringIO(file_of(viewer, asked).text)))
    assert {row["net_sales"] for row in read} == {"123.450"}


def test_a_column_that_is_gone_when_it_is_written_fails_at_once(viewer: httpx.Client, warehouse: Database) -> None:
    asked = ask(viewer, columns="average_order_value")
    with warehouse.connect("loader") as connection:
        connection.execute("alter table reporting.daily_sales drop column average_order_value cascade")
    with pytest.raises(Exception, match="not published before the next night"):
        write(asked)
    assert "average_order_value: declared, and not published" in status(viewer, asked)["error"]


def test_a_value_that_the_warehouse_cannot_compare_is_refused_before_a_run(
    viewer: httpx.Client, warehouse: Database
) -> None:
    with warehouse.connect("loader") as connection:
        connection.execute("alter table reporting.daily_sales alter column orders type text")
    answer = viewer.post(EXPORTS, json=SALES | {"filter": ["orders>0"]})
    assert problem(answer, 422)["field"] == "filter"
    assert viewer.get(EXPORTS).json() == {"exports": []}
