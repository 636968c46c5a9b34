"""Whether the text of a shop's .sql file says anything."""

from __future__ import annotations

import re
from typing import Final

from include.contract.source import Source

_LINE_OR_OPENING: Final = re.compile(r"--[^\n]*|/\*")
_MARK: Final = re.compile(r"/\*|\*/")


def has_statement(text: str) -> bool:
    """Whether there is more than comments in it."""
    said, at = [], 0
    while found := _LINE_OR_OPENING.search(text, at):
        said.append(text[at : found.start()])
        at, depth = found.end(), int(found[0] == "/*")
        while depth:  # Postgres nests them
            mark = _MARK.search(text, at)
            at, depth = (mark.end(), depth + (1 if mark[0] == "/*" else -1)) if mark else (len(text), 0)
    return bool(" ".join([*said, text[at:]]).strip(" \n\t\r;"))


def is_left_out(source: Source, text: str | None) -> bool:
    """Whether a shop has not a source.

    An optional one whose file has nothing but comments is left out, as without the file. Any other must have a
    statement: such a file is a mistake, which is said before anything is read.

    Args:
        source: the source.
        text: of its file; None where there is none.
    """
    return text is None or (source.optional and not has_statement(text))
