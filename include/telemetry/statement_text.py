"""A statement's text fit to be told: without its values, which may be a customer's data, a path or a password."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 4000  # characters; some statements name hundreds of files
# Where a text is a statement of its own: what DuckDB hands Postgres. By its words alone it might be a customer's.
_HANDED_ON: Final = re.compile(r"\bpostgres_(?:query|execute)\s*\(\s*'(?:''|[^'])*'\s*,\s*\Z", re.I)
_BEFORE: Final = 200  # characters in which that is said; a statement may have thousands of texts
# Comments first, for an apostrophe in one begins no text; then texts with their escapes, texts in dollars, numbers.
# A text that does not end is all that is left.
_VALUE: Final = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)"
    r"|(?P<escaped>\b[eE]'(?:\\.|''|[^'\\])*(?:'|\Z))"
    r"|(?P<text>'(?:''|[^'])*(?:'|\Z))"
    r"|(?P<name>\"(?:\"\"|[^\"])*\")"
    r"|(?P<dollars>\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z))"
    r"|(?P<number>(?<![\w.])\d[\w.]*)",
    re.DOTALL,
)
_LIST: Final = re.compile(r"'\?'(?:\s*,\s*'\?')+|\?(?:\s*,\s*\?)+")


def without_values(text: str) -> str:
    """The statement with ``?`` for every value, in one line; a list of values is one."""
    told = _LIST.sub("?, …", _VALUE.sub(_told, text))
    told = " ".join(told.split())
    return told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"


def operation(text: str) -> str:
    """What a statement does, as its span is called: its first word."""
    found = re.match(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*([A-Za-z]+)", text, re.DOTALL)
    return found[1].lower() if found else "statement"


def _told(value: re.Match[str]) -> str:
    if value["name"]:
        return value[0]
    if value["comment"]:
        return " "
    if value["text"] and _HANDED_ON.search(value.string, max(0, value.start() - _BEFORE), value.start()):
        inner = value[0][1:-1].replace("''", "'")
        return f"'{without_values(inner)}'"
    return "'?'" if value["text"] else "?"
