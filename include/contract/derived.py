"""Derived, Lookup: what is computed of a row before the gate, and what it is computed from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from include.contract.rules import ContractError
from include.contract.table import Column

_OWN_COLUMN = re.compile(r"\brow\.(\w+)")  # in the SQL of a derived column


@dataclass(frozen=True)
class Lookup:
    """Figures of the rows that have to do with a row, of which several derived columns may be computed.

    Attributes:
        name: the alias that a derived column's SQL has for it: ``its_line.quantity`` is its figure ``quantity``.
        rows: where they are: a DuckDB FROM clause over the sources, with other aliases.
        on: the columns by which they have to do with the row, with the row's own: ``{"line.order_id": "order_id"}``.
        figures: aggregates over them, by name; each is null of no rows (``nullif(count(*), 0)``).
        where: a DuckDB predicate: which of them count; empty where all do.
    """

    name: str
    rows: str
    on: Mapping[str, str]
    figures: Mapping[str, str]
    where: str = ""

    def named_in(self, sql: str) -> set[str]:
        """Its figures that SQL of a derived column names."""
        return set(self._figure.findall(sql))

    @property
    def join(self) -> str:
        """It as a join behind the rows (alias ``row``): all figures of all rows at once."""
        keys = [f"{theirs} as key_{number}" for number, theirs in enumerate(self.on)]
        figures = [f"{sql} as {name}" for name, sql in self.figures.items()]
        own = " and ".join(f"{self.name}.key_{number} = row.{column}" for number, column in enumerate(self.on.values()))
        return f"""
            left join (
                select {", ".join([*keys, *figures])}
                from {self.rows}
                {f"where {self.where}" if self.where else ""}
                group by {", ".join(self.on)}
            ) as {self.name} on {own}
        """

    def in_place(self, sql: str) -> str:
        """SQL of a derived column with each of its figures as a subquery of its own, for one row after the other."""
        own = [f"{theirs} = row.{column}" for theirs, column in self.on.items()]
        rows = " and ".join([*own, f"({self.where})"] if self.where else own)
        return self._figure.sub(lambda found: f"(select {self.figures[found[1]]} from {self.rows} where {rows})", sql)

    @property
    def _figure(self) -> re.Pattern[str]:
        return re.compile(rf"\b{self.name}\.(\w+)")

    def written(self, write: Callable[[str], str]) -> Self:
        """The same with its SQL as a shop has it."""
        figures = {name: write(sql) for name, sql in self.figures.items()}
        return replace(self, rows=write(self.rows), where=write(self.where), figures=figures)


@dataclass(frozen=True)
class Derived:
    """A column computed before the gate, in DuckDB, from the row and tonight's copy of the sources.

    Attributes:
        column: what it is.
        sql: a DuckDB expression over the row (alias ``row``), its lookups, and the sources by name, as they stand
            tonight.
        needs: the sources named in ``sql`` and its lookups; where one is absent the column is null. The row's own
            source is there without being named; of others, only these are.
        through: for a source in ``needs`` that is not of the row's family, how a changed row of it leads to the rows
            that are checked again: by a column that both have (``order_item_id``), or that another source has whose
            key the changed row holds (``order_id@order_items``).
        where_rounded: the same for a shop whose amounts are rounded when they are read; empty where it is the same.
        is_late: whether it is computed after the others, of the row and of them alone.
        lookups: whose figures ``sql`` or ``where_rounded`` name.
    """

    column: Column
    sql: str
    needs: tuple[str, ...] = ()
    through: Mapping[str, str] = field(default_factory=dict)
    where_rounded: str = ""
    is_late: bool = False
    lookups: tuple[Lookup, ...] = ()

    def __post_init__(self) -> None:
        if self.is_late and self.lookups:
            raise ContractError(f"{self.column.name} is computed of the row alone, and looks something up")
        for lookup in self.lookups:
            named = lookup.named_in(f"{self.sql} {self.where_rounded}")
            if not named or (unknown := sorted(named - lookup.figures.keys())):
                said = f"names {', '.join(unknown)}, which it has not" if named else "names no figure of it"
                raise ContractError(f"{self.column.name} has the lookup {lookup.name}, and {said}")

    @property
    def whole_sql(self) -> str:
        """``sql`` without a lookup: an expression over the row and the sources alone."""
        return self.in_place(self.sql)

    @property
    def own_columns(self) -> frozenset[str]:
        """The columns of the row that it is computed from, by their names in the lake."""
        return frozenset(_OWN_COLUMN.findall(self.whole_sql))

    def typed(self, decimals: int, unit_decimals: int, write: Callable[[str], str]) -> Self:
        """The same for a shop, with the decimals that it counts with.

        Args:
            decimals: of its amounts.
            unit_decimals: of its quantities.
            write: gives SQL as the shop has it.
        """
        return replace(
            self,
            column=replace(self.column, decimals=decimals, unit_decimals=unit_decimals),
            sql=write(self.sql),
            where_rounded=write(self.where_rounded),
            lookups=tuple(one.written(write) for one in self.lookups),
        )

    def in_place(self, sql: str) -> str:
        """SQL of this column with its lookups' figures as subqueries."""
        for lookup in self.lookups:
            sql = lookup.in_place(sql)
        return sql
