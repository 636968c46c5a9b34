"""The kinds of value a column holds, and how each looks in the lake, in Postgres and on the way between them."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

# Of an amount in the lake, where the shop's folder does not say otherwise: it is counted in hundredths.
DECIMALS: Final = 2
# Of a quantity: units are whole.
UNIT_DECIMALS: Final = 0


class Rounding(StrEnum):
    """How an amount that is finer than the shop's smallest unit becomes whole ones; here for a shop of cents."""

    HALF_UP = "half_up"  # 0.005 is 0.01 and −0.005 is −0.01, as Postgres rounds
    HALF_EVEN = "half_even"  # 0.005 is 0.00 and 0.015 is 0.02, as banks round


class Type(StrEnum):
    """One kind of value. Amounts and days are integers in the lake, so that sums are exact on every engine."""

    INTEGER = "integer"
    TEXT = "text"
    UUID = "uuid"
    BOOLEAN = "boolean"
    JSON = "json"
    # Minor units in the lake, int64, and as many decimals in Postgres as the shop has: of two, NUMERIC(18, 2).
    CENTS = "cents"
    # Smallest units in the lake, int64. Whole ones are a BIGINT in Postgres; of three decimals, NUMERIC(18, 3).
    UNITS = "units"
    DAY = "day"  # int64 days since 1970-01-01 in the lake, DATE in Postgres
    MONTH = "month"  # int64 months since 1970-01 in the lake, the month's first DATE in Postgres
    AT = "at"  # an instant: UTC microseconds in the lake, TIMESTAMPTZ in Postgres
    RATIO = "ratio"  # float64: one division of two exact integers

    def postgres(self, decimals: int | None = None) -> str:
        """The column type in Postgres DDL.

        Args:
            decimals: of an amount or a quantity; as most shops have them, unless given.
        """
        decimals = self._decimals(decimals)
        return f"numeric({_DIGITS}, {decimals})" if self is Type.CENTS or decimals else _POSTGRES[self]

    @property
    def duckdb(self) -> str:
        """The column type in the lake, in DuckDB's spelling."""
        return _DUCKDB[self]

    def readable_sql(
        self,
        column: str,
        *,
        any_bytes: bool = False,
        fractional: bool = False,
        rounding: Rounding | None = None,
        decimals: int | None = None,
    ) -> str:
        """A Postgres predicate: whether the lake can hold this source value, unchanged or rounded as the shop says.

        NaN, infinities and fractions of a cent have no place in an int64 of cents; the scanner would turn a numeric
        NaN into 0.00 and an infinite timestamp into the year 9999 without a word (tried on 1.5.5). A database in
        SQL_ASCII does not look at its texts' bytes, and Postgres fails where it is to send some that are no UTF-8.

        Args:
            column: an expression of the column's type in the shop.
            any_bytes: whether a text may hold any bytes.
            fractional: whether a whole number is a numeric in the shop: a cast would round it.
            rounding: how a fraction of the smallest unit is rounded; None: it is not readable.
            decimals: of an amount or a quantity.
        """
        decimals = self._decimals(decimals)
        if self is Type.UNITS and decimals:
            most = f"9e{_DIGITS - 1 - decimals}"
            return f"({column} between -{most} and {most} and {column} = round({column}::numeric, {decimals}))"
        if fractional and self in (Type.INTEGER, Type.UNITS):
            return f"({column} between {-(2**63)} and {2**63 - 1} and {column} = trunc({column}))"
        if any_bytes and self in _TEXTS:
            return f"({hexadecimal(column)} ~ '{_UTF8}')"
        if self is Type.CENTS:
            whole = "" if rounding else f" and {column} = round({column}, {decimals})"
            most = f"9e{_DIGITS - 1 - decimals}"
            return f"({column} between -{most} and {most}{whole})"
        if self is Type.AT:
            return f"({column} between timestamptz '1000-01-01' and timestamptz '9000-01-01')"
        if self in (Type.DAY, Type.MONTH):
            return f"isfinite({column}::date)"
        return "true"

    def from_source_sql(self, column: str, rounding: Rounding | None = None, decimals: int | None = None) -> str:
        """A Postgres expression that turns a readable source value into what the lake holds."""
        decimals = self._decimals(decimals)
        if self is Type.CENTS:
            cents = f"{column} * {10**decimals}"
            if rounding is Rounding.HALF_UP:
                return f"round(({cents})::numeric)::bigint"
            if rounding is Rounding.HALF_EVEN:
                # At a tie, half of the amount ends in .25 or .75: rounding it finds the even neighbour.
                is_tie = f"abs(({cents})::numeric % 1) = 0.5"
                even = f"2 * round(({cents})::numeric / 2)"
                return f"(case when {is_tie} then {even} else round(({cents})::numeric) end)::bigint"
            return f"({cents})::bigint"
        if self in (Type.INTEGER, Type.UNITS):
            # As numeric: a count of two million in thousandths is no int4.
            return f"({column}::numeric * {10**decimals})::bigint" if decimals else f"{column}::bigint"
        if self is Type.DAY:
            return f"({column}::date - date '1970-01-01')::bigint"
        if self is Type.MONTH:
            return f"(extract(year from {column}::date) * 12 + extract(month from {column}::date) - 23641)::bigint"
        if self in (Type.TEXT, Type.UUID, Type.JSON):
            return f"{column}::text"
        if self is Type.AT:
            return f"{column}::timestamptz"
        if self is Type.RATIO:
            return f"{column}::double precision"
        return column

    def identity_sql(self, column: str, *, fractional: bool = False) -> str:
        """A Postgres expression of a type that Postgres can hash: where it is the same, the lake holds the same.

        Args:
            column: an expression of the column's type in the shop.
            fractional: whether a whole number is a numeric in the shop.
        """
        if self in (Type.TEXT, Type.UUID, Type.JSON):
            return f'{column}::text collate "C"'  # another collation may take two texts for one
        if self in (Type.DAY, Type.MONTH):
            return f"{column}::date"
        if self is Type.CENTS or fractional:
            return f"{column}::numeric"
        return self.from_source_sql(column)

    def to_warehouse_sql(self, column: str, decimals: int | None = None) -> str:
        """A DuckDB expression that turns a lake value into what Postgres holds."""
        decimals = self._decimals(decimals)
        if self is Type.CENTS or decimals:
            whole = f"cast({column} as decimal({_DIGITS}, 0))"
            # A product of decimals is exact; a quotient is a float, which loses cents from 90 trillion on.
            part = f"{Decimal(1).scaleb(-decimals):f}"
            return f"cast({whole} * {part} as decimal({_DIGITS}, {decimals}))" if decimals else whole
        if self is Type.DAY:
            return f"date '1970-01-01' + cast({column} as integer)"
        if self is Type.MONTH:
            return f"cast(date '1970-01-01' + to_months(cast({column} as integer)) as date)"
        if self is Type.UUID:
            return f"cast({column} as uuid)"
        return column

    def _decimals(self, decimals: int | None) -> int:
        """Of an amount or a quantity, as given or as most shops have them; of anything else none."""
        if self is Type.CENTS:
            return DECIMALS if decimals is None else decimals
        return (decimals or UNIT_DECIMALS) if self is Type.UNITS else 0


def day_number(day: date) -> int:
    """A day as the lake holds it: days since 1970-01-01."""
    return (day - date(1970, 1, 1)).days


def day_of(number: int) -> date:
    """The day of such a number."""
    return date(1970, 1, 1) + timedelta(days=number)


def hexadecimal(column: str) -> str:
    """A Postgres expression: the bytes of a text in a SQL_ASCII database, as hexadecimal digits."""
    return f"encode(convert_to({column}::text, 'SQL_ASCII'), 'hex')"


_TEXTS = (Type.TEXT, Type.JSON)
# Bytes that are UTF-8, as hexadecimal digits: the Unicode Standard's table of well-formed byte sequences (3-7).
_UTF8 = (
    "^([0-7].|c[2-9a-f][89ab].|d.[89ab].|e0[ab].[89ab].|e[1-9abcef]([89ab].){2}|ed[89].[89ab]."
    "|f0[9ab].([89ab].){2}|f[1-3]([89ab].){3}|f48.([89ab].){2})*$"
)
_DIGITS = 18  # of an amount or a quantity in Postgres; 19 do not fit an int64
_POSTGRES = {
    Type.INTEGER: "bigint",
    Type.UNITS: "bigint",
    Type.TEXT: "text",
    Type.UUID: "uuid",
    Type.BOOLEAN: "boolean",
    Type.JSON: "jsonb",
    Type.DAY: "date",
    Type.MONTH: "date",
    Type.AT: "timestamptz",
    Type.RATIO: "double precision",
}
_DUCKDB = {
    Type.INTEGER: "bigint",
    Type.TEXT: "varchar",
    Type.UUID: "varchar",
    Type.BOOLEAN: "boolean",
    Type.JSON: "varchar",
    Type.CENTS: "bigint",
    Type.UNITS: "bigint",
    Type.DAY: "bigint",
    Type.MONTH: "bigint",
    Type.AT: "timestamptz",
    Type.RATIO: "double",
}
