"""The question to an operator: more is in quarantine, or gone, than tolerated, or unusual; may the run go on?

Belongs here: how it is put in Airflow's form, and what each answer does. Does not: what is too much (the gate).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from include.contract.currency import written
from include.ledger import approvals
from include.ledger.approvals import Answer
from include.ledger.redaction import redacted
from include.settings import settings

_VALUE_LENGTH = 80  # characters of one value of a sample row


class NotApproved(RuntimeError):
    """An operator said no, or nothing in time: yesterday's tables stay. The message says which, and who."""


class Approval(ApprovalOperator):
    """Waits for an operator with what the ledger says of the run's last question; fails unless they approve.

    It waits in ``awaiting_input``, which holds no worker.
    """

    def __init__(self, *, run_id: str, **kwargs: Any) -> None:
        """Ask about a run.

        Args:
            run_id: its id; a template.
            kwargs: what any operator takes.
        """
        self.run_id = run_id
        super().__init__(subject="May this night be published?", **kwargs)

    template_fields = ("run_id",)  # not the question: it quotes rows

    def execute(self, context: Any) -> None:
        """Put the question and wait; an approval that was given already stands, until ``check_tolerance`` asks anew."""
        asked = approvals.latest(self.run_id)
        if asked is None:
            raise NotApproved("there is nothing to approve: clear check_tolerance, which asks if there is")
        if asked.answer == Answer.APPROVED:
            return
        if asked.answer:  # this task alone was cleared: what was answered before stays in the ledger
            approvals.ask(self.run_id, asked.figures, asked.evidence)
        self.subject, self.body = question(asked.evidence)
        super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Enter the answer in the ledger.

        Raises:
            NotApproved: unless it is an approval.
        """
        if event.get("error_type") == "timeout":
            approvals.record_answer(self.run_id, Answer.UNANSWERED, None)
            raise NotApproved(
                f"nobody answered within {settings().approval_hours:g} h; nothing is published, yesterday's tables stay"
            )
        if "error" in event:
            return super().execute_complete(context, event)
        who = name_of(event.get("responded_by_user"))
        if event["chosen_options"] != [self.APPROVE]:
            approvals.record_answer(self.run_id, Answer.REJECTED, who)
            raise NotApproved(f"{who} rejected it; nothing is published, yesterday's tables stay")
        approvals.record_answer(self.run_id, Answer.APPROVED, who)
        return super().execute_complete(context, event)


def name_of(user: Mapping[str, Any] | None) -> str:
    """Who answered, as Airflow calls them."""
    return str((user or {}).get("name") or (user or {}).get("id") or "somebody")


def question(evidence: list[dict[str, Any]]) -> tuple[str, str]:
    """The subject and, in Markdown, the body of a question; no secret, and nothing that a page would load.

    Args:
        evidence: as ``include.gate.tolerance.Excess`` has it.
    """
    gone = [one for one in evidence if "deleted" in one]
    held = [one for one in evidence if "held" in one and one["over"]]
    also = [one for one in evidence if "held" in one and not one["over"]]
    unusual = [one["unusual"] for one in evidence if "unusual" in one]
    subjects = []
    if gone:
        listed = ", ".join(f"{one['deleted']:,} of {one['total']:,} {one['source']}" for one in gone)
        subjects.append(f"More rows gone from the shop than tolerated: {listed}")
    if held:
        listed = ", ".join(f"{one['held']:,} of {one['total']:,} {one['source']}" for one in held)
        subjects.append(f"More rows in quarantine than tolerated: {listed}")
    if unusual:
        subjects.append(f"Figures of the day are unusual: {'; '.join(unusual)}")
    approve = " ".join([*([_TAKEN_OUT] if gone else []), *([_KEPT] if held else []), *([_AS_IT_IS] if unusual else [])])
    parts = [_ANSWERS.format(approve=approve, hours=f"{settings().approval_hours:g}")]
    parts += map(_deleted, gone)
    parts += map(_held, held)
    if unusual:
        listed = "\n".join(f"- {_code(one)}" for one in unusual)
        parts.append(f"### Unusual figures of the day\n\n{listed}\n\n`audit.anomalies` has the rows behind each.")
    if also:
        listed = ", ".join(
            f"{one['held']:,} of {one['total']:,} {one['source']}{money(one['amounts'])}" for one in also
        )
        parts.append(f"**Within the tolerance**, held too: {listed}.")
    return redacted("; ".join(subjects)), redacted("\n\n".join(parts))


_TAKEN_OUT = "The rows that are gone from the shop, and no others, are taken out of the tables."
_KEPT = (
    "The rows that break a rule, and no others, are kept in quarantine; everything else is published without them. They"
    " flow in as soon as they pass their rules."
)
_AS_IT_IS = "The day is published as it is. Trigger `explain_day` too, so that it does not count for later days."
_ANSWERS = """\
- **Approve**: {approve}
- **Reject**: nothing is published, yesterday's tables stay and this run fails. Have the rows put right, then clear \
`begin`. The next night asks again only if it finds the same.
- **No answer** within {hours} h: the same as Reject."""


def _deleted(one: Mapping[str, Any]) -> str:
    """What is told of one source of which too many rows are gone."""
    days, lines = one["days"], [f"### {one['source']}: {one['deleted']:,} of {one['total']:,} rows are gone"]
    lines[0] += money(one["amounts"])
    told = f"Tolerated are {one['tolerance']:.1%}; gone are {one['deleted'] / one['total']:.1%}."
    if days:
        told += f" They are of {days['days']:,} days, {days['first']} to {days['last']}."
    lines.append(
        f"{told} If nobody deleted them, look for a policy that hides them, a view that was narrowed, a table that was"
        " emptied, or another database at the same address."
    )
    lines.append("Such as: " + ", ".join(map(_code, one["samples"])))
    return "\n\n".join(lines)


def _held(one: Mapping[str, Any]) -> str:
    """What is told of one source of which too many rows would be held."""
    lines = [
        f"### {one['source']}: {one['held']:,} of {one['total']:,} rows{money(one['amounts'])}",
        f"Tolerated are {one['tolerance']:.1%}. A row counts under every rule it broke; the worst rules:",
        "\n".join(
            f"- {rule['rows']:,} rows{money(rule['amounts'])}: {_code(rule['rule'])} {rule['meaning']}"
            for rule in one["rules"]
        ),
        "Such as, with what the broken rules read:",
        "\n".join(
            f"- {_code(row['key'])} ({', '.join(_code(rule) for rule in row['rules'])}): {_values(row['values'])}"
            for row in one["samples"]
        ),
    ]
    return "\n\n".join(lines)


def money(amounts: Mapping[str, str]) -> str:
    """Amounts side by side, never added up; one may be of an unknown currency."""
    listed = [
        f"{written(Decimal(amount), currency)} {'of no currency' if currency == '?' else currency}"
        for currency, amount in sorted(amounts.items())
    ]
    return f" ({', '.join(listed)})" if listed else ""


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_code(json.dumps(value, ensure_ascii=False))}" for name, value in values.items())


def _code(text: str) -> str:
    """Text that nothing in it makes Markdown of."""
    flat = " ".join(str(text).replace("`", "'").split())
    return f"`{flat if len(flat) <= _VALUE_LENGTH else flat[:_VALUE_LENGTH] + '…'}`"
