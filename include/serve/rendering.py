"""The templates of the pages, and how they write numbers, money, instants and values."""

from __future__ import annotations

import json
import re
import shlex
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
from markupsafe import Markup, escape

from include.contract.currency import written
from include.ledger.redaction import redacted
from include.serve import airflow_of, shop_shown
from include.settings import settings
from include.settings.shops import dag_id_of
from include.sources import SOURCES

_TEMPLATES = Path(__file__).with_name("templates")
_CODE = re.compile(r"(`+)(.+?)\1")
VALUE_LENGTH = 300  # characters of one value of a sample row
NO_BREAK = "\N{NO-BREAK SPACE}"


def template(name: str, **values: Any) -> str:
    """A page of a template, with its values; what is not given is an error."""
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
        "marked": _marked,
        "literal": repr,
        "quoted": shlex.quote,
        "in_path": lambda text: quote(text, safe=""),
    }
    # What every page knows of its shop: where Airflow is from it, its zone, and its name where there are several.
    environment.globals["timezone"] = lambda: settings().timezone
    environment.globals["airflow"] = airflow_of
    environment.globals["shop"] = shop_shown
    environment.globals["dag_id"] = dag_id_of
    return environment


def _marked(text: str) -> Markup:
    """A text of a declaration: names that stand in backticks there are code."""
    parts = _CODE.split(text)  # text, backticks, name, text, …
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 3 == 2 else escape(part)
        for place, part in enumerate(parts)
        if place % 3 != 1
    )


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
