"""Anomalies in the ledger: what days look like, which figures were not as expected, and what operators explained."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from psycopg.rows import class_row

from include.contract.types import day_number
from include.ledger.connection import connect

# Whether an explanation is about an anomaly: of its day, and of its source and measure or of all of them.
EXPLAINS: Final = """explanations.day = anomalies.day
            and (explanations.source is null or explanations.source = anomalies.source)
            and (explanations.measure is null or explanations.measure = anomalies.measure)"""

# Rows of ``Finding`` of the run ``run``, the furthest off first, for whoever has a connection of their own.
OF_RUN: Final = f"""
    select
        run_id, anomalies.day, anomalies.source, anomalies.measure, kind, value, usual, low, high, excess, sentence,
        asks, rows_behind, examples, rows_sql, explained.reason, explained.explained_by
    from audit.anomalies
    left join lateral (
        select reason, explained_by from audit.explanations
        where {EXPLAINS}
        order by explanation_id desc limit 1
    ) as explained on true
    where anomalies.run_id = %(run)s
    order by excess desc, anomaly_id
"""


@dataclass(frozen=True)
class Measured:
    """A figure of a day, as ``audit.measures`` has it: what is expected is null where it was not judged."""

    source: str
    day: date
    measure: str
    kind: str
    value: float
    measured_rows: int
    usual: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Anomaly:
    """A figure that is not what was expected, as ``audit.anomalies`` has it."""

    source: str
    measure: str
    kind: str
    value: float
    usual: float
    low: float
    high: float
    excess: float
    sentence: str
    asks: bool
    rows_behind: int
    examples: list[str]
    rows_sql: str


@dataclass(frozen=True)
class Finding(Anomaly):
    """An anomaly of a night, and who explained it, and how; None where nobody did."""

    run_id: str
    day: date
    reason: str | None
    explained_by: str | None


@dataclass(frozen=True)
class Series:
    """What a measure was on earlier days, as day numbers, values and rows."""

    source: str
    measure: str
    kind: str
    days: list[int]
    measured: list[float]
    rows: list[int]


@dataclass(frozen=True)
class Explained:
    """Days that count for no later one, because an operator explained them.

    Attributes:
        source: of this source alone; None: of all.
        measure: of this measure alone; None: of all.
        days: their day numbers.
    """

    source: str | None
    measure: str | None
    days: range

    def is_about(self, source: str, measure: str) -> bool:
        """Whether it is about a measure of a source."""
        return self.source in (None, source) and self.measure in (None, measure)


def known_days(before: date) -> dict[str, list[date]]:
    """By source, the days before one that need not be measured: their own night did, or a night that was published."""
    with connect() as connection:
        rows = connection.execute(
            """
            select source, array_agg(distinct day)
            from audit.measures
            join audit.runs using (run_id)
            where
                measure = 'rows' and day < %(before)s
                and (day = night or run_id in (select run_id from audit.publications))
            group by source
            """,
            {"before": before},
        ).fetchall()
    return dict(rows)


def past(before: date, since: date) -> list[Series]:
    """What the measures were on days of published nights, with those that operators explained (``explained``).

    A day is what its own night said last, however it was edited since; a day that had no night, what the first night
    after it found.

    Args:
        before: the day that is judged.
        since: the first day.
    """
    with connect() as connection, connection.cursor(row_factory=class_row(Series), binary=True) as cursor:
        return cursor.execute(
            """
            with counts as (
                select distinct on (source, day) source, day, run_id
                from audit.measures
                join audit.runs using (run_id)
                join audit.publications using (run_id)
                where measure = 'rows' and day >= %(since)s and day < %(before)s
                order by source, day, (runs.night = day) desc, publication_id desc
            )
            select
                source,
                measure,
                kind,
                array_agg(day - date '1970-01-01' order by day) as days,
                array_agg(value order by day) as measured,
                array_agg(measured_rows order by day) as rows
            from audit.measures
            join counts using (source, day, run_id)
            group by source, measure, kind
            """,
            {"before": before, "since": since},
        ).fetchall()


def explained(before: date) -> list[Explained]:
    """What operators explained of the days before one: a day itself, or all days before what is lasting since then."""
    with connect() as connection:
        found = connection.execute(
            "select source, measure, day, lasting from audit.explanations where day <= %s order by explanation_id",
            [before],
        ).fetchall()
    return [
        Explained(source, measure, range(day_number(date.min if lasting else day), day_number(day) + (not lasting)))
        for source, measure, day, lasting in found
    ]


def record(run_id: str, measures: Iterable[Measured], anomalies: Collection[Anomaly], day: date) -> None:
    """Record what a run measured and found, replacing what an earlier attempt did.

    Args:
        run_id: the run.
        measures: of the day, and of earlier days that nobody had measured.
        anomalies: of the day.
        day: its business day.
    """
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("delete from audit.measures where run_id = %s", [run_id])
        cursor.execute("delete from audit.anomalies where run_id = %s", [run_id])
        with cursor.copy(
            """
            copy audit.measures (run_id, source, day, measure, kind, value, measured_rows, usual, low, high) from stdin
            """
        ) as copy:
            for one in measures:
                copy.write_row([run_id, *vars(one).values()])
        cursor.executemany(
            """
            insert into audit.anomalies (
                run_id, day, source, measure, kind, value, usual, low, high, excess, sentence, asks, rows_behind,
                examples, rows_sql
            )
            values (
                %(run_id)s, %(day)s, %(source)s, %(measure)s, %(kind)s, %(value)s, %(usual)s, %(low)s, %(high)s,
                %(excess)s, %(sentence)s, %(asks)s, %(rows_behind)s, %(examples)s, %(rows_sql)s
            )
            """,
            [vars(one) | {"run_id": run_id, "day": day} for one in anomalies],
        )


def asked_about(run_id: str) -> list[str]:
    """What of a run's day waits for an approval: a sentence each, but for what is explained."""
    return [one.sentence for one in of_run(run_id) if one.asks and one.reason is None]


def of_run(run_id: str) -> list[Finding]:
    """What was found of a run's day, the furthest off first."""
    with connect() as connection, connection.cursor(row_factory=class_row(Finding)) as cursor:
        return cursor.execute(OF_RUN.encode(), {"run": run_id}).fetchall()


def was_measured(source: str | None, measure: str | None) -> bool:
    """Whether there is such a measure of such a source; None: any."""
    with connect() as connection:
        row = connection.execute(
            """
            select from audit.measures
            where source = coalesce(%(source)s, source) and measure = coalesce(%(measure)s, measure) limit 1
            """,
            {"source": source, "measure": measure},
        ).fetchone()
    return row is not None


def explain(
    day: date, source: str | None, measure: str | None, *, lasting: bool, reason: str, explained_by: str
) -> int:
    """Record that a day was what it was: it counts for no later one.

    Args:
        day: the business day.
        source: of which source; None: of all.
        measure: of which measure; None: of all.
        lasting: whether it is so from now on: no earlier day counts any more.
        reason: why, in the operator's words.
        explained_by: who says so.

    Returns:
        How many findings of the day this explains.
    """
    given = {
        "day": day, "source": source, "measure": measure, "lasting": lasting, "reason": reason, "by": explained_by,
    }  # fmt: skip
    with connect() as connection:
        connection.execute(
            """
            insert into audit.explanations (day, source, measure, lasting, reason, explained_by)
            values (%(day)s, %(source)s, %(measure)s, %(lasting)s, %(reason)s, %(by)s)
            """,
            given,
        )
        row = connection.execute(
            """
            select count(*) from audit.anomalies
            where day = %(day)s and source = coalesce(%(source)s, source) and measure = coalesce(%(measure)s, measure)
            """,
            given,
        ).fetchone()
    return int(row[0]) if row else 0
