"""The undisturbed course of a night and its features: where it stands before each step, and what it comes to.

A round begins where the step begins in which something happens to it. What comes before is the same for all rounds, so
it is done once, and copied.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.faults.place import Place
from tests.faults.state import State

DAGS: Final = ("nightly", "features")


class Course:
    """The course of one night after what was prepared."""

    def __init__(self, start: Place, folder: Path) -> None:
        """Begin at a place, and keep copies of it below a folder."""
        self._start, self._folder = start, folder
        self._held = ExitStack()
        self._stands: dict[tuple[str, str], Place] = {}
        self._ends: dict[str, State] = {}
        self._lock = threading.Lock()
        self._rounds = 0

    def close(self) -> None:
        """Let go of every copy."""
        self._held.close()

    @contextmanager
    def before(self, dag: str = "nightly", step: str = "begin") -> Iterator[Place]:
        """A place of its own for a round, which stands before a step."""
        with self._lock:
            stand = self._stand(dag, step)
            self._rounds += 1
            folder = self._folder / f"round-{self._rounds}"
        with stand.copied(folder) as place:
            yield place

    def _stand(self, dag: str, step: str) -> Place:
        """Where the course stands before a step; nobody plays there."""
        if (dag, step) not in self._stands:
            steps = self._start.asked(dag).steps
            earlier = [one for one in steps[: steps.index(step)] if (dag, one) in self._stands]
            if not earlier and dag == "nightly":
                self._stands[dag, "begin"] = self._start
                return self._stand(dag, step)
            begin = self._stand(dag, earlier[-1]) if earlier else self._stand("nightly", "finish")
            place = self._held.enter_context(begin.copied(self._folder / f"{dag} {step}".replace(" ", "-")))
            if not earlier:
                place.go(place.asked("nightly"), "finish")
            if earlier:
                place.go(place.asked(dag), earlier[-1], steps[steps.index(step) - 1])
            elif step != "begin":
                place.go(place.asked(dag), "begin", steps[steps.index(step) - 1])
            self._stands[dag, step] = place
        return self._stands[dag, step]

    @contextmanager
    def anew(self, place: Place) -> Iterator[Place]:
        """A place with a copy of another's shop, an empty warehouse and no lake."""
        with self._lock:
            self._rounds += 1
            folder = self._folder / f"round-{self._rounds}"
        with place.with_nothing(folder) as fresh:
            yield fresh

    def end(self, name: str = "a night", play: Callable[[Place], None] | None = None) -> State:
        """What an undisturbed course comes to.

        Args:
            name: what it is called; it is played once.
            play: what is done, from the beginning; one night and its features, where nothing is said.
        """
        with self._lock:
            if name not in self._ends:
                with self._start.copied(self._folder / f"end-{len(self._ends)}") as place:
                    (play or finish)(place)
                    self._ends[name] = place.look()
            return self._ends[name]


def finish(place: Place, dag: str = "nightly", step: str = "begin") -> None:
    """Go on from a step to the end of the night and its features."""
    place.go(place.asked(dag), step)
    if dag == "nightly":
        place.go(place.asked("features"))
