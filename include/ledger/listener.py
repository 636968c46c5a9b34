"""What Airflow tells of the runs that publish, written into the ledger: finished, failed and why, taken up.

Airflow calls these in its own processes (a task's, the scheduler's, the API server's). None of them ever raises: a
ledger that cannot be written is a line in that process's log, never a failed run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pluggy import HookimplMarker

hookimpl = HookimplMarker("airflow")  # airflow.listeners.hookimpl is the same, but comes with all of Airflow
TAG = "stocktake"  # of every DAG whose runs the ledger may know
ERROR_LENGTH = 4000  # what the gate says names tables, rules and keys; a driver's message may hold a whole statement

_log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_running(dag_run: Any) -> None:
    """A run starts, or goes on after it was cleared: what it failed with before is over."""
    _write(dag_run, dag_run, lambda runs: runs.resume_run(dag_run.run_id, dag_run.dag_id))


@hookimpl
def on_dag_run_success(dag_run: Any) -> None:
    """A run finished."""
    _write(dag_run, dag_run, lambda runs: runs.finish_run(dag_run.run_id, "success", dag=dag_run.dag_id))


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """A run failed; what its first task said is in the ledger by now, unless nothing could say it."""
    error = "the run took longer than it may" if msg == "timed_out" else None
    _write(dag_run, dag_run, lambda runs: runs.finish_run(dag_run.run_id, "failed", error, dag_run.dag_id))


@hookimpl
def on_task_instance_failed(task_instance: Any, error: str | BaseException | None) -> None:
    """A task failed for good. Airflow calls this before a retry too, and for a teardown, which fails no run."""
    task = getattr(task_instance, "task", None)
    if task_instance.state == "up_for_retry" or getattr(task, "is_teardown", False):
        return

    def fail(runs: Any) -> None:
        said = described(task_instance.task_id, error)
        runs.finish_run(task_instance.run_id, "failed", said, task_instance.dag_id)

    _write(task_instance, task, fail)


def described(task_id: str, error: str | BaseException | None) -> str:
    """An error in one line: the task, the kind of error unless it is our own sentence, and what it says."""
    from include.ledger.redaction import redacted

    text = " ".join(str(error if error is not None else "ended without a word; its log may say more").split())
    if isinstance(error, BaseException) and not type(error).__module__.startswith(("include.", "transforms.")):
        text = f"{type(error).__name__}: {text}"
    text = redacted(f"{task_id}: {text}")
    return text if len(text) <= ERROR_LENGTH else f"{text[: ERROR_LENGTH - 1]}…"


def _write(of_run: Any, of_dag: Any, entry: Callable[[Any], None]) -> None:
    """Make an entry, unless the DAG is at hand and is none of ours; else the ledger knows the run, or does not."""
    try:
        dag = getattr(of_dag, "dag", None)
        if dag is not None and TAG not in dag.tags:
            return
        from include.ledger import runs

        entry(runs)
    except Exception as error:  # whatever it is, the run goes on
        # Only the kind of error: the text of one may quote a connection string.
        _log.warning("the ledger has no word of run %s: %s", of_run.run_id, type(error).__name__)
