"""A fault, and the round that is played with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.faults.course import Course, finish
from tests.faults.place import Place
from tests.faults.processes import KILLED, Ended, Point
from tests.faults.state import State, differences
from tests.faults.steps import Asked

_ATTEMPTS = 20  # to kill a process between its file and its commit, which may be a millisecond; five were too few once
_UNSEEN = ("file", "gate")  # what such a process leaves
_TRIES = 4  # after the first, as the tasks' defaults say


class Wrong(Exception):
    """A round did not go as expected; the message says how."""


class Skipped(Exception):
    """A round cannot be played here; the message says why. It counts as played by nobody."""


@dataclass(frozen=True)
class Fault:
    """Something that happens to a night.

    Attributes:
        name: what it is called, ``<step>.<what>``.
        where: the step, and the place in it.
        expected: what is to come of it.
        play: plays the round; gives what happened.
    """

    name: str
    where: str
    expected: str
    play: Callable[[Course], str]


def killed(name: str, where: str, step: str, point: Point, dag: str = "nightly") -> Fault:
    """The process of a step is killed at a point; the step is tried again, and the night goes on."""

    def play(course: Course) -> str:
        for _ in range(_ATTEMPTS if point.file else 1):
            with course.before(dag, step) as place:
                ended = place.do(place.asked(dag), step, point)
                left = place.left() if ended.code == KILLED else []
                if ended.code != KILLED or (point.file and not any(line.startswith(_UNSEEN) for line in left)):
                    continue
                finish(place, dag, step)
                must_equal(course.end(dag), place.look())
                return f"killed, {'leaving ' + _counted(left) if left else 'leaving nothing'}; retried: as undisturbed"
        raise Wrong(f"nothing died there: the step ended with {ended.code} {ended.error}")

    return Fault(name, where, "the retry ends as if nothing had happened", play)


def _counted(left: Iterable[str]) -> str:
    """What was left, by its kind."""
    kinds = Counter(line.partition(" ")[0] for line in left)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def must_equal(expected: State, found: State, leaving_out: Iterable[str] = ()) -> None:
    """Refuse a state that is not the expected one.

    Raises:
        Wrong: with the first differences.
    """
    if said := differences(expected, found, leaving_out):
        raise Wrong(" | ".join(said[:4]) + (f" | and {len(said) - 4} more" if len(said) > 4 else ""))


def must_fail(ended: Ended, *words: str, passing: bool) -> str:
    """What a step said that had to fail, in a way that is tried again or not.

    Raises:
        Wrong: when it did not fail, or otherwise.
    """
    if ended.code != 1:
        raise Wrong(f"the step did not fail: it ended with {ended.code}")
    if ended.is_passing != passing:
        raise Wrong(f"it would {'not ' if passing else ''}be tried again: {ended.error}")
    if lacking := [word for word in words if word not in ended.error]:
        raise Wrong(f"it does not say {', '.join(lacking)}: {ended.error}")
    return ended.error


def persist(place: Place, asked: Asked, step: str) -> Ended:
    """Do a step as Airflow does: again, as often as it may be, where the trouble passes."""
    for _ in range(1 + _TRIES):
        ended = place.do(asked, step)
        if not ended.code or not ended.is_passing:
            return ended
    return ended
