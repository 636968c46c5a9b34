"""A person's browser: headless Chromium."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
_PATIENCE_MS = 60_000.0  # of a machine that runs a night beside it


@contextmanager
def blank_page(width: int = 1280, height: int = 1000) -> Iterator[Page]:
    """An empty page, of a person who is logged in nowhere."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(_PATIENCE_MS)
        expect.set_options(timeout=_PATIENCE_MS)
        yield page
        browser.close()


@contextmanager
def logged_in(url: str, password: str) -> Iterator[Page]:
    """The page of the DAG ``nightly``, of an Airflow at ``url``, after a login as admin through the form."""
    with blank_page() as page:
        page.goto(f"{url}/dags/nightly")
        expect(page).to_have_url(re.compile("/auth/login"))
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{url}/dags/nightly")
        yield page


def ask_for(page: Page, day: str, picture: Path) -> None:
    """Fill in the form's date, take a picture and send it off."""
    page.get_by_role("button", name="Trigger").first.click()
    page.locator("#element_date").fill(day)
    page.screenshot(path=picture)
    page.get_by_test_id("trigger-dag-submit").click()
