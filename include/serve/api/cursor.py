"""Where a page ends: what a client hands back to get the next page of the same rows."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from include.serve.api.problems import wrong
from include.serve.api.query import Query
from include.serve.api.values import parsed, shown


@dataclass(frozen=True)
class Cursor:
    """The end of a page.

    Attributes:
        publication_id: the publication that the first page was of.
        after: the values by which the page's last row was ordered.
    """

    publication_id: int
    after: tuple[Any, ...]

    def written(self, query: Query) -> str:
        """As a client hands it back."""
        values = [
            None if value is None else str(shown(column, value))
            for (column, _), value in zip(query.order, self.after, strict=True)
        ]
        text = json.dumps([self.publication_id, query.digest, values], separators=(",", ":"))
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, query: Query, written: str) -> Cursor:
        """The end of the page before.

        Raises:
            Problem: when it is no cursor, or one of another question (422).
        """
        refused = wrong("cursor", written, "this is no cursor: take it from `next` of the page before")
        try:
            publication, digest, values = json.loads(urlsafe_b64decode(written + "=" * (-len(written) % 4)))
        except (ValueError, TypeError, RecursionError):
            raise refused from None
        if type(publication) is not int or not isinstance(digest, str) or not isinstance(values, list):
            raise refused
        if digest != query.digest:
            detail = "the cursor is of another table, or of other columns, filters or another order; keep all of them"
            raise wrong("cursor", written, detail)
        if not all(isinstance(value, str | None) for value in values):
            raise refused
        try:
            return cls(publication, _values(query, values))
        except ValueError:
            raise refused from None


def _values(query: Query, values: Sequence[str | None]) -> tuple[Any, ...]:
    return tuple(
        None if value is None else parsed(column, value) for (column, _), value in zip(query.order, values, strict=True)
    )
