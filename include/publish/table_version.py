"""What waits to be published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from include.contract import Table

STAGING = "staging"


@dataclass(frozen=True)
class TableVersion:
    """A table that waits to be published.

    Attributes:
        table: what it is, with its key types resolved.
        version: its version in the lake.
        slices: of a table of slices, those that are published: by the night that wrote one, the version that holds it;
            None where it is to be gone.
        null_columns: the columns that are null in it, whatever they are declared to be: it is older than they are.
    """

    table: Table
    version: int
    slices: Mapping[date, int | None] = field(default_factory=dict)
    null_columns: frozenset[str] = frozenset()

    @property
    def window(self) -> list[date] | None:
        """The values of the rebuild column that are published; None: all rows are."""
        rebuild = self.table.rebuild
        return [rebuild.slice_of(night) for night in self.slices] if rebuild.kind == "as_of" else None

    @property
    def staged(self) -> str:
        """Its staging table."""
        return f"{STAGING}.{self.table.schema}_{self.table.name}"

    @property
    def staged_keys(self) -> str:
        """The staging table of the keys to replace, where these are not all."""
        return f"{STAGING}.keys_{self.table.schema}_{self.table.name}"
