"""Measures: what a business day's rows of a source look like, in figures that are compared with those of other days.

Which there are follows from the contract: how many rows, how many of them say the same as another one, how many have
no value in a column that may be null, how many customers or products they name, how they spread over the values of a
column with few, how much money, when the last of them happened. None is listed by hand.

Only what a day's rows say for good is measured, so that a day looks the same on its own night and a year later: no
column that the shop still writes afterwards (``Source.unsettled``), and of a later event (``Source.later``) whether it
happened on the same day, and how many rows had it on which day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb

from include.contract import Column, Source, Type
from include.gate.scales import Kind, Value
from include.lake import duckdb_session as duck

FEWEST: Final = 5  # rows in a currency, for its money to be measured
_MOST_VALUES: Final = 100  # of a column that are measured in a day, those with most rows
_LISTED: Final = "ExpectColumnValuesToBeInSet"  # the expectation of a column whose values the contract lists
_PLACES: Final = ("warehouses",)  # sources of which a shop has few rows: a day is measured by each of them
_DAY: Final = 24 * 60  # minutes


@dataclass(frozen=True)
class Measure:
    """A figure of a source's days.

    Attributes:
        name: unique within the source.
        kind: its kind.
        where: a predicate over the source's columns: the rows of the day that it is about.
        by: the day column that says which rows are of a day, where it is not the one from which they exist.
    """

    name: str
    kind: Kind
    where: str = field(default="true", compare=False)
    by: str | None = field(default=None, compare=False)


Days = dict[int, dict[Measure, Value]]
ROWS: Final = Measure("rows", Kind.COUNT)
REPEATED: Final = Measure("repeated", Kind.SHARE)


def is_measured(source: Source) -> bool:
    """Whether a source's rows are of days at all."""
    return source.begins is not None


def day_columns(source: Source) -> tuple[str, ...]:
    """The columns that say of which days a row is: of its own, then of later events."""
    return (source.begins or "", *source.later)


def instant_of(source: Source) -> str | None:
    """The column that says when in its day a row happened; None where none does of every row."""
    column = next((one for one in source.columns if one.name == f"{(source.begins or '')[:-3]}_at"), None)
    return column.name if column and column.type is Type.AT and not column.nullable else None


def measure(connection: duckdb.DuckDBPyConnection, source: Source, rows: str, days: tuple[int, int]) -> Days:
    """Measure days of a source.

    Args:
        connection: a session of ``include.lake.duckdb_session``.
        source: its contract.
        rows: a relation of its accepted rows, with all its lake columns.
        days: the first and the last day, as day numbers.

    Returns:
        By day number; a day without rows has no measure but its number of rows.
    """
    first, last = days
    within = " or ".join(f"{column} between {first} and {last}" for column in day_columns(source))
    names = ", ".join(column.lake_name for column in source.lake_columns)
    connection.execute(f"create or replace temp table measured as select {names} from {rows} as row where {within}")
    found: Days = defaultdict(dict)
    for part in (_of_all, _of_money, _of_values, _of_gaps, _of_events):
        for day, one, value in part(connection, source):
            if first <= day <= last:
                found[day][one] = value
    connection.execute("drop table measured")
    for day in range(first, last + 1):
        found[day].setdefault(ROWS, Value(0, 0))
    return dict(found)


Found = Iterator[tuple[int, Measure, Value]]


def _of_all(connection: duckdb.DuckDBPyConnection, source: Source) -> Found:
    """What all rows of a day are measured by: one scan."""
    asked = list(_figures(source))
    columns = ", ".join(["count(*)", *(sql for _, sql in asked)])
    statement = f"select {source.begins}, {_independent(source)}, {columns} from measured group by 1"
    for day, independent, rows, *values in _fetched(connection, statement):
        yield day, ROWS, Value(rows, independent)
        for (one, _), value in zip(asked, values, strict=True):
            if value is not None:
                yield day, one, Value(value if one.kind is Kind.COUNT else value / rows, independent)


def _figures(source: Source) -> Iterator[tuple[Measure, str]]:
    """The measures of all rows of a day, each with an aggregate: of a share the rows, of a mean the sum."""
    settled = _settled(source)
    if same := said(source):
        yield REPEATED, f"count(*) - count(distinct hash({', '.join(same)}))"
    for column in settled:
        name = column.lake_name
        if column.nullable:
            blank = f"{name} is null" + (f" or {name} = ''" if column.type is Type.TEXT else "")
            yield Measure(f"blank {column.name}", Kind.SHARE, blank), f"count(*) filter ({blank})"
        if column.key_of:
            yield Measure(f"distinct {column.name}", Kind.COUNT), f"count(distinct {name})"
        if column.type is Type.UNITS or (column.type is Type.CENTS and not source.amount):
            yield Measure(f"mean {column.name}", Kind.MEAN), f"sum({name}::hugeint) / {10**column.places}"
    for column in source.columns:
        if column.part_of:
            yield Measure(f"rows per {column.name}", Kind.MEAN), f"count(*)::double ^ 2 / {_independent(source)}"
    for event in source.later:
        same_day = f"{event} = {source.begins}"
        yield Measure(f"{event} the same day", Kind.SHARE, same_day), f"count(*) filter ({same_day})"


def said(source: Source) -> list[str]:
    """The columns in which two rows that say the same are equal: all but the key, and what is written later."""
    return [column.lake_name for column in _settled(source) if column.name not in source.primary_key]


def _independent(source: Source) -> str:
    """An aggregate: how many rows say something of their own; the lines of one order are alike."""
    parents = [column.lake_name for column in source.columns if column.part_of]
    return (
        f"count(distinct coalesce({parents[0]}::varchar, {source.primary_key[0]}::varchar))" if parents else "count(*)"
    )


def _settled(source: Source) -> list[Column]:
    """The columns of which a row says on its first day what it says for good."""
    later = {name for event, names in source.later.items() for name in (event, *names)}
    left_out = {source.watermark, *source.unsettled, *later}
    return [column for column in source.columns if column.name not in left_out]


def _of_money(connection: duckdb.DuckDBPyConnection, source: Source) -> Found:
    """The money of a day's rows, by currency: how much, how much a row, and what parts of it the other amounts are."""
    if not (source.amount and source.currency):
        return
    parts = [one for one in _settled(source) if one.type is Type.CENTS and one.lake_name != source.amount]
    sums = ", ".join(
        f"sum({amount}::hugeint)::double" for amount in (f"({source.amount})", *(p.lake_name for p in parts))
    )
    statement = f"""
        select {source.begins}, {source.currency}, count(*), {sums}
        from measured
        where {source.currency} is not null
        group by 1, 2
        having count(*) >= {FEWEST}
    """
    for day, currency, rows, money, *amounts in _fetched(connection, statement):
        if money is None:
            continue
        where, units = f"{source.currency} = {duck.quoted(currency)}", money / 10**source.decimals
        yield day, Measure(f"money {currency}", Kind.AMOUNT, where), Value(units, rows)
        yield day, Measure(f"money {currency} a row", Kind.MEAN, where), Value(units / rows, rows)
        for part, amount in zip(parts, amounts, strict=True):
            if money and amount is not None:
                yield day, Measure(f"{part.name} of money {currency}", Kind.RATIO, where), Value(amount / money, rows)


def _of_values(connection: duckdb.DuckDBPyConnection, source: Source) -> Found:
    """How a day's rows spread over the values of the columns that have few."""
    for column in categories(source):
        statement = f"""
            with days as (
                select {source.begins} as day, count({column}) as total, {_independent(source)} as independent
                from measured
                group by 1
            ),
            found as (
                select {source.begins} as day, {column}::varchar as value, count(*) as rows
                from measured
                where {column} is not null
                group by 1, 2
            )
            select day, value, rows / total, independent
            from found
            join days using (day)
            qualify row_number() over (partition by day order by rows desc, value) <= {_MOST_VALUES}
        """
        for day, value, share, rows in _fetched(connection, statement):
            yield day, of_value(column, value), Value(share, rows)


def of_value(column: str, value: str) -> Measure:
    """The share of the rows with a value in a column."""
    return Measure(f"{column} {value}", Kind.SHARE, f"{column} = {duck.quoted(value)}")


def named(source: Source, name: str, kind: Kind) -> Measure:
    """A measure that a day has not, by its name: no row has that value, or that event, on it."""
    for column in categories(source):
        if kind is Kind.SHARE and name.startswith(f"{column} "):
            return of_value(column, name.removeprefix(f"{column} "))
    event = name.removeprefix("rows by ")
    return Measure(name, kind, by=event if event in source.later else None)


def categories(source: Source) -> list[str]:
    """The columns with few values: those of a list, a dimension, a yes or no, a currency, a place (lake names)."""
    listed = {column for rule in source.rules if rule.expectation == _LISTED for column in rule.columns}
    settled = [
        one.lake_name
        for one in _settled(source)
        if (one.type is Type.TEXT and one.name in listed)
        or one.type is Type.BOOLEAN
        or (one.key_of in _PLACES and one.name not in source.primary_key)
    ]
    dimensions = [one.column for one in source.dimensions]
    currency = [source.currency] if source.currency else []
    return list(dict.fromkeys([*settled, *dimensions, *currency]))


def _of_gaps(connection: duckdb.DuckDBPyConnection, source: Source) -> Found:
    """How long before a day's end its last row happened, and the longest time in it without any, in minutes."""
    instant = instant_of(source)
    if instant is None:
        return
    statement = f"""
        with minutes as (
            select distinct {source.begins} as day, minute_of_day({instant}) as minute from measured
        ),
        gaps as (
            select day, minute, minute - lag(minute, 1, 0) over (partition by day order by minute) as gap from minutes
        )
        select day, {_DAY} - max(minute), greatest(max(gap), {_DAY} - max(minute)), count(*)
        from gaps
        group by day
    """
    for day, since_last, longest, rows in _fetched(connection, statement):
        yield day, Measure("minutes after the last", Kind.MINUTES), Value(since_last, rows)
        yield day, Measure("minutes without any", Kind.MINUTES), Value(longest, rows)


def _of_events(connection: duckdb.DuckDBPyConnection, source: Source) -> Found:
    """How many rows had a later event on a day, whenever they began."""
    for event in source.later:
        statement = f"select {event}, count(*) from measured where {event} is not null group by 1"
        for day, rows in _fetched(connection, statement):
            yield day, Measure(f"rows by {event}", Kind.COUNT, by=event), Value(rows, rows)


def _fetched(connection: duckdb.DuckDBPyConnection, statement: str) -> list[tuple[Any, ...]]:
    """The rows of a query that are of a day."""
    return [row for row in connection.execute(statement).fetchall() if row[0] is not None]
