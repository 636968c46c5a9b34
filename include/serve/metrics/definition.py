"""What a figure is: its meaning, columns and SQL, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, LiteralString

from psycopg.sql import SQL, Literal

from include.contract import Column, Table, Type

STATUS: Final = "reporting.data_status"  # the view; it is of no publication
LEDGER: Final = "audit."  # nor are the tables of the ledger
MOST_DAYS: Final = 400


class Parameter(StrEnum):
    """What may be asked of a figure."""

    FROM = "from"
    TO = "to"
    CURRENCY = "currency"
    LIMIT = "limit"


RANGE: Final = frozenset({Parameter.FROM, Parameter.TO})
IN_CURRENCY: Final = RANGE | {Parameter.CURRENCY}


@dataclass(frozen=True)
class Asked:
    """The values of a figure's parameters.

    Attributes:
        first: the first business day.
        last: the last one, no later than what is published.
        currency: ISO 4217 code; None for all.
        limit: the most rows, of each currency where there are several.
    """

    first: date
    last: date
    currency: str | None
    limit: int

    def of(self, metric: Metric) -> dict[Parameter, str | int | None]:
        """Those that a figure takes, as an answer shows them."""
        values: dict[Parameter, str | int | None] = {
            Parameter.FROM: self.first.isoformat(),
            Parameter.TO: self.last.isoformat(),
            Parameter.CURRENCY: self.currency,
            Parameter.LIMIT: self.limit,
        }
        return {name: value for name, value in values.items() if name in metric.takes}


@dataclass(frozen=True)
class Metric:
    """A figure.

    Attributes:
        name: as it is asked for.
        meaning: what it says, with its formula where that is not a column's.
        unit: of what it is named for.
        grain: "One row per …", and the order of the rows.
        tables: qualified names of what it reads.
        columns: of its rows, in order: a column of a table is ``table.column``, whose declaration says the rest.
        sql: the statement, with ``{first}``, ``{last}``, ``{limit}``, and ``{of_currency}`` after a condition.
        takes: the parameters that it has.
        days: how many it covers unless ``from`` is given.
        ages: whether it changes while nothing is published.
    """

    name: str
    meaning: str
    unit: str
    grain: str
    tables: tuple[str, ...]
    columns: tuple[str | Column, ...]
    sql: LiteralString
    takes: frozenset[Parameter]
    days: int = 28
    ages: bool = False

    @property
    def published(self) -> tuple[str, ...]:
        """Of its tables, those that a publication writes."""
        return tuple(name for name in self.tables if name != STATUS and not name.startswith(LEDGER))

    def written(self, asked: Asked) -> str:
        """The statement with its parameters as literals: as it is run, and as an analyst may run it."""
        of_currency = SQL(" and currency = {}").format(Literal(asked.currency)) if asked.currency else SQL("")
        composed = SQL(self.sql).format(
            first=Literal(asked.first), last=Literal(asked.last), limit=Literal(asked.limit), of_currency=of_currency
        )
        return composed.as_string(None).strip()

    def declared(self, tables: Mapping[str, Table]) -> tuple[Column, ...]:
        """Its columns as a shop has them.

        Args:
            tables: the shop's, by qualified name.
        """
        money = tables["reporting.daily_sales"]["net_sales"]
        goods = tables["reporting.daily_sales"]["units"]
        return tuple(
            _of_table(tables, column) if isinstance(column, str) else _of_shop(column, money, goods)
            for column in self.columns
        )


def value_of(column: Column, value: Any) -> Any:
    """A value as its column's type has it: sums of whole numbers are numerics in Postgres, and 0 has no decimals."""
    if not isinstance(value, Decimal):
        return value
    if column.type is Type.RATIO:
        return float(value)
    if column.type is Type.CENTS or (column.type is Type.UNITS and column.places):
        return value.quantize(Decimal(1).scaleb(-column.places))
    return int(value)


def _of_table(tables: Mapping[str, Table], name: str) -> Column:
    table, _, column = name.rpartition(".")
    return tables[f"reporting.{table}"][column]


def _of_shop(column: Column, money: Column, goods: Column) -> Column:
    """A figure's own column, with the decimals of the shop's amounts and quantities."""
    return Column(
        column.name,
        column.type,
        column.doc,
        nullable=column.nullable,
        decimals=money.decimals,
        unit_decimals=goods.unit_decimals,
    )
