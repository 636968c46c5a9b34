"""Anomalies: measures of a business day that are not what earlier days make one expect.

Belongs here: which rows a day is measured by, and which of its measures are findings. Does not: what there is to
measure (``measures``), what is expected (``baseline``), or what becomes of a finding (``pipeline.anomalies``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import duckdb

from include.contract import Source
from include.gate.baseline import Baseline, Expected
from include.gate.measures import REPEATED, ROWS, Days, Measure, is_measured, measure, named, said
from include.gate.scales import Kind, Value
from include.lake.night_views import lacks_key, row_key

LONGEST: Final = 400  # days of past that are measured at once: those that are compared, and what they are compared with
_SAMPLES = 5  # keys of rows that a finding names

Past = Mapping[tuple[str, Kind], Mapping[int, Value]]  # of one source: by measure and day number


@dataclass(frozen=True)
class Judged:
    """A measure of a day beside what is expected of it.

    Attributes:
        source: whose rows.
        measure: which figure.
        value: what it is.
        expected: what it would be; None where too little is known.
    """

    source: str
    measure: Measure
    value: Value
    expected: Expected | None

    @property
    def is_finding(self) -> bool:
        """Whether it is not what is expected."""
        return self.expected is not None and not self.expected.holds(self.value.value)

    @property
    def excess(self) -> float:
        """How far it is outside: 0 where nothing is expected."""
        return self.expected.excess(self.value.value) if self.expected else 0.0

    def sentence(self) -> str:
        """It in words: ``orders: rows 61, expected 95 to 170 (usual 125)``."""
        told = f"{self.source}: {self.measure.name} {written(self.measure.kind, self.value.value)}"
        if self.expected is None:
            return told
        low, high, usual = (
            written(self.measure.kind, one) for one in (self.expected.low, self.expected.high, self.expected.usual)
        )
        return f"{told}, expected {low} to {high} (usual {usual}; {self.expected.basis})"


def accepted(source: Source, *, full: bool) -> str:
    """A DuckDB relation: a source's rows as this night accepts them.

    Args:
        source: its contract; the session has the views of the night and the checked rows.
        full: whether this run read the whole table.
    """
    columns = ", ".join(column.lake_name for column in source.lake_columns)
    passed = f"select {columns} from checked_{source.name} where len(_broken) = 0"
    if full:
        return f"({passed})"
    unchanged = (
        f"{lacks_key(source, 'old', f'checked_{source.name}')} and {lacks_key(source, 'old', f'gone_{source.name}')}"
    )
    return f"({passed} union all by name select {columns} from clean_{source.name} as old where {unchanged})"


def measured(sources: Mapping[str, Source]) -> list[str]:
    """The sources whose days are measured."""
    return [name for name, source in sources.items() if is_measured(source)]


def measure_past(
    connection: duckdb.DuckDBPyConnection, source: Source, rows: str, before: int, known: Collection[int]
) -> Days:
    """Measure the days before one that nobody measured yet, from the source's first on.

    Args:
        connection: a session of ``include.lake.duckdb_session``.
        source: its contract.
        rows: a relation of its rows.
        before: the day.
        known: the days that need not be measured.
    """
    # Once measured, it is measured from its first day on: what is wanted then are days that had no night.
    wanted = set(range(max(before - LONGEST, min(known, default=0)), before)) - set(known)
    if not wanted:
        return {}
    found = measure(connection, source, rows, (min(wanted), max(wanted)))
    # Before its first row a source was not silent: it was not there.
    first = min((day for day, one in found.items() if one[ROWS].value), default=before)
    first = min(first, *known, before)
    return {day: found[day] for day in sorted(wanted) if day >= first}


class Baselines:
    """What is expected of the measures of a source, day by day; each day by the days before it alone."""

    def __init__(
        self, source: Source, past: Past, explained: Callable[[str], Collection[range]] = lambda _: ()
    ) -> None:
        """Take the past of a source.

        Args:
            source: its contract.
            past: by measure, what it was on earlier days.
            explained: gives, by the name of a measure, the days on which it does not count.
        """
        self._source, self._past, self._explained = source, past, explained
        self._baselines: dict[tuple[str, Kind], Baseline] = {}

    def judge(self, day: int, found: Mapping[Measure, Value]) -> list[Judged]:
        """Compare a day's measures with the days before it.

        Args:
            day: the day.
            found: its measures; one that only earlier days have is one of which this day has none.
        """
        figures = {(one.name, one.kind): (one, value) for one, value in found.items()}
        for name, kind in self._past:
            if (name, kind) not in figures and (value := _of_none(kind, found[ROWS])):
                figures[name, kind] = (named(self._source, name, kind), value)
        return [
            Judged(self._source.name, one, value, self._of(name, kind).expect(day, value.rows))
            for (name, kind), (one, value) in figures.items()
        ]

    def _of(self, name: str, kind: Kind) -> Baseline:
        """The past of a measure, with what it was on days that were measured and have none of it."""
        if (name, kind) not in self._baselines:
            past, counted = self._past.get((name, kind), {}), self._past.get((ROWS.name, ROWS.kind), {})
            none = {day: value for day, rows in counted.items() if day not in past and (value := _of_none(kind, rows))}
            left_out = self._explained(name)  # after the zeros: a day that is left out is not one without any
            known = {day: value for day, value in {**none, **past}.items() if not any(day in days for days in left_out)}
            self._baselines[name, kind] = Baseline(kind, known)
        return self._baselines[name, kind]


def findings(judged: Collection[Judged]) -> list[Judged]:
    """Those that are not what is expected, the furthest off first."""
    return sorted(
        (one for one in judged if one.is_finding), key=lambda one: (-one.excess, one.source, one.measure.name)
    )


def asks(source: Source, measure: Measure) -> bool:
    """Whether an unusual figure waits for an operator's approval, as the contract says."""
    return any(fnmatchcase(measure.name, pattern) for pattern in source.asks_about)


def keys_behind(
    connection: duckdb.DuckDBPyConnection, source: Source, rows: str, one: Measure, day: int
) -> tuple[int, list[str]]:
    """How many rows of a day a measure is about, and the keys of some of them."""
    only = f"{one.by or source.begins} = {day} and ({one.where})"
    twice = f"qualify count(*) over (partition by {', '.join(said(source))}) > 1" if one == REPEATED else ""
    found = connection.execute(
        f"""
        with behind as (select * from {rows} as row where {only} {twice})
        select {row_key(source)} as key, count(*) over () from behind order by key limit {_SAMPLES}
        """
    ).fetchall()
    return (int(found[0][1]), [key for key, _ in found]) if found else (0, [])


def written(kind: Kind, value: float) -> str:
    """A figure as people are shown it."""
    if kind is Kind.SHARE:
        return f"{value:.1%}"
    if kind is Kind.MINUTES:
        return f"{value:,.0f} min"
    if kind is Kind.COUNT or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _of_none(kind: Kind, rows: Value) -> Value | None:
    """What a measure is that a day has not: none of its rows; of a mean or an amount nothing is known."""
    if kind is Kind.COUNT:
        return Value(0, rows.rows)
    return Value(0, rows.rows) if kind is Kind.SHARE and rows.value else None


def pasts(days: Mapping[int, Mapping[Measure, Value]]) -> Past:
    """Measures by day, as ``judge`` takes them."""
    found: dict[tuple[str, Kind], dict[int, Value]] = defaultdict(dict)
    for day, values in days.items():
        for one, value in values.items():
            found[one.name, one.kind][day] = value
    return found
