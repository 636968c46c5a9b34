"""What a person does with the pages, in a real browser: logging in, waiting for figures, reading in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
from playwright.sync_api import Page, expect

from tests.serve.conftest import token_of

READABLE = 4.5  # WCAG 2.2, 1.4.3, of a text and what is behind it
PHONE = 390  # pixels
SENTENCE = 200  # pixels

# Texts of charts have their colour in `fill`.
_CONTRASTS = """
() => {
  const parsed = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const filled = (node) => {
    const box = node instanceof SVGTextElement && node.parentElement.querySelector(":scope > rect");
    return parsed(box ? getComputedStyle(box).fill : getComputedStyle(node).backgroundColor);
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const found = filled(node);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !node.getClientRects().length || node.closest("script, noscript")) continue;
    const style = getComputedStyle(node);
    const ink = parsed(node instanceof SVGElement ? style.fill : style.color);
    const [one, other] = [light(ink), light(behind(node))].sort((a, b) => b - a);
    found.push([(one + 0.05) / (other + 0.05), texts.currentNode.data.trim()]);
  }
  return found;
}
"""


def log_in(browser: Page, airflow: httpx.Client, user: str = "viewer") -> str:
    """Log in, and say where Airflow is."""
    origin = str(airflow.base_url).rstrip("/")
    browser.context.clear_cookies()
    browser.context.add_cookies([{"name": "_token", "value": token_of(airflow, user), "url": origin}])
    return origin


def wait(page: Page) -> None:
    """Wait until everything that was asked for is there."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def marks(page: Page) -> list[str]:
    """What each bar and point of the charts says of itself; its tooltip has the same."""
    return [mark.get_attribute("aria-label") or "" for mark in page.locator("[role=graphics-symbol]").all()]


@contextmanager
def watched(browser: Page, origin: str, expected: tuple[str, ...] = ()) -> Iterator[Page]:
    """A page that does nothing wrong and asks nobody but Airflow.

    Args:
        browser: the page.
        origin: where Airflow is.
        expected: what the console may say, as a part of it.
    """
    wrong: list[str] = []
    elsewhere: list[str] = []
    browser.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    browser.on("pageerror", lambda error: wrong.append(str(error)))
    browser.on("request", lambda asked: elsewhere.append(asked.url) if not asked.url.startswith(origin) else None)
    try:
        yield browser
        assert not elsewhere, elsewhere
        unexpected = [one for one in wrong if not any(part in one for part in expected)]
        assert not unexpected, unexpected
    finally:
        browser.goto("about:blank")  # else what it still asks for is answered 401 while the next test logs in


def must_be_readable(page: Page, scheme: Literal["light", "dark"], picture: Path) -> None:
    """On a phone everything is shown within its width, and every text stands out from what is behind it."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": PHONE, "height": 844})
    page.reload()
    wait(page)
    page.screenshot(path=picture, full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    widths = page.locator("td.text").evaluate_all("cells => cells.map(cell => cell.clientWidth)")
    assert min(widths, default=SENTENCE) >= SENTENCE, "a sentence is broken at every word"
    faint = [(round(ratio, 2), text) for ratio, text in page.evaluate(_CONTRASTS) if ratio < READABLE]
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.emulate_media(color_scheme="light")
    assert not faint, faint
