"""The values of columns as requests write them and as answers give them: exact, each by its column's type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from include.contract import Column, Type

_MONTH = re.compile(r"\d{4}-\d{2}(-01)?")
_DIGITS = 18


def parsed(column: Column, text: str) -> Any:
    """A value of a column.

    Args:
        column: the column.
        text: how a request writes the value.

    Raises:
        ValueError: saying what is expected instead.
    """
    parse, expected = _PARSERS[column.type]
    try:
        return parse(text.strip())
    except (ValueError, InvalidOperation, OverflowError):
        raise ValueError(f"{column.name} is {expected}") from None


def shown(column: Column, value: Any) -> Any:
    """A value of a published row in JSON: an amount or another exact decimal is a text, and so is a day."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return f"{value:%Y-%m}" if column.type is Type.MONTH else value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value if isinstance(value, dict | list) else str(value)


def _integer(text: str) -> int:
    found = int(text)
    if not -(2**63) <= found < 2**63:
        raise ValueError(text)
    return found


def _text(text: str) -> str:
    if "\0" in text:  # Postgres has no such text
        raise ValueError(text)
    return text


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else _refused(text)


def _refused(text: str) -> Any:
    raise ValueError(text)


def _decimal(text: str) -> Decimal:
    found = Decimal(text)
    if not found.is_finite() or abs(found) >= 10**_DIGITS or found != round(found, _DIGITS):
        raise ValueError(text)
    return found


def _ratio(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(text)
    return found


def _month(text: str) -> date:
    if not _MONTH.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(f"{text[:7]}-01")


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


_PARSERS: dict[Type, tuple[Callable[[str], Any], str]] = {
    Type.INTEGER: (_integer, "a whole number"),
    Type.TEXT: (_text, "a text"),
    Type.UUID: (UUID, "a UUID"),
    Type.BOOLEAN: (_boolean, "true or false"),
    Type.JSON: (_refused, "only filtered by is null and is not null"),
    Type.CENTS: (_decimal, "an amount, as 12.50"),
    Type.UNITS: (_decimal, "a number of units"),
    Type.DAY: (date.fromisoformat, "a day, as 2026-11-01"),
    Type.MONTH: (_month, "a month, as 2026-11"),
    Type.AT: (_instant, "an instant with its zone, as 2026-11-01T06:30:00Z"),
    Type.RATIO: (_ratio, "a number, as 0.25"),
}
