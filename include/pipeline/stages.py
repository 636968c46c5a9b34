"""A stage of a run: what a task does, timed, and a damaged file named when it fails because of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from include.lake.integrity import blamed
from include.ledger import runs


@contextmanager
def stage(run_id: str, name: str) -> Iterator[None]:
    """Do a stage of a run in this block.

    Raises:
        Damaged: when it fails because of a file of the lake; the message names it.
    """
    with blamed(), runs.timed(run_id, name):
        yield
