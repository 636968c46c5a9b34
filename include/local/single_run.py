"""One run of a DAG, started and followed from the command line, and what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import typer

from include.local import environment
from include.local.airflow_api import FEATURES, RETRY, WAITS, Api, DagRun, task_name
from include.local.machine import Machine, say
from include.local.processes import NIGHT
from include.local.profile import StandaloneError


@contextmanager
def airflow_for_one_run(machine: Machine) -> Iterator[Api]:
    """Airflow's API, for one run; it is stopped afterwards unless ``make ui`` started it.

    Waits for another command on the same profile, prepares the databases, and gives up runs that were interrupted.
    """
    with machine.alone():
        machine.prepare()
        try:
            api = machine.start_airflow(NIGHT, stay=False)
            if not machine.airflow.stays:
                for interrupted in api.give_up_interrupted():
                    say(f"Gave up {interrupted}, which was interrupted")
            yield api
        finally:
            if not machine.airflow.stays:
                machine.airflow.stop()


def tell(machine: Machine, run: DagRun, features: DagRun | None = None) -> None:
    """Print the summary of a run."""
    os.environ.update(machine.variables)
    from include.ledger.summary import summary  # reads the settings, which exist only now

    typer.echo(summary(run.run_id, features.run_id if features else None, environment.asked_shop()))


def publish(
    machine: Machine,
    api: Api,
    what: str,
    start: Callable[[], DagRun],
    start_features: Callable[[], DagRun],
    before: Sequence[tuple[DagRun, Mapping[str, Any]]] = (),
) -> None:
    """Run a DAG that publishes the reporting tables, then the features of the day, and print both results.

    Args:
        machine: the processes of the profile.
        api: Airflow's API.
        what: the name of the run, as the subject of a sentence.
        start: starts it.
        start_features: starts the features, where no asset does.
        before: runs that must be answered first, each with the task that asks.
    """
    # Where Airflow runs for this night only, assets start no run: the features are triggered here, like the night.
    # Their DAG is paused meanwhile, so that the asset does not start them again later.
    alone = not machine.airflow.stays
    api.pause(FEATURES, paused=alone)
    try:
        run = start()
        say(f"{what}: {run.run_id}")
        for other, task in before:
            _say_it_waits(machine, api, other, task)
        ended = follow(machine, api, run, what)
    finally:
        with suppress(StandaloneError, httpx.HTTPError):  # the night's own error is the one to report
            api.pause(FEATURES, paused=False)
    features = failure = None
    if ended.get("publish") == "success":  # not after a dry run, nor after a replay that released nothing
        features = start_features() if alone else api.started_by(run)
        say(f"Its features: {features.run_id}")
        try:
            follow(machine, api, features, f"{what} is published; making its features")
        except StandaloneError as error:
            failure = error
    tell(machine, run, features)
    if failure:
        raise failure


def follow(machine: Machine, api: Api, run: DagRun, what: str) -> dict[str, str]:
    """Print how each task of a run ends.

    Returns:
        The state of each task, by its name.

    Raises:
        StandaloneError: when the run fails, with ``what`` as its subject.
    """
    failed, ended = [], {}
    for task in api.follow(run):
        ended[task_name(task)] = str(task["state"])
        if task["state"] == WAITS:
            _say_it_waits(machine, api, run, task)
            continue
        if task["state"] == "success":
            outcome = f"{task['duration'] or 0:7.1f} s"
        elif task["state"] == RETRY:
            outcome = f"will be tried again: {api.failure(run, task).splitlines()[-1]}"
        else:
            outcome = task["state"]
        say(f"  {task_name(task):<40} {outcome}")
        if task["state"] == "failed":
            failed.append(task)
    if api.state(run) != "success":
        causes = [task for task in failed if task["task_id"] != "report"]  # which fails because they did
        for task in causes or failed:
            say(f"\n{task_name(task)} failed:\n{api.failure(run, task)}")
        raise StandaloneError(f"{what} failed. `make ui` shows every task's log.")
    return ended


def _say_it_waits(machine: Machine, api: Api, run: DagRun, task: Mapping[str, Any]) -> None:
    """Print that a run waits for a person's answer, its question, and where to answer."""
    say(f"  {task_name(task):<40} waits for your answer")
    say(f"\n{api.question(run, task)}")
    say(f"Answer at {machine.url}{run.answer_page(task['task_id'])}")
    say(f"  log in as admin; the password is in {environment.login_file(machine.profile)}\n")
