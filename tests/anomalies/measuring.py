"""How well anomalies are found: nights on which nothing happened and something is found, and incidents that are found.

Every day is judged as its own night would have, by the days before it alone. Its rows are those that the shop has at
the end, which is what a day's measures are made not to depend on.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final

import duckdb

from include.contract import Source
from include.contract.types import day_number, day_of
from include.gate.anomalies import Baselines, Judged, findings, measured, pasts
from include.gate.measures import ROWS, Days, day_columns, measure
from include.lake import duckdb_session as duck
from include.lake.rows import rows
from include.settings import settings
from include.sources import lake_sources
from tests.anomalies.incidents import Incident

FORTNIGHT: Final = 14


@dataclass(frozen=True)
class Night:
    """What a night says of a day.

    Attributes:
        day: the day.
        title: what was planted; empty where nothing was.
        judged: how many figures were compared.
        found: those that are not as expected, the furthest off first.
    """

    day: date
    title: str
    judged: int
    found: Sequence[Judged]

    def line(self) -> str:
        """It in one line: the furthest off."""
        what = "; ".join(one.sentence() for one in self.found[:2]) or "nothing"
        more = f" (and {len(self.found) - 2} more)" if len(self.found) > 2 else ""
        return f"{self.day} {self.title + ': ' if self.title else ''}{what}{more}"


@dataclass(frozen=True)
class Year:
    """The days of a shop whose lake the settings name.

    Attributes:
        connection: a session with a view of every source's rows, ``clean_…``.
        sources: those whose days are measured.
        days: the measures of every day, by source.
        baselines: what is expected of them.
    """

    connection: duckdb.DuckDBPyConnection
    sources: Mapping[str, Source]
    days: Mapping[str, Days]
    baselines: Mapping[str, Baselines]

    def quiet(self, first: date, last: date) -> list[Night]:
        """The nights of some days, on which nothing was planted, that can be judged at all."""
        nights = [self._night(day, "", self._of(day)) for day in range(day_number(first), day_number(last) + 1)]
        return [one for one in nights if one.judged]

    def planted(self, incidents: Iterable[Incident], first: date, last: date, seed: int) -> list[Night]:
        """The nights after incidents, each on a day of its own; what is found of that day anyway is left out."""
        draw = random.Random(seed)  # noqa: S311 - days, no secrets
        days = draw.sample(range(day_number(first), day_number(last) + 1), len(list(incidents)))
        return [self._planted(incident, day) for incident, day in zip(incidents, days, strict=True)]

    def _planted(self, incident: Incident, day: int) -> Night:
        before = self._night(day, "", self._of(day))
        known = {(one.source, one.measure) for one in before.found}
        changed = {
            name: measure(self.connection, self.sources[name], _changed(self.sources[name], sql, day), (day, day))
            for name, sql in incident.changes.items()
            if name in self.sources
        }
        night = self._night(day, incident.name, {**self._of(day), **changed})
        found = [one for one in night.found if (one.source, one.measure) not in known]
        return Night(night.day, night.title, night.judged, found)

    def _of(self, day: int) -> dict[str, Days]:
        return {name: {day: days[day]} for name, days in self.days.items() if day in days}

    def _night(self, day: int, title: str, days: Mapping[str, Days]) -> Night:
        judged = [one for name, of in days.items() for one in self.baselines[name].judge(day, of[day])]
        return Night(day_of(day), title, sum(one.expected is not None for one in judged), findings(judged))


@contextmanager
def year(first: date, last: date) -> Iterator[Year]:
    """Measure every day of the shop whose lake the settings name."""
    known = lake_sources(settings().sources)
    with duck.session() as connection:
        days: dict[str, Days] = {}
        for name, source in known.items():
            connection.execute(f"create view clean_{name} as from {rows('clean', name, source.lake_columns)}")
        for name in measured(known):
            found = measure(connection, known[name], f"clean_{name}", (day_number(first), day_number(last)))
            begun = min((day for day, one in found.items() if one[ROWS].value), default=day_number(last) + 1)
            days[name] = {day: one for day, one in found.items() if day >= begun}
        baselines = {name: Baselines(known[name], pasts(of)) for name, of in days.items()}
        yield Year(connection, {name: known[name] for name in days}, days, baselines)


def _changed(source: Source, sql: str, day: int) -> str:
    """The rows of a source after an incident: those of the day, by any event that the incident speaks of, changed."""
    told = [column for column in day_columns(source) if column == source.begins or column in sql]
    of_day = " or ".join(f"{column} = {day}" for column in told)
    return f"""(
        from clean_{source.name} as one where not coalesce({of_day}, false)
        union all by name
        (with rows as (from clean_{source.name} as one where {of_day}) {sql})
    )"""
