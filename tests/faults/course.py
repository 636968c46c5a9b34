"""The undisturbed course of every kind of run: where it stands before each step, and what it comes to.

A round begins where the step begins in which something happens to it. What comes before is the same for all rounds, so
it is done once, and copied.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from tests.faults.place import Place
from tests.faults.state import State

# What a run of a kind follows: one of another kind, as it stands before a step, or when it is over.
_OVER: Final = "over"
_FOLLOWS: Final = {
    "features": ("nightly", _OVER),
    "approval": ("nightly", "check_tolerance"),
    "replay": ("features", _OVER),
    "vain replay": ("features", _OVER),
    "republish": ("features", _OVER),
}


class Course:
    """The course of one night after what was prepared, and of what may follow it."""

    def __init__(self, start: Place, folder: Path) -> None:
        """Begin at a place, and keep copies of it below a folder."""
        self._start, self._folder = start, folder
        self._held = ExitStack()
        self._stands: dict[tuple[str, str], Place] = {}
        self._ends: dict[str, State] = {}
        self._lock = threading.Lock()
        self._rounds = 0

    @property
    def start(self) -> Place:
        """Where it begins."""
        return self._start

    def close(self) -> None:
        """Let go of every copy."""
        self._held.close()

    @contextmanager
    def before(self, dag: str = "nightly", step: str | None = None) -> Iterator[Place]:
        """A place of its own for a round, which stands before a step, or the first one."""
        with self._lock:
            stand = self._stand(dag, step)
            self._rounds += 1
            folder = self._folder / f"round-{self._rounds}"
        with stand.copied(folder) as place:
            yield place

    def _stand(self, dag: str, step: str | None = None) -> Place:
        """Where the course stands before a step; nobody plays there."""
        steps = [*self._start.asked(dag).steps, _OVER]
        number = steps.index(step) if step else 0
        if not number:
            return self._stand(*_FOLLOWS[dag]) if dag in _FOLLOWS else self._start
        at = dag, steps[number]
        if at not in self._stands:
            earlier = next((one for one in reversed(steps[:number]) if (dag, one) in self._stands), steps[0])
            folder = self._folder / " ".join(at).replace(" ", "-")
            place = self._held.enter_context(self._stand(dag, earlier).copied(folder))
            place.go(place.asked(dag), earlier, steps[number - 1])
            self._stands[at] = place
        return self._stands[at]

    @contextmanager
    def anew(self, place: Place) -> Iterator[Place]:
        """A place with a copy of another's shop, an empty warehouse and no lake."""
        with self._lock:
            self._rounds += 1
            folder = self._folder / f"round-{self._rounds}"
        with place.with_nothing(folder) as fresh:
            yield fresh

    def end(self, dag: str = "nightly", name: str = "", play: Callable[[Place], None] | None = None) -> State:
        """What an undisturbed course comes to.

        Args:
            dag: the kind of run that is played from its beginning; a night with its features.
            name: what it is called if it is another one; it is played once.
            play: what is done then.
        """
        dag = "nightly" if dag == "features" else dag
        with self._lock:
            if (name or dag) not in self._ends:
                with self._stand(dag).copied(self._folder / f"end-{len(self._ends)}") as place:
                    (play or partial(finish, dag=dag))(place)
                    self._ends[name or dag] = place.look()
            return self._ends[name or dag]


def finish(place: Place, dag: str = "nightly", step: str | None = None) -> None:
    """Go on from a step to the end of a run; of a night to that of its features."""
    place.go(place.asked(dag), step)
    if dag == "nightly":
        place.go(place.asked("features"))
