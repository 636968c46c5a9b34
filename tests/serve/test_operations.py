"""The operations page in a real browser: what it shows is what the ledger says, and who may start what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser import CHROMIUM
from tests.serve.conftest import logged_in
from tests.serve.pages import log_in, marks, must_be_readable, wait, watched
from tests.serve.test_night_figures import FAILED, SECOND, warehouse

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)")

__all__ = ["warehouse"]  # the ledger of two nights

REFUSED = ("403 (Forbidden", "404 (Not Found")


@pytest.fixture
def page(request: pytest.FixtureRequest, airflow: httpx.Client, browser: Page) -> Iterator[Page]:
    """The page, whole, of a viewer or of whom the test names."""
    origin = log_in(browser, airflow, getattr(request, "param", "viewer"))
    with watched(browser, origin, REFUSED):
        browser.goto(f"{origin}/stocktake/operations")
        expect(browser.locator(".panel").first).to_be_visible()
        wait(browser)
        yield browser


def _panel(page: Page, title: str) -> Locator:
    return page.locator(".panel", has=page.get_by_role("heading", name=title, exact=True))


def _cells(place: Locator) -> list[list[str]]:
    """The rows of the first table in a place."""
    script = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    found: list[list[str]] = place.locator("tbody tr").evaluate_all(script)
    return found


def test_every_panel_shows_what_the_ledger_says(page: Page, tmp_path: Path) -> None:
    page.screenshot(path=tmp_path / "operations.png", full_page=True)
    assert page.locator(".bad:not(td .bad)").count() == 0
    runs = _cells(_panel(page, "Latest runs"))
    assert [(row[0], row[2]) for row in runs] == [
        ("2026-11-21", "Published"), ("2026-11-21", "Stopped"), ("2026-11-20", "Published"),
    ]  # fmt: skip
    read = {row[0]: row[1:6] for row in _cells(_panel(page, "Rows read per source"))}
    assert read == {
        "customers": ["2026-11-21", "4", "4", "0", "4"],
        "orders": ["2026-11-21", "1,000", "998", "2", "1,000"],
    }
    held = [(row[0], row[1], row[3], row[4]) for row in _cells(_panel(page, "In quarantine now"))]
    assert [(source, rule, rows, money.replace("\N{NO-BREAK SPACE}", " ")) for source, rule, rows, money in held] == [
        ("orders", "total_equals_parts", "2", "EUR 110.00, USD 70.00"),
        ("orders", "status_known", "1", "EUR 110.00"),
    ]
    unusual = _cells(_panel(page, "Unusual days"))
    assert [row[:5] for row in unusual] == [
        ["2026-11-21", "orders", "rows: 5; expected 20 to 60", "5", explained] for explained in ("a strike", "")
    ]
    because = _cells(_panel(page, "What changed last, and why"))
    assert [row[1:] for row in because] == [
        ["reporting.orders", "2026-11-20", "order id 7", metric, "1.00", "2.00", "orders 7"]
        for metric in ("net_sales", "total")
    ]
    published = _cells(_panel(page, "Publications"))
    assert [(row[0], row[1], *row[4:7]) for row in published] == [
        ("2", "2026-11-21", "1", "321", "123"), ("1", "2026-11-20", "1", "321", "123"),
    ]  # fmt: skip
    says = {picture.get_attribute("aria-label") for picture in page.locator("[role=graphics-document]").all()}
    days = _panel(page, "Seconds per stage").locator(".role-axis-label text")
    assert [one for one in days.all_text_contents() if "Nov" in one] == ["20 Nov", "21 Nov"], "each under its bar"
    assert any("stage: extract; night: 21 Nov" in said for said in marks(page))
    assert says == {
        "Seconds per stage of 2 nights",
        "Rows put in quarantine: status known 2, total equals parts 2",
        "Rows read of customers in 2 nights",
        "Rows read of orders in 2 nights",
        "2 figures of earlier days changed, by night and table",
    }


def test_links_lead_to_reports_and_to_airflow(page: Page) -> None:
    row = _panel(page, "Latest runs").locator("tbody tr", has_text="Stopped")
    expect(row.get_by_role("link", name="in Airflow")).to_have_attribute(
        "href", f"{page.url.partition('/stocktake')[0]}/dags/nightly/runs/{FAILED}"
    )
    row.get_by_role("link", name="2026-11-21").click()
    expect(page.locator("dd", has_text=FAILED)).to_be_visible()


def test_viewers_see_no_rows_and_start_nothing(page: Page) -> None:
    quarantine = _panel(page, "In quarantine now")
    quarantine.get_by_role("button", name="Rows of orders that break status_known").click()
    expect(quarantine).to_contain_text("Rows hold personal data: only operators see them.")
    assert set(page.get_by_role("button").all_inner_texts()) <= {"Rows", "Copy"}
    expect(page.get_by_text("is for operators, who may trigger nightly.")).to_be_visible()


def test_who_operates_no_more_is_refused_in_words(airflow: httpx.Client, page: Page) -> None:
    log_in(page, airflow, "operator")
    page.reload()
    wait(page)
    log_in(page, airflow, "viewer")
    quarantine = _panel(page, "In quarantine now")
    quarantine.get_by_role("button", name="Replay the quarantine …").click()
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(quarantine).to_contain_text("Only operators may start it.")


@pytest.mark.parametrize("page", ["operator"], indirect=True)
def test_operators_see_the_rows_and_are_asked_before_anything_starts(page: Page) -> None:
    quarantine = _panel(page, "In quarantine now")
    button = quarantine.get_by_role("button", name="Rows of orders that break status_known")
    button.focus()
    page.keyboard.press("Enter")
    expect(quarantine.locator(".held .row")).to_have_count(1)
    expect(quarantine.locator(".held")).to_contain_text("7001")
    publications = _panel(page, "Publications")
    publications.get_by_role("button", name="Put back publication 1").click()
    expect(page.get_by_role("dialog")).to_contain_text("Put back the night of 2026-11-20?")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(publications.locator("[role=status]")).to_have_text("")
    publications.get_by_role("button", name="Put back publication 1").click()
    page.get_by_role("button", name="Put back", exact=True).click()
    # Airflow answers, which has no DAG here.
    expect(publications.locator("[role=status]")).to_contain_text("'republish'")


@pytest.mark.parametrize("page", ["operator"], indirect=True)
def test_a_day_is_explained_with_a_reason(page: Page) -> None:
    unusual = _panel(page, "Unusual days")
    sent: list[Any] = []
    page.on("request", lambda asked: sent.append(asked.post_data_json) if asked.method == "POST" else None)
    unusual.get_by_role("button", name="Explain orders, money EUR, of 2026-11-21").click()
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()  # without a reason nothing is sent
    page.get_by_label("Reason").fill("Black Friday")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(unusual.locator("[role=status]")).to_contain_text("'explain_day'")  # which is not in this Airflow
    told = {"date": "2026-11-21", "source": "orders", "measure": "money EUR", "reason": "Black Friday"}
    assert sent == [{"logical_date": None, "conf": told}]


@pytest.mark.parametrize("page", ["operator"], indirect=True)
@pytest.mark.parametrize(
    ("state", "words"),
    [("success", "It is done: in Airflow."), ("failed", "It failed; the log of its red task")],
)
def test_it_is_said_how_what_was_started_ended(page: Page, state: str, words: str) -> None:
    states = iter(["queued", "running", state])

    def airflow_answers(route: Route) -> None:  # as it does where it has the DAG
        route.fulfill(json={"dag_run_id": "manual__1", "state": next(states)})

    page.route("**/api/v2/dags/explain_day/dagRuns**", airflow_answers)
    unusual = _panel(page, "Unusual days")
    unusual.get_by_role("button", name="Explain orders, money EUR, of 2026-11-21").click()
    page.get_by_role("textbox", name="Reason").fill("Black Friday")
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(unusual.locator("[role=status]")).to_contain_text("It is running")
    expect(unusual.locator("[role=status]")).to_contain_text(words)
    link = unusual.locator("[role=status]").get_by_role("link", name="in Airflow")
    expect(link).to_have_attribute("href", re.compile("/dags/explain_day/runs/manual__1$"))
    page.unroute_all()
    page.get_by_role("button", name="Show what is new").click()
    expect(unusual.get_by_role("button", name="Explain orders, money EUR, of 2026-11-21")).to_be_visible()


def test_a_report_shows_values_in_quarantine_to_operators_alone(airflow: httpx.Client) -> None:
    texts = {}
    for user in ("viewer", "operator"):
        with logged_in(airflow, user) as client:
            texts[user] = client.get(f"/stocktake/runs/{SECOND}").text
    for text in texts.values():
        assert '<strong class="key">7001</strong>' in text
    assert "&lt;script&gt;alert(1)" in texts["operator"]
    assert "&lt;script&gt;alert(1)" not in texts["viewer"]
    assert "The values of rows are for operators" in texts["viewer"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_and_a_phone_shows_all(
    page: Page, scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    must_be_readable(page, scheme, tmp_path / f"phone-{scheme}.png")
