"""Incidents in the ledger: what people are told of, which channels have been told, and when it was last looked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from psycopg.rows import class_row

from include.ledger.connection import connect


class IncidentKind(StrEnum):
    """What kind of incident it is."""

    FAILED = "failed"  # a run that publishes failed
    WAITS = "waits"  # a night waits for an approval
    LATE = "late"  # a night is not published by the time that it is to be
    FEATURES = "features"  # a published night has no features
    SCHEDULER = "scheduler"  # nothing ran while a night was due
    ANOMALY = "anomaly"  # figures of a night's day are not as expected


# There is one per night at most, also when it is long over: a night is late once.
_ONCE: Final = (IncidentKind.LATE, IncidentKind.SCHEDULER)


@dataclass(frozen=True)
class Found:
    """Something that people are to be told of.

    Attributes:
        kind: its kind.
        night: the business day that it is about.
        dag: the DAG that it is about.
        run_id: the run that it is about, if there is one.
        reason: why it is one; another reason is another incident.
        message: what people are told; the first line is the title.
    """

    kind: IncidentKind
    night: date
    dag: str
    run_id: str | None
    reason: str
    message: str


@dataclass(frozen=True)
class Incident:
    """An incident in the ledger: what was found, and what became of it; ``audit.incidents`` says what each field is."""

    incident_id: int
    kind: str
    night: date
    dag: str
    run_id: str | None
    reason: str
    message: str
    opened_at: datetime
    closed_at: datetime | None
    over: str | None
    told: list[str]
    told_over: list[str]


def open_incident(found: Found, at: datetime) -> bool:
    """Enter an incident, unless it is known.

    Where one of the same kind and night is open for another run or reason, the new one takes its place: a person who
    runs a night again, which then fails with something else, is told of that, and of its end only once.

    Returns:
        Whether it is new.
    """
    entry = vars(found) | {"kind": str(found.kind), "at": at}
    with connect() as connection:
        if found.kind in _ONCE:
            known = "select from audit.incidents where kind = %(kind)s and night = %(night)s"
        else:
            known = """
                select from audit.incidents
                where closed_at is null and (kind, dag, night) = (%(kind)s, %(dag)s, %(night)s)
                    and run_id is not distinct from %(run_id)s and reason = %(reason)s
            """
        if connection.execute(known, entry).fetchone() is not None:
            return False
        connection.execute(
            """
            update audit.incidents set closed_at = %(at)s
            where closed_at is null and (kind, dag, night) = (%(kind)s, %(dag)s, %(night)s)
            """,
            entry,
        )
        connection.execute(
            """
            insert into audit.incidents (kind, night, dag, run_id, reason, message, opened_at)
            values (%(kind)s, %(night)s, %(dag)s, %(run_id)s, %(reason)s, %(message)s, %(at)s)
            """,
            entry,
        )
    return True


def close_incident(incident_id: int, over: str, at: datetime) -> None:
    """Record that an incident is over, and what people are told of that."""
    with connect() as connection:
        connection.execute(
            "update audit.incidents set closed_at = %s, over = %s where incident_id = %s and closed_at is null",
            [at, over, incident_id],
        )


def unsettled(since: datetime) -> list[Incident]:
    """Incidents that are open, and those that were over at an instant or later: somebody may still have to be told."""
    with connect() as connection, connection.cursor(row_factory=class_row(Incident)) as cursor:
        return cursor.execute(
            """
            select
                incident_id, kind, night, dag, run_id, reason, message, opened_at, closed_at, over, told, told_over
            from audit.incidents
            where closed_at is null or over is not null and closed_at >= %s
            order by incident_id
            """,
            [since],
        ).fetchall()


def record_told(incident_id: int, channel: str, *, over: bool) -> None:
    """Record that a channel has taken the message of an incident, or the one that it is over."""
    with connect() as connection:
        connection.execute(
            """
            update audit.incidents set
                told = case when %(over)s then told else array_append(told, %(channel)s) end,
                told_over = case when %(over)s then array_append(told_over, %(channel)s) else told_over end
            where incident_id = %(incident)s
            """,
            {"over": over, "channel": channel, "incident": incident_id},
        )


def was_away(night: date, since: datetime) -> bool:
    """Whether people were told at an instant or later that a night is late because nothing ran."""
    with connect() as connection:
        row = connection.execute(
            "select from audit.incidents where kind = %s and night = %s and opened_at >= %s",
            [str(IncidentKind.SCHEDULER), night, since],
        ).fetchone()
    return row is not None


def looks() -> tuple[datetime, datetime] | None:
    """When incidents were first looked for, and last; None if never."""
    with connect() as connection:
        return connection.execute("select first_at, last_at from audit.looks").fetchone()


def record_look(at: datetime) -> None:
    """Record that incidents were looked for."""
    with connect() as connection:
        connection.execute(
            """
            insert into audit.looks (first_at, last_at) values (%(at)s, %(at)s)
            on conflict (only_row) do update set last_at = excluded.last_at
            """,
            {"at": at},
        )
