"""The pages of the dictionary in a real browser, and what they tell programs to run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any, Literal

import duckdb
import httpx
import psycopg
import pytest
from playwright.sync_api import Page, expect

from include.lake.duckdb_session import postgres_scanner
from include.serve.lineage import lineage
from include.sources import SOURCES
from tests.browser import CHROMIUM
from tests.conftest import Database, Done
from tests.serve.a_night import publish_again, published_night
from tests.serve.conftest import PASSWORD
from tests.serve.pages import log_in, must_be_readable, wait, watched
from transforms.registry import TABLES

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)")

API = "/stocktake/api/v1"
SALES = "reporting.daily_sales"
BEST = {"columns": "day,currency,net_sales", "filter": "currency in (EUR, JPY)", "sort": "-net_sales"}
REFUSED = ("422 (Unprocessable", "410 (Gone")


@pytest.fixture(scope="module")
def warehouse(night_done: Callable[[tuple[str, ...]], Done]) -> Iterator[Database]:
    """What a night published."""
    with published_night(night_done) as database:
        yield database


@pytest.fixture
def show(airflow: httpx.Client, browser: Page) -> Iterator[Callable[[str], Page]]:
    """Go to a page, as a viewer."""
    origin = log_in(browser, airflow)

    def shown(path: str) -> Page:
        browser.goto(f"{origin}/stocktake/{path}")
        wait(browser)
        return browser

    with watched(browser, origin, REFUSED):
        yield shown


def _rows(viewer: httpx.Client, name: str, **asked: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = viewer.get(f"{API}/tables/{name}/rows", params=asked).json()["rows"]
    return rows


def _shown(page: Page) -> list[list[str]]:
    """The rows of the grid."""
    script = "rows => rows.map(row => [...row.cells].map(cell => cell.title || cell.innerText))"
    found: list[list[str]] = page.locator("#grid tbody tr").evaluate_all(script)
    return found


def _written(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON's 16080.0 is a browser's 16080
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_every_table_is_listed_and_found_by_its_columns(show: Callable[[str], Page], viewer: httpx.Client) -> None:
    page = show("explore")
    listed = page.locator("tr[data-words]")
    assert listed.count() == len(TABLES) == len(viewer.get(f"{API}/tables").json()["tables"])
    page.get_by_label("Find a table or column").fill("suggested_order")
    having = [
        name for name, one in TABLES.items() if "suggested_order" in {column.name for column in one.table.columns}
    ]
    visible = page.locator("tr[data-words]:visible th")
    assert visible.all_inner_texts() == having
    expect(page.locator("#found")).to_have_text(f"{len(having)} found")


def test_the_lineage_shows_every_table_once_and_leads_to_its_page(
    show: Callable[[str], Page], viewer: httpx.Client
) -> None:
    page = show("explore")
    known = viewer.get(f"{API}/lineage").json()
    drawn = page.locator("#picture a")
    assert sorted(drawn.all_text_contents()) == sorted(node["name"] for node in known["nodes"])
    assert page.locator("#picture path").count() == len(known["edges"])
    assert ["shop.public.orders", "source.orders"] in known["edges"]
    page.locator("#picture a", has_text=re.compile("^source.orders$")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("source.orders")
    wait(page)
    expect(page.locator("#picture [aria-current]")).to_have_text("source.orders")
    page.locator("#picture a", has_text="shop.public.orders").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("public.orders, in the shop")
    wait(page)
    page.locator("#picture a", has_text=re.compile(f"^{SALES}$")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(SALES)


def test_a_table_s_picture_is_of_what_leads_to_it_and_what_it_leads_to(show: Callable[[str], Page]) -> None:
    found = lineage({"orders": ["public.orders"], "customers": ["public.customers"]})
    page = show("tables/reporting.customer_rfm")
    drawn = set(page.locator("#picture a").all_text_contents())
    assert set(found.made_from["reporting.customer_rfm"]) < drawn
    assert "shop.public.orders" in drawn
    assert "reporting.inventory_health" not in drawn


def test_the_grid_has_the_rows_that_the_api_answers(show: Callable[[str], Page], viewer: httpx.Client) -> None:
    page = show(f"tables/{SALES}")
    first = _rows(viewer, SALES, sort="-day")
    assert _shown(page) == [[_written(value) for value in row.values()] for row in first]
    for label in ("net_sales", "net_sales ▲"):  # up, then down
        page.locator("#grid thead").get_by_role("button", name=label, exact=True).click()
        wait(page)
    assert "sort=-net_sales" in page.url
    expect(page.locator("th[data-column=net_sales]")).to_have_attribute("aria-sort", "descending")
    best = _rows(viewer, SALES, sort="-net_sales")
    assert _shown(page)[0] == [_written(value) for value in best[0].values()]

    page.locator("#column").select_option("currency")
    page.locator("#operator").select_option("in")
    page.locator("#value").fill("EUR, JPY")
    page.get_by_role("button", name="Add").click()
    wait(page)
    chosen = _rows(viewer, SALES, sort="-net_sales", filter="currency in (EUR, JPY)")
    assert _shown(page) == [[_written(value) for value in row.values()] for row in chosen]
    assert {row["currency"] for row in chosen} == {"EUR", "JPY"}

    page.locator("#choose summary").click()
    for name in [one for one in chosen[0] if one not in ("day", "currency", "net_sales")]:
        page.locator("#columns").get_by_label(name, exact=True).uncheck()
    wait(page)
    assert _shown(page) == [[row["day"], row["currency"], row["net_sales"]] for row in chosen]
    address = page.url
    page.go_back()
    wait(page)
    assert len(_shown(page)[0]) == 4
    page.goto(address)  # what is shown can be sent to somebody
    wait(page)
    assert _shown(page) == [[row["day"], row["currency"], row["net_sales"]] for row in chosen]
    page.get_by_role("button", name="Remove the filter currency in (EUR, JPY)").click()
    wait(page)
    assert len(_shown(page)) == len(best)


def test_more_rows_are_of_the_same_publication_or_it_is_said(
    show: Callable[[str], Page], viewer: httpx.Client, warehouse: Database
) -> None:
    page = show("tables/reporting.order_lines")
    more = page.get_by_role("button", name="More rows")
    more.click()
    expect(page.locator("#grid tbody tr")).to_have_count(200)
    total = viewer.get(f"{API}/tables/reporting.order_lines").json()["rows"]
    expect(page.locator("#count")).to_have_text(f"200 rows shown, of {total:,}")
    with warehouse.connect("loader") as loader, loader.transaction():
        publish_again(loader, "order_lines")
    more.click()
    expect(page.locator("#count")).to_have_text("The table was published again: this is its new first page.")
    expect(page.locator("#grid tbody tr")).to_have_count(100)


def test_a_filter_that_is_wrong_says_what_is_expected(show: Callable[[str], Page]) -> None:
    page = show(f"tables/{SALES}?filter=day%3E%3Dyesterday")
    expect(page.locator("#grid")).to_contain_text("day is a day, as 2026-11-01")
    page.get_by_role("button", name="Remove the filter day>=yesterday").click()
    wait(page)
    assert len(_shown(page)) > 1
    page = show(f"tables/{SALES}?filter=orders%3C0")
    expect(page.locator("#count")).to_have_text("No row matches.")


def test_an_address_may_be_written_by_hand(show: Callable[[str], Page]) -> None:
    page = show(f"tables/{SALES}?columns=day,%20currency&sort=%20-currency")
    assert page.locator("#grid thead th").all_inner_texts() == ["day", "currency ▼"]
    assert {len(row) for row in _shown(page)} == {2}
    page = show(f"tables/{SALES}?columns=")
    assert page.locator("#grid thead th").count() == len(TABLES["daily_sales"].table.columns)


def test_what_is_not_there_has_a_page_that_says_so(viewer: httpx.Client) -> None:
    paths = ("tables/reporting.order", "sources/order", "shop/public.a/b", "read-it-from?table=reporting.order")
    for path in paths:
        answer = viewer.get(f"/stocktake/{path}")
        assert answer.status_code == 404
        assert "Explore lists every table" in answer.text
    answer = viewer.get("/stocktake/read-it-from", params={"table": SALES, "filter": "<b>=1"})
    assert answer.status_code == 422
    assert "<b>" not in answer.text
    unpublished = viewer.get("/stocktake/tables/features.customer_labels")
    assert "It is not published yet" in unpublished.text


def test_names_in_texts_of_declarations_are_code(viewer: httpx.Client) -> None:
    tables = [entry["name"] for entry in viewer.get(f"{API}/tables").json()["tables"]]
    paths = ["explore", *(f"tables/{name}" for name in tables), *(f"sources/{name}" for name in SOURCES)]
    pages = {path: viewer.get(f"/stocktake/{path}").text for path in paths}
    raw = {path: found for path, text in pages.items() if (found := re.search("`[^`]*`", _without_sql(text)))}
    assert not raw
    assert "without <code>inventory_movements</code>" in pages["tables/reporting.inventory_health"]


def _without_sql(text: str) -> str:
    return re.sub("<pre.*?</pre>", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["explore", f"tables/{SALES}?filter=currency%3DEUR", "sources/orders", f"read-it-from?table={SALES}"]
)
def test_every_text_can_be_read_and_a_phone_shows_all(
    show: Callable[[str], Page], path: str, scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    page = show(path)
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    must_be_readable(page, scheme, tmp_path / f"phone-{scheme}.png")


@pytest.fixture
def told(viewer: httpx.Client) -> dict[str, str]:
    """By program, what the page says to run for the best days of two currencies."""
    asked = {
        "table": SALES,
        "columns": "day,currency,net_sales",
        "filter": "currency in (EUR, JPY)",
        "sort": "-net_sales",
    }
    page = viewer.get("/stocktake/read-it-from", params=asked).text

    found = re.findall(r'<h2 id="(\w+)">.*?(?:<code>([^<]*)</code></pre>|$)', page, re.DOTALL)
    return {name: unescape(code) for name, code in found if code}


@pytest.fixture
def best(viewer: httpx.Client) -> list[tuple[str, ...]]:
    answer = viewer.get(f"{API}/tables/{SALES}/rows", params=BEST).json()
    rows = answer["rows"]
    while answer["next"]:
        answer = viewer.get(f"{API}/tables/{SALES}/rows", params=BEST | {"cursor": answer["next"]}).json()
        rows += answer["rows"]
    assert len(rows) > 100  # more than a page
    return [tuple(row.values()) for row in rows]


_LOGIN = {"STOCKTAKE_USER": "viewer", "STOCKTAKE_PASSWORD": PASSWORD, "NO_PROXY": "*"}


def test_pandas_reads_it_as_it_is_told(told: dict[str, str], best: list[tuple[str, ...]]) -> None:
    program = told["pandas"] + "\nprint(frame.astype(str).to_csv(index=False))"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | _LOGIN, text=True, capture_output=True, check=True
    )
    lines = done.stdout.split("day,currency,net_sales\n")[1].split()
    assert [tuple(line.split(",")) for line in lines] == best


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_curl_reads_it_as_it_is_told(told: dict[str, str], best: list[tuple[str, ...]]) -> None:
    done = subprocess.run(
        ["bash", "-c", told["curl"]], env=os.environ | _LOGIN, text=True, capture_output=True, check=True
    )
    lines = done.stdout.split()
    assert lines[0] == "day,currency,net_sales"
    assert [tuple(line.replace('"', "").split(",")) for line in lines[1:]] == best[:100]


def test_duckdb_reads_it_as_it_is_told(
    told: dict[str, str], best: list[tuple[str, ...]], warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "install postgres;\nload postgres;\n" in told["duckdb"]
    password = psycopg.conninfo.conninfo_to_dict(warehouse.url("analyst")).get("password")
    assert not password or str(password) not in told["duckdb"]
    monkeypatch.setenv("PGPASSWORD", str(password or ""))
    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as connection:
        connection.load_extension(str(postgres_scanner()))  # elsewhere DuckDB fetches it
        rows = connection.execute(told["duckdb"].split("load postgres;\n")[1]).fetchall()
    assert [tuple(str(value) for value in row) for row in rows] == best
