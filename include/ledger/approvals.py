"""Approvals in the ledger: the questions that operators were asked, and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from include.ledger.connection import connect


class Answer(StrEnum):
    """The answer to a question; ``UNANSWERED``: nobody answered in time."""

    APPROVED = "approved"
    REJECTED = "rejected"
    UNANSWERED = "unanswered"


@dataclass(frozen=True)
class Question:
    """A question to an operator.

    Attributes:
        approval_id: its number.
        figures: a digest of the rows that would be held.
        evidence: what the operator is shown (``include.gate.tolerance.Excess``).
        asked_at: when it was put.
        answer: one of ``Answer``; None until there is one.
        answered_by: who gave it, as Airflow calls them; None where nobody did.
    """

    approval_id: int
    figures: str
    evidence: list[dict[str, Any]]
    asked_at: datetime
    answer: str | None
    answered_by: str | None

    @property
    def unusual(self) -> list[str]:
        """The unusual figures that it is about, a sentence each."""
        return [one["unusual"] for one in self.evidence if "unusual" in one]


def withdraw(run_id: str) -> None:
    """Delete the unanswered question of a run: a run waits for at most one answer."""
    with connect() as connection:
        connection.execute("delete from audit.approvals where run_id = %s and answer is null", [run_id])


def ask(run_id: str, figures: str, evidence: Sequence[dict[str, Any]]) -> None:
    """Record a question; earlier answers to the run no longer count."""
    with connect() as connection:
        connection.execute(
            "insert into audit.approvals (run_id, figures, evidence) values (%s, %s, %s)",
            [run_id, figures, Jsonb(list(evidence))],
        )


def latest(run_id: str) -> Question | None:
    """The last question of a run; None if it asked none."""
    with connect() as connection, connection.cursor(row_factory=class_row(Question)) as cursor:
        return cursor.execute(
            """
            select approval_id, figures, evidence, asked_at, answer, answered_by
            from audit.approvals where run_id = %s
            order by approval_id desc limit 1
            """,
            [run_id],
        ).fetchone()


def approved(run_id: str) -> Question | None:
    """The last question of a run, if it was approved: the run may continue with its figures."""
    asked = latest(run_id)
    return asked if asked and asked.answer == Answer.APPROVED else None


def record_answer(run_id: str, answer: Answer, answered_by: str | None) -> None:
    """Record the answer to the last question of a run; the first answer stays."""
    with connect() as connection:
        connection.execute(
            """
            update audit.approvals set answer = %(answer)s, answered_by = %(by)s, answered_at = now()
            where approval_id = (select max(approval_id) from audit.approvals where run_id = %(run)s) and answer is null
            """,
            {"answer": answer, "by": answered_by, "run": run_id},
        )
