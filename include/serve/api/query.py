"""What a request asks of a table's rows: columns, filters and an order, each checked against its declaration."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from include.contract import Column, Table, Type
from include.serve.api.problems import wrong
from include.serve.api.values import parsed

MOST_IN: Final = 100  # values of one `in`
MOST_FILTERS: Final = 20
_LONGEST_NAME: Final = 63  # characters, in Postgres

_COMPARED = re.compile(r"\s*(\w+)\s*(>=|<=|!=|=|>|<)(?![=<>])(.*)", re.DOTALL)
_WORDED = re.compile(r"\s*(\w+)\s+(is\s+not\s+null|is\s+null|in\b|like\b)(.*)", re.DOTALL | re.IGNORECASE)
_GRAMMAR = "day>=2026-11-01; currency in (EUR, USD); refunded_on is null; sku like A-%"
_OPERATORS = "= != < <= > >=, in, like, is null, is not null; not equal is !="
# A value in "…", where "" is one of them; or as it is, without the spaces around it.
_QUOTED = r'"(?:[^"]|"")*"'
_IN_LIST = re.compile(rf"\s*+({_QUOTED}|[^\s,\"][^,]*|)\s*(,|$)")
_ODD_BACKSLASH = re.compile(r"(?:^|[^\\])(?:\\\\)*\\$")
_ORDERED = frozenset(Type) - {Type.BOOLEAN, Type.JSON}


@dataclass(frozen=True)
class Filter:
    """One condition.

    Attributes:
        column: of the table.
        operator: of Postgres.
        values: what the column is compared with; empty for ``is null`` and ``is not null``.
    """

    column: Column
    operator: str
    values: tuple[Any, ...] = ()

    @property
    def sql(self) -> Composable:
        """The condition; its values are literals."""
        name = Identifier(self.column.name)
        if not self.values:
            return SQL("{} {}").format(name, SQL(self.operator))
        if self.operator == "in":
            return SQL("{} in ({})").format(name, SQL(", ").join(map(Literal, self.values)))
        return SQL("{} {} {}").format(name, SQL(self.operator), Literal(self.values[0]))


@dataclass(frozen=True)
class Query:
    """Rows of a table: which columns, of which rows, in which order.

    Attributes:
        table: as the shop has it.
        columns: in the order of the answer.
        filters: all of them hold.
        order: the columns by which rows are ordered, each with whether it is descending; the key is always among them,
            so that no two rows are equal. Null comes last.
        limit: the most rows of a page.
        all_columns: whether no columns were named.
    """

    table: Table
    columns: tuple[Column, ...]
    filters: tuple[Filter, ...]
    order: tuple[tuple[Column, bool], ...]
    limit: int
    all_columns: bool = False

    @classmethod
    def of(
        cls,
        table: Table,
        *,
        columns: str | None = None,
        filters: Sequence[str] = (),
        sort: str | None = None,
        limit: int = 100,
    ) -> Query:
        """What the parameters of a request ask for.

        Args:
            table: as the shop has it.
            columns: names, separated by commas; all columns, unless given.
            filters: conditions.
            sort: names, separated by commas, a descending one with a minus before it; the key, unless given.
            limit: the most rows.

        Raises:
            Problem: naming the parameter, its value and what is allowed (422).
        """
        known = {column.name: column for column in table.columns}
        names = [name.strip() for name in columns.split(",")] if columns else list(known)
        chosen = tuple(_column(known, "columns", name) for name in dict.fromkeys(names))
        if len(filters) > MOST_FILTERS:
            raise wrong("filter", str(len(filters)), f"more than {MOST_FILTERS} filters")
        order: dict[str, tuple[Column, bool]] = {}
        for said in sort.split(",") if sort else []:
            column = _column(known, "sort", said.strip().removeprefix("-"))
            if column.type is Type.JSON:
                raise wrong("sort", said, f"{column.name} has no order", _sortable(table))
            order.setdefault(column.name, (column, said.strip().startswith("-")))
        for name in table.primary_key:
            order.setdefault(name, (table[name], False))
        return cls(
            table, chosen, tuple(_filter(known, said) for said in filters), tuple(order.values()), limit, not columns
        )

    @cached_property
    def digest(self) -> str:
        """Of everything but the page: a cursor belongs to one."""
        parts = [
            self.table.qualified_name,
            *(column.name for column in self.columns),
            *(f"{one.column.name} {one.operator} {one.values!r}" for one in self.filters),
            *(f"{column.name} {descending}" for column, descending in self.order),
        ]
        return sha256("\0".join(parts).encode()).hexdigest()[:16]

    def published(self, there: Collection[str]) -> tuple[Column, ...]:
        """The columns that can be read: between an upgrade and the next night some are declared and not published yet.

        Args:
            there: the columns that the table has in the warehouse.

        Raises:
            Problem: when a column is asked for by name that is not there yet (422).
        """
        named = {
            "columns": () if self.all_columns else self.columns,
            "filter": [one.column for one in self.filters],
            "sort": [column for column, _ in self.order],
        }
        for field, columns in named.items():
            if missing := sorted({column.name for column in columns} - set(there)):
                detail = f"{', '.join(missing)}: declared, and not published before the next night"
                allowed = [column.name for column in self.table.columns if column.name in there]
                raise wrong(field, ", ".join(missing), detail, allowed)
        return tuple(column for column in self.columns if column.name in there)

    def sql(self, columns: Sequence[Column], after: Sequence[Any] | None = None) -> Composed:
        """The statement of a page: one row more than the limit, which says whether there is another page.

        Args:
            columns: those that can be read.
            after: the values by which the last row of the page before was ordered; None for the first page.

        Returns:
            A statement that gives these columns, then those that the rows are ordered by.
        """
        conditions = [] if after is None else [*_beginning(self.order[0], after[0]), _after(self.order, after)]
        ordered = [column for column, _ in self.order]
        return SQL("{} limit {}").format(self._rows([*columns, *ordered], conditions), Literal(self.limit + 1))

    def whole(self, columns: Sequence[Column]) -> Composed:
        """The statement of all rows, whatever the limit, with these columns alone."""
        return self._rows(columns, [])

    def count(self) -> Composed:
        """The statement of how many rows there are."""
        return SQL("select count(*) {}").format(self._from([]))

    def _rows(self, columns: Sequence[Column], conditions: Sequence[Composable]) -> Composed:
        order = SQL(", ").join(
            SQL("{} {}{}").format(
                Identifier(column.name),
                SQL("desc" if descending else "asc"),
                # Where none is null, a descending order with this would be one that no index has.
                SQL(" nulls last" if column.nullable else ""),
            )
            for column, descending in self.order
        )
        selected = SQL(", ").join(Identifier(column.name) for column in columns)
        return SQL("select {} {} order by {}").format(selected, self._from(conditions), order)

    def _from(self, conditions: Sequence[Composable]) -> Composed:
        found = [*(one.sql for one in self.filters), *conditions]
        where = SQL(" where {}").format(SQL(" and ").join(found)) if found else SQL("")
        return SQL("from {}{}").format(Identifier(self.table.schema, self.table.name), where)


def _sortable(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.type is not Type.JSON]


def _column(known: Mapping[str, Column], field: str, name: str) -> Column:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name[:_LONGEST_NAME], known, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise wrong(field, name, f"the table has no column {name!r}{meant}", list(known))


def _filter(known: Mapping[str, Column], said: str) -> Filter:
    if found := _COMPARED.fullmatch(said):
        column = _column(known, "filter", found[1])
        if column.type not in _ORDERED and (found[2] not in ("=", "!=") or column.type is Type.JSON):
            compared = [] if column.type is Type.JSON else ["=", "!=", "in"]
            detail = f"{column.name} has no order" if compared else f"{column.name} is only asked for is null"
            raise wrong("filter", said, detail, [*compared, "is null", "is not null"])
        return Filter(column, found[2], (_value(column, said, found[3]),))
    if found := _WORDED.fullmatch(said):
        column, operator, rest = _column(known, "filter", found[1]), " ".join(found[2].lower().split()), found[3]
        if operator == "in":
            return Filter(column, "in", _listed(column, said, rest))
        if operator == "like":
            if column.type is not Type.TEXT:
                raise wrong("filter", said, f"{column.name} is no text: like is for texts")
            pattern = _value(column, said, rest)
            if _ODD_BACKSLASH.search(pattern):
                raise wrong("filter", said, "nothing follows the backslash at the end: a backslash itself is two")
            return Filter(column, "like", (pattern,))
        if rest.strip():
            raise wrong("filter", said, f"nothing may follow {operator}", [_GRAMMAR])
        return Filter(column, operator)
    raise wrong(
        "filter", said, f"a filter is a column, an operator and a value; operators are {_OPERATORS}", [_GRAMMAR]
    )


def _value(column: Column, said: str, text: str) -> Any:
    """A value as a request writes it: in ``"…"`` with the spaces in it, else without those around it."""
    text = text.strip()
    if re.fullmatch(_QUOTED, text):
        text = text[1:-1].replace('""', '"')
    elif not text:
        raise wrong("filter", said, 'there is no value: an empty text is ""')
    elif len(text) > 1 and text[0] == text[-1] == "'":
        raise wrong("filter", said, 'a value has no apostrophes around it; with spaces or commas, it stands in "…"')
    try:
        return parsed(column, text)
    except ValueError as error:
        raise wrong("filter", said, str(error)) from None


def _listed(column: Column, said: str, text: str) -> tuple[Any, ...]:
    """The values of ``in (a, "b, c")``."""
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    values: list[str] = []
    place, more = 0, bool(text.strip())
    while more:
        if (found := _IN_LIST.match(text, place)) is None:
            raise wrong("filter", said, 'the values of in are separated by commas; one with a comma stands in "…"')
        values.append(found[1])
        place, more = found.end(), bool(found[2])
    if not 1 <= len(values) <= MOST_IN:
        raise wrong("filter", said, f"in takes 1 to {MOST_IN} values, these are {len(values)}")
    return tuple(_value(column, said, value) for value in values)


def _beginning(first: tuple[Column, bool], value: Any) -> list[Composable]:
    """What an index of the first column begins at; Postgres finds no beginning in the "or" of ``_after``."""
    column, descending = first
    if value is None or column.nullable:
        return []
    return [SQL("{} {} {}").format(Identifier(column.name), SQL("<=" if descending else ">="), Literal(value))]


def _after(order: Sequence[tuple[Column, bool]], values: Sequence[Any]) -> Composable:
    """Whether a row comes after one with these values: by the first column, or equal there and by the next."""
    (column, descending), value = order[0], values[0]
    name = Identifier(column.name)
    later: list[Composable] = []
    if value is None:  # null is last: nothing comes after it but rows of the same
        equal: Composable = SQL("{} is null").format(name)
    else:
        equal = SQL("{} = {}").format(name, Literal(value))
        later.append(SQL("{} {} {}").format(name, SQL("<" if descending else ">"), Literal(value)))
        if column.nullable:
            later.append(SQL("{} is null").format(name))
    if len(order) > 1:
        later.append(SQL("({} and {})").format(equal, _after(order[1:], values[1:])))
    return SQL("({})").format(SQL(" or ").join(later)) if later else SQL("false")
