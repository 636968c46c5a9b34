"""The select list of a shop's statement, read as text: on which line a column stands, and what it is made of.

It serves messages, which name a line, and finds ``:changed_since``. What a column is comes from Postgres, never from
here. Comments and quoted texts are blanked first, so that nothing in them counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_QUOTED = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_WORD = re.compile(r'"(?:[^"]|"")+"|\w+')
_ENDS = re.compile(r"\b(from|where|group|having|window|union|intersect|except|order|limit|offset|fetch|for)\b", re.I)
_ALIAS = re.compile(r'\s+as\s+("(?:[^"]|"")+"|\w+)\s*$', re.I)


@dataclass(frozen=True)
class Item:
    """One entry of a select list.

    Attributes:
        line: the line of the file on which it ends, where its name stands; the first is 1.
        expression: what stands before ``as``, in one line, without comments.
        name: its name; empty where the text does not say (``*``).
    """

    line: int
    expression: str
    name: str

    @property
    def is_null(self) -> bool:
        """Whether it is a null of no type."""
        return self.expression.lower() == "null"


def blanked(text: str) -> str:
    """The text with comments as spaces and quoted texts as ``'xxx'``: as long as before, with the same lines."""

    def blank(found: re.Match[str]) -> str:
        quoted = found[0]
        if quoted.startswith(("--", "/*")):
            return re.sub(r"[^\n]", " ", quoted)
        return "'" + re.sub(r"[^\n]", "x", quoted[1:-1]) + "'"

    return _QUOTED.sub(blank, text)


def items(text: str) -> tuple[int, list[Item]]:
    """The entries of the outermost select list of a statement, and the line of its ``select``.

    Of a ``union`` it is the first select, which names the columns.
    """
    bare = blanked(text)
    depth = _depths(bare)
    start = _select(bare, depth)
    if start is None:
        return 1, []
    begin, end = start.end(), len(bare.rstrip().rstrip(";"))
    for one in _ENDS.finditer(bare, begin):
        is_comparison = one[0].lower() == "from" and re.search(r"\bdistinct\s+$", bare[: one.start()], re.I)
        if depth[one.start()] == 0 and not is_comparison:
            end = one.start()
            break
    found = [_item(text, bare, left, right) for left, right in _parts(bare, depth, begin, end)]
    return _line(text, start.start()), found


def with_first(text: str, entry: str) -> str:
    """The statement with one more entry, the first of its outermost select list; a ``union`` is then none any more."""
    bare = blanked(text)
    start = _select(bare, _depths(bare))
    return f"{text[: start.end()]} {entry},{text[start.end() :]}" if start else text


def _select(bare: str, depth: list[int]) -> re.Match[str] | None:
    """Where the outermost select of a statement begins."""
    return next((one for one in re.finditer(r"\bselect\b", bare, re.I) if depth[one.start()] == 0), None)


def _parts(bare: str, depth: list[int], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Where each entry begins and ends: between commas that are in no parentheses."""
    for at in range(begin, end):
        if bare[at] == "," and depth[at] == 0:
            yield begin, at
            begin = at + 1
    yield begin, end


def _item(text: str, bare: str, left: int, right: int) -> Item:
    entry = bare[left:right].rstrip()
    alias = _ALIAS.search(entry)
    own = text[left : left + (alias.start() if alias else len(entry))]
    comments = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
    expression = " ".join(comments.sub(" ", own).split())
    words = _WORD.findall(entry)
    name = alias[1] if alias else (words[-1] if words and not entry.endswith(("*", ")", "'")) else "")
    return Item(_line(text, left + len(entry)), expression, name.strip('"'))


def _depths(bare: str) -> list[int]:
    """For every character, how many parentheses are open before it."""
    found, depth = [], 0
    for character in bare:
        found.append(depth)
        depth += {"(": 1, ")": -1}.get(character, 0)
    return found


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
