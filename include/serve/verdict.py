"""The verdict on a run, in one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from include.ledger.redaction import redacted
from include.ledger.runs import Kind

# An error as the listener writes it: the task, the type of the error unless it is one of our own, and the message.
_ERROR = re.compile(r"(?P<task>[\w.-]+): (?:(?P<kind>[A-Z]\w*): )?(?P<message>.+)", re.DOTALL)
_JUDGES = {
    "extract": "The reading of the shop",
    "check_tolerance": "The gate",
    "accept": "The gate",
    "audit": "The audit",
}
_PERSON = "approve"  # the task that waits for a person's answer


class Mood(StrEnum):
    """How urgently a person should look."""

    GOOD = "good"
    ATTENTION = "attention"
    BAD = "bad"
    WAITING = "waiting"


@dataclass(frozen=True)
class Verdict:
    """The verdict on a run.

    Attributes:
        mood: its urgency.
        word: one or two words: Published, Stopped, Failed, Dry run, …
        sentence: the whole verdict.
        reasons: every reason that stopped the night; the sentence names the first.
    """

    mood: Mood
    word: str
    sentence: str
    reasons: tuple[str, ...] = ()


def verdict(run: Mapping[str, Any], *, last_task: bool = False) -> Verdict:
    """The verdict on a run.

    Args:
        run: the run's row of ``figures.runs``.
        last_task: whether the run's last task asks: if there is no publication by then, none will come.
    """
    if run["state"] == "failed":
        return _failed(run)
    if run["published_at"]:
        return _published(run)
    if run["judged_at"]:
        held = "nothing is in quarantine" if not run["held"] else "no row in quarantine passes its rules"
        return Verdict(
            Mood.ATTENTION if run["held"] else Mood.GOOD, "Nothing to release", f"Nothing was published: {held}."
        )
    if run["dry_run"] and (run["state"] == "success" or run["audited"]):
        return _dry(run)
    if run["state"] == "success":
        return Verdict(Mood.ATTENTION, "Nothing published", "The run was marked as finished without a publication.")
    if last_task:
        return Verdict(
            Mood.BAD, "Nothing published", "The run ended without a publication; the log of the red task says why."
        )
    if run["waits"]:
        return Verdict(
            Mood.ATTENTION,
            "Waits for you",
            "More rows would be in quarantine, or are gone from the shop, than is tolerated, or the day is unusual."
            " Answer in Airflow: task approve, Required Actions.",
        )
    last = f"; last finished: {run['last_stage']}" if run["last_stage"] else ""
    return Verdict(Mood.WAITING, "Running", f"Not finished yet{last}.")


def _published(run: Mapping[str, Any]) -> Verdict:
    sentence = f"Published: the tables cover whole days up to {run['horizon']}"
    if run["has_features"]:
        sentence = f"Published: the feature sets as of {run['night']}"
    if run["kind"] == Kind.REPUBLISH:
        sentence = f"Put back: the reporting tables are as publication {run['built_from']}, of the night of"
        return Verdict(
            Mood.ATTENTION, "Put back", f"{sentence} {run['night']}, left them: days up to {run['horizon']}."
        )
    if run["kind"] == Kind.REMOVAL:
        return Verdict(Mood.ATTENTION, "Removed", f"Removed: no table has a slice of the night of {run['night']} now.")
    if run["incomplete"]:
        sentence += f", but the copy of {', '.join(run['incomplete'])} does not hold exactly the rows of the shop"
        return Verdict(Mood.BAD, "Published, incomplete", f"{sentence}.")
    if run["held"]:
        rows = "1 row is" if run["held"] == 1 else f"{run['held']:,} rows are"
        return Verdict(Mood.ATTENTION, "Published", f"{sentence}; {rows} in quarantine.")
    return Verdict(Mood.GOOD, "Published", f"{sentence}, and no row is in quarantine.")


def _dry(run: Mapping[str, Any]) -> Verdict:
    mood = Mood.ATTENTION if run["held"] or run["incomplete"] else Mood.GOOD
    held = f"; {run['held']:,} rows would be in quarantine" if run["held"] else ""
    return Verdict(mood, "Dry run", f"Dry run: everything up to publishing went through, nothing was published{held}.")


def _failed(run: Mapping[str, Any]) -> Verdict:
    error = redacted(run["error"] or "")
    found = _ERROR.fullmatch(error)
    outcome = "after it had published" if run["published_at"] else "nothing was published"
    if found and not found["kind"] and found["task"] in _JUDGES:
        head, _, rest = found["message"].partition(". ")
        reasons = tuple(rest.split(" | ")) if rest else (head,)
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        who = _JUDGES[found["task"]]
        what = "night" if run["kind"] == Kind.NIGHT else run["dag"]
        return Verdict(Mood.BAD, "Stopped", f"{who} stopped the {what}, {outcome}: {reasons[0]}{more}", reasons)
    if found and not found["kind"] and found["task"] == _PERSON:
        return Verdict(Mood.BAD, "Not approved", f"Not approved: {found['message']}.")
    if found:
        what = f"{found['kind']}: {found['message']}" if found["kind"] else found["message"]
        return Verdict(Mood.BAD, "Failed", f"Failed in {found['task']}, {outcome}: {what}")
    return Verdict(Mood.BAD, "Failed", f"Failed, {outcome}: {error or 'the log of the first red task says why'}")
