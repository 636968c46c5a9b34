"""The matrix: every fault's round, what was expected and what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.faults.company import company
from tests.faults.course import Course
from tests.faults.disk import disks
from tests.faults.fault import Fault, Skipped, Wrong
from tests.faults.kills import kills
from tests.faults.place import Failed
from tests.faults.servers import servers

GREEN, RED, SKIPPED = "green", "RED", "skipped"


@dataclass(frozen=True)
class Outcome:
    """What came of a round.

    Attributes:
        fault: what happened to it.
        happened: what came of that.
        verdict: green, red or skipped.
        seconds: how long it took.
    """

    fault: Fault
    happened: str
    verdict: str
    seconds: float


def faults(*, every: bool = False) -> list[Fault]:
    """Every fault there is."""
    return [*kills(every=every), *servers(), *disks(), *company()]


def chosen(names: Sequence[str], known: Sequence[Fault]) -> list[Fault]:
    """The faults that names, or beginnings of names, ask for; all of them without any.

    Raises:
        ValueError: when one names nothing.
    """
    if unknown := [name for name in names if not any(fault.name.startswith(name) for fault in known)]:
        raise ValueError(f"there is no fault {', '.join(unknown)}; there are {', '.join(one.name for one in known)}")
    return [fault for fault in known if not names or fault.name.startswith(tuple(names))]


def play(fault: Fault, course: Course) -> Outcome:
    """Play a round."""
    start = time.monotonic()
    try:
        happened, verdict = fault.play(course), GREEN
    except (Wrong, Failed) as wrong:
        happened, verdict = str(wrong), RED
    except Skipped as reason:
        happened, verdict = str(reason), SKIPPED
    return Outcome(fault, happened, verdict, time.monotonic() - start)


def play_all(some: Iterable[Fault], course: Course, at_once: int, tell: Callable[[Outcome], None]) -> list[Outcome]:
    """Play rounds, some of them at once, and tell of each as it ends."""

    def one(fault: Fault) -> Outcome:
        outcome = play(fault, course)
        tell(outcome)
        return outcome

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, some))


def told(outcomes: Sequence[Outcome]) -> str:
    """The matrix as a table."""
    rows = [("verdict", "fault", "where", "expected", "what happened")]
    rows += [(one.verdict, one.fault.name, one.fault.where, one.fault.expected, one.happened) for one in outcomes]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    counted = {verdict: sum(one.verdict == verdict for one in outcomes) for verdict in (GREEN, RED, SKIPPED)}
    return "\n".join([*lines, "", ", ".join(f"{count} {verdict}" for verdict, count in counted.items())])
