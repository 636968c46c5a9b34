"""A stage of a run: what a task does, timed, with a span; a damaged file is named when it fails because of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from include.lake.integrity import blamed
from include.lake.private_folders import keep_private
from include.ledger import runs
from include.pipeline.troubles import told_apart
from include.telemetry.spans import span


@contextmanager
def stage(run_id: str, name: str) -> Iterator[None]:
    """Do a stage of a run in this block.

    Raises:
        Damaged: when it fails because of a file of the lake; the message names it.
        MayPass: when it fails in a database for a reason that may pass.
    """
    keep_private()
    with span(name, run_id=run_id), told_apart(), blamed(), runs.timed(run_id, name):
        yield
