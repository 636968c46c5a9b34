"""The values of columns as requests write them and as answers give them: exact, each by its column's type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

from include.contract import Column, Type

# Python's own readers take more than the answers show: 1_000, 20261101, 2026-W45-1.
_WHOLE: Final = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_EXACT: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_FLOATING: Final = re.compile(_EXACT.pattern + r"(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONTH: Final = re.compile(r"\d{4}-\d{2}(-01)?", re.ASCII)
_INSTANT: Final = re.compile(_DAY.pattern + r"[T ]\d{2}:.*", re.ASCII | re.IGNORECASE)
_DIGITS: Final = 18  # of Postgres, before the point and after it
_SMALLEST: Final = Decimal(1).scaleb(-_DIGITS)
_WIDE: Final = Context(prec=4 * _DIGITS)  # the usual one rounds at 28 digits


def parsed(column: Column, text: str) -> Any:
    """A value of a column. A text is taken as it is, with the spaces around it.

    Args:
        column: the column.
        text: how a request writes the value.

    Raises:
        ValueError: saying what is expected instead.
    """
    parse, expected = _PARSERS[column.type]
    try:
        return parse(text)
    except (ValueError, InvalidOperation, OverflowError):
        raise ValueError(f"{column.name} is {expected}") from None


def shown(column: Column, value: Any) -> Any:
    """A value of a published row in JSON: an amount or another exact decimal is a text, and so is a day."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return f"{value:%Y-%m}" if column.type is Type.MONTH else value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value if isinstance(value, dict | list) else str(value)


def _of_form(form: re.Pattern[str], text: str) -> str:
    return text if form.fullmatch(text) else _refused(text)


def _refused(text: str) -> Any:
    raise ValueError(text)


def _integer(text: str) -> int:
    found = int(_of_form(_WHOLE, text))
    return found if -(2**63) <= found < 2**63 else _refused(text)


def _text(text: str) -> str:
    text.encode()  # fails for half a character, as JSON can write it
    return text if "\0" not in text else _refused(text)  # Postgres has no such text


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else _refused(text)


def _decimal(text: str) -> Decimal:
    found = Decimal(_of_form(_EXACT, text))
    if abs(found) >= 10**_DIGITS:
        raise ValueError(text)
    exact = found.quantize(_SMALLEST, context=_WIDE)
    return exact if exact == found else _refused(text)


def _ratio(text: str) -> float:
    found = float(_of_form(_FLOATING, text))
    return found if math.isfinite(found) else _refused(text)


def _day(text: str) -> date:
    return date.fromisoformat(_of_form(_DAY, text))


def _month(text: str) -> date:
    return date.fromisoformat(f"{_of_form(_MONTH, text)[:7]}-01")


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(_of_form(_INSTANT, text))
    return found if found.tzinfo is not None else _refused(text)


_PARSERS: dict[Type, tuple[Callable[[str], Any], str]] = {
    Type.INTEGER: (_integer, "a whole number"),
    Type.TEXT: (_text, "a text"),
    Type.UUID: (UUID, "a UUID"),
    Type.BOOLEAN: (_boolean, "true or false"),
    Type.JSON: (_refused, "only filtered by is null and is not null"),
    Type.CENTS: (_decimal, "an amount, as 12.50"),
    Type.UNITS: (_decimal, "a number of units"),
    Type.DAY: (_day, "a day, as 2026-11-01"),
    Type.MONTH: (_month, "a month, as 2026-11"),
    Type.AT: (_instant, "an instant with its zone, as 2026-11-01T06:30:00Z"),
    Type.RATIO: (_ratio, "a number, as 0.25"),
}
