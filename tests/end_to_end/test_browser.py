"""What a person sees in Airflow's own pages, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import CHROMIUM, ask_for, logged_in
from tests.end_to_end.conftest import ScheduledNight, Stack

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)")


@pytest.fixture
def page(stack: Stack, scheduled_night: ScheduledNight) -> Iterator[Page]:
    """The page of the DAG."""
    assert scheduled_night.state == "success"
    with logged_in(stack.url, stack.password) as page:
        yield page


def test_a_past_day_goes_green_and_has_its_report(
    stack: Stack, past: tuple[date, str], page: Page, tmp_path: Path
) -> None:
    day, run = past
    page.locator(f'a[href^="/dags/nightly/runs/{run}"]').first.click()
    title = page.get_by_role("heading", name=run)
    states = " or ".join(f".='{state}'" for state in ("Queued", "Running", "Success", "Failed"))
    expect(title.locator(f"xpath=ancestor::*[.//text()[{states}]][1]")).to_contain_text("Success")
    page.screenshot(path=tmp_path / "green.png")

    page.get_by_role("link", name="Night report").click()
    report = page.frame_locator("iframe")
    expect(report.get_by_role("heading", name=f"tables cover whole days up to {stack.last_closed_day}")).to_be_visible()
    expect(report.get_by_text(f"{day}", exact=True).first).to_be_visible()
    page.screenshot(path=tmp_path / "report.png")


def test_a_wrong_date_is_refused_in_the_form(stack: Stack, page: Page, tmp_path: Path) -> None:
    known = len(stack.runs())
    slip = "12026-11-22"  # the browser's own date field lets it through
    ask_for(page, slip, tmp_path / "form.png")
    message = page.get_by_role("dialog").get_by_text(f"Invalid input for param date: '{slip}' is not a 'date'")
    expect(message).to_be_visible()
    page.screenshot(path=tmp_path / "refused.png")
    assert len(stack.runs()) == known
