"""The command line behind the Makefile: ``python -m include.local nightly|republish|replay|ui|psql|…``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import date as day
from datetime import datetime
from typing import Annotated, Any, NoReturn

import httpx
import typer

from include.local import environment, readiness
from include.local.airflow_api import (
    DAGS,
    FEATURES,
    REPLAY,
    REPUBLISH,
    RETRY,
    WAITS,
    Api,
    DagRun,
    Night,
    last_closed_day,
    now,
    task_name,
)
from include.local.embedded_postgres import HOST, Cluster, EmbeddedPostgresError, libpq_environment, locked
from include.local.processes import NIGHT, UI, Airflow, PortTakenError
from include.local.profile import SHOPS, Profile, StandaloneError, profile_named, state_folder

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


# A closed terminal counts too: a signal that ends this process ends the processes it started.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A single night runs without the schedule: a scheduled run would be cut off when the night ends.
_NO_SCHEDULE = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}
_PORTS_TRIED = 3


@dataclass(frozen=True)
class Machine:
    """The processes of one profile on this machine."""

    profile: Profile
    cluster: Cluster
    airflow: Airflow
    variables: dict[str, str] = field(repr=False)

    @classmethod
    def ready(cls) -> Machine:
        """The machine for the shop that the variable ``SHOP`` names, its databases started."""
        profile = profile_named(os.environ.get("SHOP", ""), state_folder())
        cluster = _cluster()
        readiness.start_postgres(profile, cluster)
        airflow = Airflow(profile)
        own = environment.own_variables(os.environ)
        given = environment.variables(profile, cluster, own, airflow.port)
        readiness.check_settings(given, own)
        return cls(profile, cluster, airflow, given)

    @property
    def url(self) -> str:
        """The address of Airflow's pages and API."""
        return f"http://{HOST}:{self.airflow.port}"

    @property
    def process_environment(self) -> dict[str, str]:
        """The environment of every process of the profile."""
        return environment.process_environment(self.variables, self.cluster)

    def alone(self) -> AbstractContextManager[None]:
        """Wait for another command on this profile to finish: each would stop the other's processes."""
        return locked(self.profile.state / "lock", waiting=lambda: _say("Waiting for another night to end"))

    def prepare(self) -> None:
        """Migrate Airflow's database and fill the shop, where that is not done."""
        readiness.prepare(self.profile, self.cluster, self.process_environment, _say)

    def start_airflow(self, names: tuple[str, ...], *, stay: bool) -> Api:
        """Start Airflow's processes that do not run; returns its API once it answers and has read the current DAGs."""
        for _ in range(_PORTS_TRIED - 1):
            try:
                return self._start_airflow(names, stay=stay)
            except PortTakenError:
                _say("Another program was quicker to take the port; trying another")
        return self._start_airflow(names, stay=stay)

    def _start_airflow(self, names: tuple[str, ...], *, stay: bool) -> Api:
        before = now()
        own = environment.own_variables(os.environ)
        variables = environment.variables(self.profile, self.cluster, own, self.airflow.port)
        if not (stay or self.airflow.stays):
            variables |= _NO_SCHEDULE
        given = environment.process_environment(variables, self.cluster)
        started = self.airflow.start(names, given, fingerprint=environment.fingerprint(variables), stay=stay)
        if started:
            _say("Starting Airflow")
        password = environment.login(self.profile)["admin"]
        api = Api.connect(
            self.url, "admin", password, check=lambda: self.airflow.check(names), ours=lambda: self.airflow.listens
        )
        for dag in DAGS:
            api.wait_for_dag(before if started else None, dag)
        return api


@cli.command()
def nightly(
    date: Annotated[str | None, typer.Option(help="The business day, 2026-11-21; else the last closed one.")] = None,
    engine: Annotated[str, typer.Option(help="What builds the tables.")] = "auto",
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Read and build everything again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but publish.")] = False,
    parity: Annotated[str | None, typer.Option(help="Build a sample of the tables on this engine as well.")] = None,
) -> None:
    """Run one night and say what came of it."""
    given = _day(date) if date else None
    machine = Machine.ready()
    timezone = machine.variables["STOCKTAKE_TIMEZONE"]
    closed = last_closed_day(timezone)
    if given and given > closed:
        raise StandaloneError(f"{given} is not over in {timezone}: the last closed day is {closed}.")
    night = Night(given or closed, given, engine, full_refresh, dry_run, parity)
    with machine.alone():
        machine.prepare()
        try:
            _run(machine, night)
        finally:
            if not machine.airflow.stays:
                machine.airflow.stop()


@cli.command()
def republish(
    night: Annotated[str, typer.Option(help="The business day whose night is put back, 2026-11-20.")],
    publication: Annotated[int | None, typer.Option(help="Which publication of it; else its newest.")] = None,
) -> None:
    """Put a past night back and say what readers have now."""
    past = _day(night, "NIGHT")
    machine = Machine.ready()
    with machine.alone():
        machine.prepare()
        try:
            api = _airflow_for_one(machine)
            run = api.start(REPUBLISH, {"night": past.isoformat(), "publication": publication})
            _say(f"Putting the night of {past} back: {run.run_id}")
            _follow(machine, api, run, f"Putting the night of {past} back")
            _tell(machine, run)
        finally:
            if not machine.airflow.stays:
                machine.airflow.stop()


@cli.command()
def replay(
    engine: Annotated[str, typer.Option(help="What builds the tables.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but publish.")] = False,
) -> None:
    """Judge the quarantine again, without reading the shop, and say what was released."""
    machine = Machine.ready()
    with machine.alone():
        machine.prepare()
        try:
            api = _airflow_for_one(machine)
            _publish(
                machine,
                api,
                "The replay of the quarantine",
                lambda: api.start(REPLAY, {"engine": engine, "dry_run": dry_run}),
                lambda: api.start(FEATURES, {"engine": engine, "parity": None}),
            )
        finally:
            if not machine.airflow.stays:
                machine.airflow.stop()


@cli.command()
def ui() -> None:
    """Start Airflow and say where it is and how to log in."""
    machine = Machine.ready()
    with machine.alone():
        machine.prepare()
        machine.start_airflow(UI, stay=True)
    typer.echo(f"Airflow: {machine.url}")
    for user, password in environment.login(machine.profile).items():
        typer.echo(f"  log in as {user:<7} {password}")
    typer.echo("It stays until `make stop`.")


@cli.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open the warehouse as the analyst; arguments go to psql."""
    machine = Machine.ready()
    url = machine.variables.get("STOCKTAKE_ANALYST_URL")
    if url is None:
        raise StandaloneError("With a STOCKTAKE_WAREHOUSE_URL of your own, set STOCKTAKE_ANALYST_URL as well.")
    os.execve(  # noqa: S606 (no shell is wanted)
        machine.cluster.psql, ["psql", *context.args], {**machine.process_environment, **libpq_environment(url)}
    )


@cli.command()
def env() -> None:
    """Print the environment as `export` lines: eval "$(make -s env)"."""
    machine = Machine.ready()
    for line in environment.export_lines(machine.variables, machine.cluster):
        typer.echo(line)


@cli.command()
def schema() -> None:
    """Write the shop's current schema as the one that every night expects."""
    machine = Machine.ready()
    with machine.alone():
        machine.prepare()
    os.environ.update(machine.variables)
    from include.extract import drift, snapshot
    from include.settings import settings
    from include.sources import shop_sources

    folder = settings().sources
    statements = {name: snapshot.shop_sql(one, snapshot.EVERYTHING) for name, one in shop_sources(folder).items()}
    typer.echo(f"Written: {drift.write(drift.observe(statements), folder)}")


@cli.command()
def plan() -> None:
    """Say what the next night will do because declarations changed; nothing is changed."""
    machine = Machine.ready()
    with machine.alone():
        machine.prepare()
    os.environ.update(machine.variables)
    from include.pipeline.plan import Known
    from include.pipeline.plan import plan as plan_night
    from include.settings import settings
    from include.sources import shop_sources
    from transforms.registry import TABLES, buildable

    left_out = buildable(shop_sources(settings().sources)).left_out
    known = [Known(one.table, one.sources, left_out.get(name), one.code) for name, one in TABLES.items()]
    typer.echo(str(plan_night(known)))


@cli.command()
def up() -> None:
    """Start the databases, migrate Airflow's and fill the shop."""
    machine = Machine.ready()
    with machine.alone():
        machine.prepare()


@cli.command()
def stop() -> None:
    """End every shop's Airflow, and Postgres."""
    for name in SHOPS:
        Airflow(profile_named(name, state_folder())).stop()
    _cluster().stop()


def _day(text: str, asked: str = "DATE") -> day:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 (a day in the shop's zone, no instant)
    except ValueError:
        raise StandaloneError(f"There is no day {text!r}. {asked} is written like 2026-11-21.") from None


def _airflow_for_one(machine: Machine) -> Api:
    """An Airflow for one run, stopped afterwards unless ``make ui`` started it."""
    api = machine.start_airflow(NIGHT, stay=False)
    if not machine.airflow.stays:
        for interrupted in api.give_up_interrupted():
            _say(f"Gave up {interrupted}, which was interrupted")
    return api


def _tell(machine: Machine, run: DagRun, features: DagRun | None = None) -> None:
    """Print the summary of a run."""
    os.environ.update(machine.variables)
    from include.ledger.summary import summary  # reads the settings, which exist only now

    typer.echo(summary(run.run_id, features.run_id if features else None))


def _run(machine: Machine, night: Night) -> None:
    api = _airflow_for_one(machine)
    before = list(api.waiting())  # one night at a time: this one begins once those are answered
    _publish(
        machine,
        api,
        f"The night of {night.day}",
        lambda: api.trigger(night),
        lambda: api.trigger(night, FEATURES),
        before,
    )


def _publish(
    machine: Machine,
    api: Api,
    what: str,
    start: Callable[[], DagRun],
    start_features: Callable[[], DagRun],
    before: Sequence[tuple[DagRun, Mapping[str, Any]]] = (),
) -> None:
    """Run a DAG that publishes the reporting tables, then the features of the day, and print both results.

    Args:
        machine: The processes of the profile.
        api: Airflow's API.
        what: The name of the run, as the subject of a sentence.
        start: Starts it.
        start_features: Starts the features, where no asset does.
        before: Runs that must be answered first, each with the task that asks.
    """
    # Where Airflow runs for this night only, assets start no run: the features are triggered here, like the night.
    # Their DAG is paused meanwhile, so that the asset does not start them again later.
    alone = not machine.airflow.stays
    api.pause(FEATURES, paused=alone)
    try:
        run = start()
        _say(f"{what}: {run.run_id}")
        for other, task in before:
            _say_it_waits(machine, api, other, task)
        ended = _follow(machine, api, run, what)
    finally:
        with suppress(StandaloneError, httpx.HTTPError):  # the night's own error is the one to report
            api.pause(FEATURES, paused=False)
    features = failure = None
    if ended.get("publish") == "success":  # not after a dry run, nor after a replay that released nothing
        features = start_features() if alone else api.started_by(run)
        _say(f"Its features: {features.run_id}")
        try:
            _follow(machine, api, features, f"{what} is published; making its features")
        except StandaloneError as error:
            failure = error
    _tell(machine, run, features)
    if failure:
        raise failure


def _follow(machine: Machine, api: Api, run: DagRun, what: str) -> dict[str, str]:
    """Print how each task of a run ends.

    Returns:
        The state of each task, by its name.

    Raises:
        StandaloneError: When the run fails, with ``what`` as its subject.
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
        _say(f"  {task_name(task):<40} {outcome}")
        if task["state"] == "failed":
            failed.append(task)
    if api.state(run) != "success":
        for task in failed:
            _say(f"\n{task_name(task)} failed:\n{api.failure(run, task)}")
        raise StandaloneError(f"{what} failed. `make ui` shows every task's log.")
    return ended


def _say_it_waits(machine: Machine, api: Api, run: DagRun, task: Mapping[str, Any]) -> None:
    """Print that a run waits for a person's answer, its question, and where to answer."""
    _say(f"  {task_name(task):<40} waits for your answer")
    _say(f"\n{api.question(run, task)}")
    _say(f"Answer at {machine.url}{run.answer_page(task['task_id'])}")
    _say(f"  log in as admin; the password is in {environment.login_file(machine.profile)}\n")


def _cluster() -> Cluster:
    return Cluster(state_folder() / "postgres")


def _say(line: str) -> None:
    """Print progress to standard error; standard output is for results."""
    typer.echo(line, err=True)


def _end(number: int, _frame: object) -> NoReturn:
    """Stop what was started, ignoring more signals: make and a terminal may send several."""
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    _say("Ending what was started")
    sys.exit(128 + number)


def main() -> None:
    """Run the command line; a failure is a sentence, not a traceback."""
    for number in _ENDING:
        signal.signal(number, _end)
    try:
        cli(prog_name="python -m include.local")
    except (StandaloneError, EmbeddedPostgresError, PermissionError) as error:
        _say(f"\nStocktake: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
