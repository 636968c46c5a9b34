"""The report pages as HTML: each one file that needs no other, on a phone, in the dark and on paper too."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.ledger.entries import Run
from include.ledger.redaction import redacted
from include.reports_api import figures
from include.reports_api.verdict import Mood, Verdict, verdict
from include.settings import settings

_TEMPLATES = Path(__file__).with_name("templates")
VALUE_LENGTH = 300  # characters of one value of a sample row


def write(run: Run) -> Path:
    """Write the report of a run whose last task this is.

    Returns:
        Where it is: one folder per run, so that running it again replaces its page.

    Raises:
        KeyError: when the ledger has no such run.
        ConnectionError: when the warehouse cannot be reached.
    """
    page = settings().reports / run.slug / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    # Whoever opens the page meanwhile sees the old one or the new one, whole.
    unfinished = page.with_suffix(f".{os.getpid()}")
    unfinished.write_text(_night(run.run_id, last_task=True), encoding="utf-8")
    return unfinished.replace(page)


def render(run_id: str, home: str | None = None) -> str:
    """The report of a run as it stands now.

    Args:
        run_id: the run.
        home: where the list of runs is, for a page that is served; None for one that stands alone.

    Raises:
        KeyError: when the ledger has no such run.
        ConnectionError: when the warehouse cannot be reached.
    """
    return _night(run_id, home=home)


def render_runs(home: str) -> str:
    """The list of the latest runs with their verdicts.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    return _template("runs.html.j2", runs=[(run, verdict(run)) for run in figures.runs()], home=home)


def render_status(home: str) -> str:
    """``reporting.data_status``: how far each table goes and whether to trust it.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    return _template("status.html.j2", tables=figures.status(), home=home)


def render_message(word: str, sentence: str, home: str) -> str:
    """A page that says why there is no other."""
    return _template("message.html.j2", verdict=Verdict(Mood.BAD, word, sentence), home=home)


def _night(run_id: str, home: str | None = None, *, last_task: bool = False) -> str:
    night = figures.night(run_id)
    return _template("night.html.j2", night=night, verdict=verdict(night.run, last_task=last_task), home=home)


def _template(name: str, **values: Any) -> str:
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "money": _money,
        "instant": _instant,
        "value": _value,
        "redacted": redacted,
        "in_path": lambda text: quote(text, safe=""),
    }
    return environment


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _money(amounts: Mapping[str, Decimal | str]) -> str:
    """Amounts side by side, never added up: ``1,234.50 EUR · 7.00 USD``."""
    return " · ".join(f"{Decimal(amount):,.2f} {currency}" for currency, amount in sorted(amounts.items())) or "–"


def _instant(value: datetime | None) -> str:
    if value is None:
        return "–"
    return f"{value.astimezone(ZoneInfo(settings().timezone)):%Y-%m-%d %H:%M:%S %Z}"


def _value(value: object) -> str:
    """A value of a row in quarantine, cut where it would fill the page."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= VALUE_LENGTH else f"{text[:VALUE_LENGTH]}…"
