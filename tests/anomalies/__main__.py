"""``python -m tests.anomalies``: how often a quiet night is called unusual, and how many incidents are found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import typer

from include.local.embedded_postgres import Cluster
from include.local.profile import state_folder
from tests.anomalies.report import PARTS, Outcome, measured


def main(folder: Path | None = None) -> None:
    """Measure all parts and print what came of each.

    Args:
        folder: where the shops' lakes are kept for the next run.
    """
    home = folder or state_folder() / "anomalies"
    with ExitStack() as held:
        outcomes = [measured(part, home, _cluster(home, held)) for part in PARTS]
    for outcome in outcomes:
        sys.stdout.write(outcome.page())
    reported = [outcome for outcome in outcomes if outcome.part.reported]
    sys.stdout.write(Outcome.summary(reported))


def _cluster(home: Path, held: ExitStack) -> Callable[[], Cluster]:
    """Starts a Postgres where a lake is to be filled; it is stopped at the end."""
    started: list[Cluster] = []

    def start() -> Cluster:
        if not started:
            started.append(Cluster(home / "postgres"))
            started[0].start()
            held.callback(started[0].stop)
        return started[0]

    return start


if __name__ == "__main__":
    typer.run(main)
