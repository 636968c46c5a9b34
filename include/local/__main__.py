"""The command line behind the Makefile: ``python -m include.local nightly|republish|replay|ui|psql|…``."""

from __future__ import annotations

import os
import signal
import sys
from datetime import date as day
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NoReturn

import httpx
import psycopg
import typer
from pydantic import SecretStr

from include.contract import ContractError
from include.ledger.redaction import redacted
from include.local import environment, readiness
from include.local.airflow_api import (
    FEATURES,
    REPLAY,
    REPUBLISH,
    Night,
    last_closed_day,
)
from include.local.embedded_postgres import EmbeddedPostgresError, libpq_environment
from include.local.folder_check import check_if_changed
from include.local.machine import Machine, asked_shop, own_cluster, say
from include.local.processes import UI, Airflow
from include.local.profile import StandaloneError, folder_of, profiles, shop_name, state_folder
from include.local.single_run import airflow_for_one_run, follow, publish, tell
from include.settings import ROOT

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


_NO_COPY = "The lake lies in an object store: what nights have accepted before is not looked at."
_NO_ZONE = "STOCKTAKE_TIMEZONE is not set: times without a zone are taken for UTC's, and the business day is UTC's."

# A closed terminal counts too: a signal that ends this process ends the processes it started.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
    if not full_refresh:  # the way out of a damaged lake, at which `make map` stops; the night refuses by itself
        check_if_changed(machine.profile, Path(machine.variables["STOCKTAKE_SOURCES"]))
    with airflow_for_one_run(machine) as api:
        publish(
            machine,
            api,
            f"The night of {night.day}",
            lambda: api.trigger(night),
            lambda: api.trigger(night, FEATURES),
            before=list(api.waiting()),  # one night at a time: this one begins once those are answered
        )


@cli.command()
def republish(
    night: Annotated[str, typer.Option(help="The business day whose night is put back, 2026-11-20.")],
    publication: Annotated[int | None, typer.Option(help="Which publication of it; else its newest.")] = None,
) -> None:
    """Put a past night back and say what readers have now."""
    past = _day(night, "NIGHT")
    machine = Machine.ready()
    with airflow_for_one_run(machine) as api:
        run = api.start(REPUBLISH, {"night": past.isoformat(), "publication": publication})
        say(f"Putting the night of {past} back: {run.run_id}")
        follow(machine, api, run, f"Putting the night of {past} back")
        tell(machine, run)


@cli.command()
def replay(
    engine: Annotated[str, typer.Option(help="What builds the tables.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but publish.")] = False,
) -> None:
    """Check the quarantine again, without reading the shop, and say what was released."""
    machine = Machine.ready()
    with airflow_for_one_run(machine) as api:
        publish(
            machine,
            api,
            "The replay of the quarantine",
            lambda: api.start(REPLAY, {"engine": engine, "dry_run": dry_run}),
            lambda: api.start(FEATURES, {"engine": engine, "parity": None}),
        )


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
    from include.extract import drift, sql_files
    from include.settings import settings
    from include.sources import shop_sources

    folder = settings().sources
    statements = sql_files.statements(shop_sources(folder).values())
    typer.echo(f"Written: {drift.write(drift.observe(statements), folder)}")


@cli.command(name="map")
def map_shop() -> None:
    """Check every .sql file of the shop without a night, and say what is wrong and what a night would do."""
    profile, own = asked_shop()
    if profile.comes_along:
        machine = Machine.ready()
        with machine.alone():
            machine.fill_shop()
        variables = machine.variables
    else:  # it has a server of its own: nothing is started for it, and nothing of it stays on this machine
        if "STOCKTAKE_TIMEZONE" not in own:
            say(_NO_ZONE)
        variables = environment.to_read_alone(profile, own)
        readiness.check_settings(variables, own)
    with TemporaryDirectory(prefix="stocktake-map-") as scratch:
        # The rows go through extraction and gate as in a night, into a lake that is removed with this block. What
        # earlier nights accepted and quarantined lies beside them, and nothing writes to it.
        lake = variables.get("STOCKTAKE_LAKE", str(profile.lake))
        if "://" in lake:
            say(_NO_COPY)
        for layer in ("clean", "quarantine") if "://" not in lake else ():
            kept = Path(lake).resolve() / layer
            if kept.is_dir():
                (Path(scratch) / layer).symlink_to(kept)
        os.environ.update(variables | {"STOCKTAKE_LAKE": scratch, "STOCKTAKE_REPORTS": f"{scratch}/reports"})
        from include.pipeline.shop_check import check_shop
        from transforms.registry import TABLES, buildable

        checked = check_shop(buildable, [one.table for one in TABLES.values()], say)
    typer.echo(str(checked))
    if not checked.can_run:
        sys.exit(1)


@cli.command(name="new-shop")
def new_shop(name: Annotated[str, typer.Argument(help="What it is called: book-shop.")]) -> None:
    """Write the folder of a shop of one's own: a file for every source, guessed from the shop's catalogue."""
    shop, own = shop_name(name), environment.own_variables(os.environ)
    folder = folder_of(shop)
    if folder.with_suffix(".py").exists():
        raise StandaloneError(f"A shop cannot be called {name!r}: a source is. Choose another name.")
    url, timezone = own.get("STOCKTAKE_SHOP_URL"), own.get("STOCKTAKE_TIMEZONE", "UTC")
    from include.pipeline.new_shop import FolderTaken, write_shop

    try:
        written = write_shop(folder, SecretStr(url) if url else None, timezone)
    except FolderTaken as taken:
        raise StandaloneError(str(taken)) from None
    typer.echo(f"Written: {folder.relative_to(ROOT)}")
    for source, table in written.read_from.items():
        typer.echo(f"  {source:<20} from {table}")
    for source in written.not_found:
        typer.echo(f"  {source:<20} no table was found")
    if url is None:
        typer.echo("Nothing was guessed: STOCKTAKE_SHOP_URL names no database.")
    if "STOCKTAKE_TIMEZONE" not in own:
        typer.echo(_NO_ZONE)
    typer.echo(f"Look at every line, then: make map SHOP={shop.replace('_', '-')}")


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


@cli.command(hidden=True)
def keep() -> None:
    """Start Airflow's processes again that end by themselves: what `make ui` leaves running beside them."""
    Airflow(environment.asked_profile()).keep()


@cli.command()
def stop() -> None:
    """End every shop's Airflow, and Postgres."""
    for profile in profiles(state_folder()):
        Airflow(profile).stop()
    own_cluster().stop()


def _day(text: str, asked: str = "DATE") -> day:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 (a day in the shop's zone, no instant)
    except ValueError:
        raise StandaloneError(f"There is no day {text!r}. {asked} is written like 2026-11-21.") from None


def _end(number: int, _frame: object) -> NoReturn:
    """Stop what was started, ignoring more signals: make and a terminal may send several."""
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    say("Ending what was started")
    sys.exit(128 + number)


def main() -> None:
    """Run the command line; a failure is a sentence, not a traceback."""
    for number in _ENDING:
        signal.signal(number, _end)
    try:
        cli(prog_name="python -m include.local")
    except (StandaloneError, EmbeddedPostgresError, PermissionError) as error:
        say(f"\nStocktake: {error}")
        sys.exit(1)
    except ContractError as error:
        say(f"\nStocktake: {redacted(str(error))}")
        sys.exit(1)
    except (httpx.HTTPError, ConnectionError, psycopg.Error) as error:
        say(f"\nStocktake: {redacted(f'{type(error).__name__}: {error}')}")
        sys.exit(1)


if __name__ == "__main__":
    main()
