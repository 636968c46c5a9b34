"""What a person sees in Airflow's own pages, in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.end_to_end.conftest import ScheduledNight, Stack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)")


@pytest.fixture
def page(stack: Stack, scheduled_night: ScheduledNight) -> Iterator[Page]:
    """The page of the DAG, after a login through the form."""
    assert scheduled_night.state == "success"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(60_000)  # of a machine that runs a night beside it
        expect.set_options(timeout=60_000)
        page.goto(f"{stack.url}/dags/nightly")
        expect(page).to_have_url(re.compile("/auth/login"))
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(stack.password)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{stack.url}/dags/nightly")
        yield page
        browser.close()


def test_a_past_day_goes_green_and_has_its_report(stack: Stack, page: Page, tmp_path: Path) -> None:
    day = stack.last_closed_day - timedelta(days=90)
    known = {run["dag_run_id"] for run in stack.runs()}
    page.get_by_role("button", name="Trigger").first.click()
    page.locator("#element_date").fill(f"{day}")
    page.screenshot(path=tmp_path / "form.png")
    page.get_by_test_id("trigger-dag-submit").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    [run] = [run["dag_run_id"] for run in stack.runs() if run["dag_run_id"] not in known]

    page.locator(f'a[href^="/dags/nightly/runs/{run}"]').first.click()
    assert stack.ended(run) == "success"
    assert stack.features_of(run)["state"] == "success"
    page.reload()  # an open page's badge may lag behind by a minute
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
    page.get_by_role("button", name="Trigger").first.click()
    page.locator("#element_date").fill("12026-11-22")  # a slip that the browser's own date field lets through
    page.get_by_test_id("trigger-dag-submit").click()
    message = page.get_by_role("dialog").get_by_text("Invalid input for param date: '12026-11-22' is not a 'date'")
    expect(message).to_be_visible()
    page.screenshot(path=tmp_path / "refused.png")
    assert len(stack.runs()) == known
