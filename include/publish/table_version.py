"""A version of a table that is to be published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from include.contract import Table
from include.contract.types import day_number
from include.lake.rows import rows as stored_rows

STAGING = "staging"
# Of a staging table: a vacuum that has begun on it would hold up its removal for deadlock_timeout, a second.
UNVACUUMED = "with (autovacuum_enabled = false)"


@dataclass(frozen=True)
class TableVersion:
    """A version of a table that is to be published.

    Attributes:
        table: the declaration, with its key types resolved.
        version: its version in the lake.
        slices: for a table of slices, those to publish: by the night that wrote a slice, the version that holds it;
            None if the slice is to be deleted.
        null_columns: columns that are null in it, even if declared never null: the version is older than they are.
    """

    table: Table
    version: int
    slices: Mapping[date, int | None] = field(default_factory=dict)
    null_columns: frozenset[str] = frozenset()

    @property
    def window(self) -> list[date] | None:
        """The values of the rebuild column that are published; None if all rows are."""
        rebuild = self.table.rebuild
        return [rebuild.slice_of(night) for night in self.slices] if rebuild.kind == "as_of" else None

    def selects(self, more: str = "") -> list[str]:
        """DuckDB statements that select the rows to publish, as Postgres holds them: one, or one per slice.

        Args:
            more: what follows the relation of all rows, to select some of them.
        """
        table, rebuild = self.table, self.table.rebuild
        wanted: list[tuple[int | None, str]] = [(self.version, more)]
        if self.window is not None:
            wanted = [
                (version, f" where {rebuild.column} = {day_number(day)}{more}")
                for day, version in zip(self.window, self.slices.values(), strict=True)
            ]
        values = ", ".join(f"{column.to_warehouse_sql()} as {column.name}" for column in table.columns)
        return [
            f"select {values} from {stored_rows(table.schema, table.name, table.lake_columns, version)}{some}"
            for version, some in wanted
            if version is not None
        ]

    @property
    def staged(self) -> str:
        """Its staging table."""
        return f"{STAGING}.{self.table.schema}_{self.table.name}"

    @property
    def staged_keys(self) -> str:
        """The staging table of the keys to replace, if not all rows are replaced."""
        return f"{STAGING}.keys_{self.table.schema}_{self.table.name}"
