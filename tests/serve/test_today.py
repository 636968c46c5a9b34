"""The dashboard in a real browser: what it shows is what the API answers, and it can be read by anyone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import CHROMIUM
from tests.conftest import Database, Done
from tests.nights import LAST_DAY
from tests.serve.a_night import published_night
from tests.serve.conftest import token_of
from tests.serve.pages import log_in, marks, must_be_readable, wait, watched

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def warehouse(night_done: Callable[[tuple[str, ...]], Done]) -> Iterator[Database]:
    """What a night published."""
    with published_night(night_done) as database:
        yield database


@pytest.fixture
def page(airflow: httpx.Client, browser: Page) -> Iterator[Page]:
    """The dashboard, whole, of a viewer."""
    origin = log_in(browser, airflow)
    with watched(browser, origin):
        browser.goto(f"{origin}/stocktake/")
        _wait(browser)
        yield browser
    browser.context.clear_cookies()


def _wait(page: Page) -> None:
    """Wait until every figure is there."""
    expect(page.locator(".panel").first).to_be_visible()
    wait(page)


def _figure(viewer: httpx.Client, name: str, **parameters: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = viewer.get(f"/stocktake/api/v1/metrics/{name}", params=parameters).json()["rows"]
    return rows


def _card(page: Page, title: str) -> Locator:
    return page.locator(".card", has=page.get_by_role("heading", name=title, exact=True))


def _panel(page: Page, title: str) -> Locator:
    return page.locator(".panel", has=page.get_by_role("heading", name=title, exact=True))


def _in_cents(amount: str) -> str:
    """An amount as it is shown: half a cent, which a median may have, goes up."""
    return f"{Decimal(amount).quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


def test_yesterday_is_what_the_api_answers_and_every_chart_is_drawn(
    page: Page, viewer: httpx.Client, tmp_path: Path
) -> None:
    page.screenshot(path=tmp_path / "today.png", full_page=True)
    expect(page.locator(".of-day")).to_have_text(f"{LAST_DAY:%A}, {LAST_DAY}")
    row = _figure(viewer, "net_sales", currency="EUR", **{"from": str(LAST_DAY)})[0]
    sales = _card(page, "Net sales")
    expect(sales.locator(".value")).to_have_text(f"EUR {_in_cents(row['net_sales'])}")
    usual = f"usual on a {LAST_DAY:%A}: EUR {_in_cents(row['weekday_median'])}"
    expect(sales).to_contain_text(usual)
    orders = _figure(viewer, "orders", currency="EUR", **{"from": str(LAST_DAY)})[0]
    expect(_card(page, "Orders").locator(".value")).to_have_text(f"{orders['orders']:,}")
    shelves = _figure(viewer, "stockouts", currency="EUR", **{"from": str(LAST_DAY)})[0]
    expect(_card(page, "Empty shelves").locator(".value")).to_have_text(f"{shelves['shelves']:,}")

    assert page.locator(".bad").count() == 0
    panels = page.locator(".panel")
    assert panels.count() == 12
    for number in range(panels.count()):
        panel = panels.nth(number)
        drawn = panel.locator("svg .mark-group [aria-roledescription], svg path").count()
        assert drawn or panel.locator("tbody tr").count() or "There is none" in panel.inner_text(), panel.inner_text()
        expect(panel.locator("summary")).to_have_text("SQL")
        assert "`" not in (panel.locator("details p").text_content() or "`")
    assert not [said for said in marks(page) if re.search(r"\b\d{12}", said)], "no instant as a number"
    for picture in page.locator("[role=graphics-document]").all():
        assert len(picture.get_attribute("aria-label") or "") > 20

    best = _figure(viewer, "top_products", currency="EUR", to=str(LAST_DAY))
    rows = _panel(page, "Top products, EUR").locator("tbody tr")
    assert [row.locator("th").inner_text() for row in rows.all()] == [one["name"] for one in best]
    assert rows.first.locator("td").first.inner_text() == _in_cents(best[0]["net_sales"])


def test_what_to_order_adds_up_and_all_of_it_is_a_click_away(page: Page, viewer: httpx.Client) -> None:
    greatest = _figure(viewer, "suggested_orders", to=str(LAST_DAY))[0]
    wanted = greatest["available"] + greatest["on_order_units"] + greatest["suggested_order"]
    why = _panel(page, "What to order, and why").locator("tbody tr").first.locator("td").last
    expect(why).to_contain_text(f"{wanted:,} wanted, {greatest['available']:,} there")
    page.get_by_role("link", name="All in Explore").click()
    wait(page)
    order = ("product_id", "warehouse_id", "suggested_order")
    rows = viewer.get(
        "/stocktake/api/v1/tables/reporting.inventory_health/rows",
        params={
            "columns": ",".join(order),
            "filter": [f"night={LAST_DAY}", "suggested_order>0"],
            "sort": "-suggested_order",
        },
    ).json()["rows"]
    names = page.locator("#grid thead th").evaluate_all("all => all.map(one => one.dataset.column)")
    shown = page.locator("#grid tbody tr").first.locator("td")
    assert [shown.nth(names.index(name)).inner_text() for name in order] == [str(rows[0][name]) for name in order]
    assert page.locator("#grid tbody tr").count() == len(rows)


def test_an_unusual_figure_stands_beside_the_verdict_until_it_is_explained(page: Page, warehouse: Database) -> None:
    with warehouse.connect("loader") as loader:
        loader.execute(
            """
            insert into audit.anomalies (
                run_id, day, source, measure, kind, value, usual, low, high, excess, sentence, asks, rows_behind,
                examples, rows_sql
            )
            select run_id, night, 'orders', 'rows', 'count', 5, 40, 20, 60, 15, 'rows 5, expected 20 to 60', false,
                5, '{}', ''
            from audit.runs where kind = 'night'
            """
        )
    page.reload()
    _wait(page)
    expect(page.locator(".verdict")).to_contain_text("Unusual: rows 5, expected 20 to 60.")
    with warehouse.connect("loader") as loader:
        loader.execute(
            """
            insert into audit.explanations (day, source, measure, lasting, reason, explained_by)
            select night, null, null, false, 'a strike', 'admin' from audit.runs where kind = 'night'
            """
        )
    page.reload()
    _wait(page)
    expect(page.locator(".verdict")).not_to_contain_text("Unusual")


def test_another_currency_and_more_days_are_shown_when_they_are_chosen(page: Page, viewer: httpx.Client) -> None:
    currencies = {row["currency"] for row in _figure(viewer, "net_sales")}
    choice = page.get_by_label("Currency")
    assert set(choice.locator("option").all_inner_texts()) == currencies
    assert choice.input_value() == "EUR"
    choice.select_option("JPY")
    _wait(page)
    best = _figure(viewer, "top_products", currency="JPY", to=str(LAST_DAY))[0]
    amount = _panel(page, "Top products, JPY").locator("tbody tr td").first
    expect(amount).to_have_text(f"{float(best['net_sales']):,.0f}")  # yen have no decimals
    page.get_by_label("Days of the charts").select_option("90")
    _wait(page)
    since = LAST_DAY - timedelta(days=89)
    sales = [float(row["net_sales"]) for row in _figure(viewer, "net_sales", currency="JPY", **{"from": str(since)})]
    expect(_panel(page, "Net sales by day").locator("[role=graphics-document]")).to_have_attribute(
        "aria-label", f"Net sales of {len(sales)} days, JPY\N{NO-BREAK SPACE}{sum(sales):,.0f} in all"
    )


def test_the_sql_is_reached_by_keyboard_and_runs_as_it_stands(page: Page, warehouse: Database) -> None:
    panel = _panel(page, "Customers by segment")
    panel.locator("summary").focus()
    page.keyboard.press("Enter")
    sql = panel.locator("pre").inner_text()
    with warehouse.connect("analyst") as analyst:
        assert analyst.execute(sql.encode()).fetchall()
    panel.get_by_role("button", name="Copy").focus()
    page.keyboard.press("Enter")
    expect(panel.get_by_role("button", name="Copied").or_(panel.get_by_role("button", name="Selected"))).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_and_a_phone_shows_all(page: Page, scheme: Any, tmp_path: Path) -> None:
    must_be_readable(page, scheme, tmp_path / f"phone-{scheme}.png")


def test_a_figure_that_is_not_there_says_why_and_can_be_tried_again(
    airflow: httpx.Client, browser: Page, warehouse: Database
) -> None:
    origin = log_in(browser, airflow)
    browser.goto(f"{origin}/stocktake/")
    _wait(browser)
    segments = _panel(browser, "Customers by segment")
    with warehouse.connect("loader") as owner:
        owner.execute("revoke select on reporting.customer_rfm from analyst")
        owner.commit()
        browser.get_by_label("Currency").select_option("USD")  # of which no answer is kept
        _wait(browser)
        expect(segments).to_contain_text("nothing is published yet that the analyst may read")
        assert browser.locator(".panel svg").count() > 5  # the others are there
        owner.execute("grant select on reporting.customer_rfm to analyst")
        owner.commit()
    browser.context.clear_cookies()
    browser.get_by_label("Currency").select_option("KWD")
    _wait(browser)
    expect(segments).to_contain_text("You are not logged in any more")
    log_in(browser, airflow)
    segments.get_by_role("button", name="Try again").click()
    expect(segments.locator("svg")).to_be_visible()


def test_before_the_first_night_it_says_what_to_do(tmp_path: Path, warehouse_database: Database) -> None:
    from tests.serve.conftest import airflow_of

    with airflow_of(warehouse_database, tmp_path) as visitor:
        answer = visitor.get("/stocktake/", headers={"Cookie": f"_token={token_of(visitor, 'viewer')}"})
    assert answer.status_code == 200
    assert "No night has begun yet" in answer.text
    assert "<script" not in answer.text
