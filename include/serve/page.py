"""The report pages as HTML: each is a single file that also works on phones, in dark mode and on paper."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.contract.currency import written
from include.ledger.redaction import redacted
from include.ledger.runs import Run
from include.serve import figures
from include.serve.verdict import Mood, Verdict, verdict
from include.settings import settings
from include.sources import SOURCES

_TEMPLATES = Path(__file__).with_name("templates")
VALUE_LENGTH = 300  # characters of one value of a sample row
NO_BREAK = "\N{NO-BREAK SPACE}"


def write(run: Run) -> Path:
    """Write the report of a run, from its last task.

    Returns:
        The path of the page. There is one folder per run, so running it again replaces its page.

    Raises:
        KeyError: when the ledger has no such run.
        ConnectionError: when the warehouse cannot be reached.
    """
    page = settings().reports / run.slug / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    # Meanwhile a reader sees the complete old page or the complete new one.
    unfinished = page.with_suffix(f".{os.getpid()}")
    unfinished.write_text(_night(run.run_id, last_task=True), encoding="utf-8")
    return unfinished.replace(page)


def render(run_id: str, home: str | None = None) -> str:
    """The report of a run at this moment.

    Args:
        run_id: the run.
        home: the path of the list of runs, for a page that is served; None for one in a file.

    Raises:
        KeyError: when the ledger has no such run.
        ConnectionError: when the warehouse cannot be reached.
    """
    return _night(run_id, home=home)


def render_today(home: str) -> str:
    """The dashboard: the verdict of the last night, and the places of the figures, which a script fills.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    run, held, at_stake = figures.last_night()
    return _template(
        "today.html.j2", run=run, verdict=verdict(run) if run else None, held=held, at_stake=at_stake, home=home
    )


def render_runs(home: str) -> str:
    """The list of the latest runs with their verdicts.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    return _template("runs.html.j2", runs=[(run, verdict(run)) for run in figures.runs()], home=home)


def render_status(home: str) -> str:
    """``reporting.data_status``: the data-through date and verdict of each table.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    return _template("status.html.j2", tables=figures.status(), home=home)


def render_message(word: str, sentence: str, home: str) -> str:
    """A page with a message, shown instead of a page that cannot be shown."""
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
        "cells": _cells,
        "in_path": lambda text: quote(text, safe=""),
    }
    return environment


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _money(amounts: Mapping[str, Decimal | str]) -> str:
    """Amounts by currency, never added up: ``1,234.50 EUR · 7.00 USD``; a currency may be unknown."""
    listed = [
        f"{written(Decimal(amount), currency)} {'of no currency' if currency == '?' else currency}".replace(
            " ", NO_BREAK
        )
        for currency, amount in sorted(amounts.items())
    ]
    return " · ".join(listed) or "–"


def _instant(value: datetime | None) -> str:
    if value is None:
        return "–"
    return f"{value.astimezone(ZoneInfo(settings().timezone)):%Y-%m-%d %H:%M:%S %Z}"


def _value(value: object) -> str:
    """A value of a row in quarantine, cut to ``VALUE_LENGTH``."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= VALUE_LENGTH else f"{text[:VALUE_LENGTH]}…"


@dataclass(frozen=True)
class Cell:
    """A value of a row in quarantine; ``suspect`` if a rule that the row broke reads it."""

    column: str
    content: object
    suspect: bool


def _cells(row: Mapping[str, Any]) -> list[Cell]:
    """A row's values in the order of its contract; columns that are not in the contract come last."""
    values = dict(row["row_values"])
    if values.get("_unreadable") is None:
        values.pop("_unreadable", None)
    source = SOURCES.get(row["source"])
    known = [column.lake_name for column in source.columns] if source else []
    suspects = source.read_by(row["rules"]) if source else set()
    ordered = [*(name for name in known if name in values), *sorted(set(values) - set(known))]
    return [Cell(name, values[name], name in suspects) for name in ordered]
