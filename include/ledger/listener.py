"""Airflow's listener for the runs that publish: the ledger records when a run finishes, fails (and why) or resumes.

Airflow calls these functions in its own processes (a task's, the scheduler's, the API server's). None of them ever
raises: if the ledger cannot be written, that is a line in the process's log, never a failed run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pluggy import HookimplMarker

from include.settings.shops import dag_of, of_shop, shop_names, shop_of

hookimpl = HookimplMarker("airflow")  # airflow.listeners.hookimpl is the same, but comes with all of Airflow
TAG = "stocktake"  # every DAG whose runs are in the ledger has it
ERROR_LENGTH = 4000  # the gate's messages name tables, rules and keys; a driver's may contain a whole statement

_log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_running(dag_run: Any) -> None:
    """A run starts, or resumes after it was cleared: its earlier error no longer counts."""
    _write(dag_run, dag_run, lambda runs: runs.resume_run(dag_run.run_id, dag_of(dag_run.dag_id)))


@hookimpl
def on_dag_run_success(dag_run: Any) -> None:
    """A run finished."""

    def succeed(runs: Any) -> None:
        runs.finish_run(dag_run.run_id, "success", dag=dag_of(dag_run.dag_id))
        _end_export(dag_run, "its run was marked as ended before the file was written")

    _write(dag_run, dag_run, succeed)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """A run failed; the error of its first failed task is already in the ledger, if that task could report it."""
    error = "the run took longer than it is allowed to" if msg == "timed_out" else None

    def fail(runs: Any) -> None:
        runs.finish_run(dag_run.run_id, "failed", error, dag_of(dag_run.dag_id))
        _end_export(dag_run, error or "its run was ended before the file was written")

    _write(dag_run, dag_run, fail)


@hookimpl
def on_task_instance_failed(task_instance: Any, error: str | BaseException | None) -> None:
    """A task failed for good. Airflow also calls this before a retry, and for a teardown, which does not fail a run."""
    task = getattr(task_instance, "task", None)
    if task_instance.state == "up_for_retry" or getattr(task, "is_teardown", False):
        return

    def fail(runs: Any) -> None:
        text = described(task_instance.task_id, error)
        runs.finish_run(task_instance.run_id, "failed", text, dag_of(task_instance.dag_id))
        _end_export(task_instance, text)

    _write(task_instance, task, fail)


def described(task_id: str, error: str | BaseException | None) -> str:
    """An error in one line: the task, the type of the error unless it is one of our own, and its message."""
    from include.ledger.redaction import redacted

    text = " ".join(str(error if error is not None else "ended without an error message; its log may say more").split())
    if isinstance(error, BaseException) and not type(error).__module__.startswith(("include.", "transforms.")):
        text = f"{type(error).__name__}: {text}"
    text = redacted(f"{task_id}: {text}")
    return text if len(text) <= ERROR_LENGTH else f"{text[: ERROR_LENGTH - 1]}…"


def _end_export(of_run: Any, error: str) -> None:
    """A run that has ended without its export leaves nobody waiting for it."""
    from include.ledger import exports

    if dag_of(of_run.dag_id) == exports.DAG:
        exports.fail(of_run.run_id, error)


def _write(of_run: Any, of_dag: Any, entry: Callable[[Any], None]) -> None:
    """Write an entry, unless the DAG is known and not ours; an entry for an unknown run changes nothing."""
    try:
        dag = getattr(of_dag, "dag", None)
        if dag is not None and TAG not in dag.tags:
            return
        shop = shop_of(of_run.dag_id)
        if shop is None and shop_names():
            return
        from include.ledger import runs

        with of_shop(shop):
            entry(runs)
    except Exception as error:  # whatever it is, the run goes on
        # Only the type of the error: its text may quote a connection string.
        _log.warning("run %s could not be recorded in the ledger: %s", of_run.run_id, type(error).__name__)
