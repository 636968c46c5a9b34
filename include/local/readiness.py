"""Getting ready: create the databases, migrate Airflow's, fill the demo shop."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256

import psycopg
from psycopg import sql
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from include.ledger.logins import why_no_connection
from include.local.embedded_postgres import SUPERUSER, Cluster
from include.local.profile import Profile, StandaloneError
from include.settings import ROOT, Parameters, Settings

_NEEDED_MEGABYTES = 2048
_USER_TABLES = """
    select table_schema, table_name
    from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')
"""


def start_postgres(profile: Profile, cluster: Cluster) -> None:
    """Start the embedded Postgres and make sure that the profile's databases exist.

    Raises:
        StandaloneError: When the disk is too full to try.
    """
    profile.airflow_home.mkdir(parents=True, exist_ok=True)
    profile.airflow_home.chmod(0o700)  # its logs name rows
    free = shutil.disk_usage(profile.state).free // 1024**2
    if free < _NEEDED_MEGABYTES:
        raise StandaloneError(
            f"Only {free} MB are free on the disk of {profile.state}, {_NEEDED_MEGABYTES} MB are needed. "
            "Make room, or let STOCKTAKE_STATE name a folder on another disk."
        )
    cluster.start()
    cluster.provision(**profile.databases)


def check_settings(given: Mapping[str, str], own: Mapping[str, str]) -> None:
    """Check the user's settings, and that the user's own databases answer, before anything starts.

    Raises:
        StandaloneError: Naming the variable. It never quotes a URL, which may contain a password.
    """
    named = {name.removeprefix("STOCKTAKE_").lower(): value for name, value in given.items()}
    wrong = [line for kind in (Settings, Parameters) for line in _wrong(kind, named)]
    if wrong:
        raise StandaloneError("\n".join(wrong))
    for name in ("STOCKTAKE_SHOP_URL", "STOCKTAKE_WAREHOUSE_URL"):
        if name in own:
            _check_reachable(name, own[name])


def _check_reachable(name: str, url: str) -> None:
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.OperationalError as error:
        raise StandaloneError(f"{name} leads to no database: {why_no_connection(url, error)}") from None
    except psycopg.Error:
        example = "postgresql://role:password@host:5432/database"
        raise StandaloneError(f"{name} is no URL of a Postgres database; one looks like {example}") from None


def prepare(profile: Profile, cluster: Cluster, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Migrate Airflow's database, and fill the shop or add the columns that it lacks, where that has not been done.

    Raises:
        StandaloneError: When either fails; with the program's output.
    """
    metadata, version = profile.databases["airflow"], importlib.metadata.version("apache-airflow")
    if _comment(cluster, metadata) != version:
        say("Preparing Airflow's database")
        _run(["airflow", "db", "migrate"], environment)
        _set_comment(cluster, metadata, version)
    fill_shop(profile, cluster, environment, say)


def fill_shop(profile: Profile, cluster: Cluster, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Fill the shop, or add the columns that a shop of an earlier release lacks: once per version of its tables.

    Nothing is done to a shop of one's own.

    Raises:
        StandaloneError: When it fails; with the program's output.
    """
    if environment.get("STOCKTAKE_SHOPKEEPER_URL") != cluster.url(profile.databases["shop"], "shopkeeper"):
        return
    database, schema, name = profile.databases["shop"], profile.shop.schema, profile.name.replace("_", "-")
    version = f"tables of {sha256(schema.read_bytes()).hexdigest()[:16]}" if schema else None
    if not _has_rows(cluster.url(database, "shopkeeper")):
        say(f"Filling the shop {name}")
    elif version and _comment(cluster, database) != version:
        say(f"Bringing the tables of the shop {name} up to date")
    else:
        return
    _run(profile.shop.fill, environment)
    if version:
        _set_comment(cluster, database, version)


def _comment(cluster: Cluster, database: str) -> str | None:
    """The comment on a database: what it was last brought to, which moves with the database."""
    query = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"
    with psycopg.connect(cluster.url("postgres", SUPERUSER)) as server:
        row = server.execute(query, [database]).fetchone()
    return row[0] if row else None


def _set_comment(cluster: Cluster, database: str, comment: str) -> None:
    statement = sql.SQL("comment on database {} is {}").format(sql.Identifier(database), sql.Literal(comment))
    with psycopg.connect(cluster.url("postgres", SUPERUSER)) as server:
        server.execute(statement)


def _has_rows(url: str) -> bool:
    """Whether any table of the database has a row: a killed fill leaves none, or all of them."""
    any_row = sql.SQL("select exists (select from {})")
    with psycopg.connect(url) as database:
        tables = database.execute(_USER_TABLES).fetchall()
        found = [database.execute(any_row.format(sql.Identifier(*table))).fetchone() for table in tables]
    return (True,) in found


def _run(module: Sequence[str], environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", *module]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StandaloneError(f"`python -m {' '.join(module)}` failed:\n{(done.stdout + done.stderr).strip()[-4000:]}")


def _wrong(kind: type[BaseSettings], named: Mapping[str, str]) -> list[str]:
    """The errors in one kind of settings, a line each."""
    try:
        kind.model_validate({name: value for name, value in named.items() if name in kind.model_fields})
    except ValidationError as error:
        return [
            "".join(f"STOCKTAKE_{str(name).upper()}: " for name in one["loc"][:1])
            + one["msg"].removeprefix("Value error, ")
            for one in error.errors(include_input=False)
        ]
    return []
