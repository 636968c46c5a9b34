"""The ledger's own schema: numbered migrations, each applied once, and definitions, applied whenever they change.

A migration changes tables: ``migrations/0002_<name>.sql``. A definition can be created again at any time (a view,
comments, grants): ``definitions/<name>.sql``. It is executed when its text changed, or when somebody changed by hand
what it creates. On an ordinary night both are up to date: nothing is written and no lock is waited for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
from psycopg.rows import TupleRow

from include.ledger.connection import connect
from include.ledger.locks import PATIENCE, patient

MIGRATIONS: Final = Path(__file__).with_name("migrations")
DEFINITIONS: Final = Path(__file__).with_name("definitions")
# The order in which definitions are applied; a view's definition has the view's name.
ORDER: Final = (
    "audit.verdicts",
    "reporting.data_status",
    "comments",
    "grants",
)

_FILE = re.compile(r"(\d{4})_([a-z][a-z0-9_]*)\.sql")


class WrongMigrations(RuntimeError):
    """The migration files, or the migrations recorded in the ledger, are wrong; the message says how."""


class NewerLedger(WrongMigrations):
    """The ledger has a migration that this code does not know."""


@dataclass(frozen=True)
class Migration:
    """A numbered change of the ledger's tables; numbers start at 1 and have no gaps."""

    number: int
    name: str
    text: bytes


@dataclass(frozen=True)
class Definition:
    """Something that can be created again at any time."""

    name: str
    text: bytes

    @property
    def digest(self) -> str:
        """A digest of its text."""
        return hashlib.sha256(self.text).hexdigest()


def migrate(
    connection: psycopg.Connection[TupleRow],
    migrations: Sequence[Migration] | None = None,
    definitions: Sequence[Definition] | None = None,
    patience: timedelta = PATIENCE,
) -> None:
    """Bring the ledger up to date.

    Args:
        connection: of the warehouse's owner, in a transaction of its own: everything is applied, or nothing.
        migrations: by default, those of ``read_migrations``.
        definitions: by default, those of ``read_definitions``.
        patience: how long to wait for each lock.

    Raises:
        NewerLedger: when the ledger has a migration that this code does not know.
        WrongMigrations: when the files' numbers or the ledger's are not 1, 2, 3, ….
        LockBusy: when a lock was not granted in time; the message says who holds it.
    """
    migrations = read_migrations() if migrations is None else migrations
    definitions = read_definitions() if definitions is None else definitions
    if not _missing(connection, migrations) and not _stale(connection, definitions):
        return
    with patient(connection, "preparing the ledger", patience):
        _take_turn(connection)
        # Checked again: whoever held the lock may have applied them.
        for migration in _missing(connection, migrations):
            connection.execute(migration.text)
            connection.execute(
                "insert into audit.migrations (number, name) values (%s, %s)", [migration.number, migration.name]
            )
        for definition in definitions:
            if _stale(connection, [definition]):
                _define(connection, definition)


def prepare() -> None:
    """Bring the warehouse's schemas, the ledger and its grants up to date; usually there is nothing to do.

    Raises:
        NewerLedger: when the ledger was written by a newer Stocktake.
        LockBusy: when another session held a lock for too long; another attempt may succeed.
    """
    with connect() as connection:
        migrate(connection)


def pending(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """The names of the migrations that the next ``migrate`` will apply, in order.

    Raises:
        NewerLedger, WrongMigrations: as ``migrate`` does.
    """
    return [f"{one.number:04} {one.name}" for one in _missing(connection, read_migrations())]


def read_migrations(folder: Path = MIGRATIONS) -> tuple[Migration, ...]:
    """The migrations that this code knows, in order.

    Raises:
        WrongMigrations: when a number is missing or used twice, or a file has another kind of name.
    """
    found = []
    for file in sorted(folder.glob("*.sql")):
        name = _FILE.fullmatch(file.name)
        if name is None:
            raise WrongMigrations(f"{file.name} is not named like a migration, such as 0002_what_it_does.sql")
        found.append(Migration(int(name[1]), name[2], file.read_bytes()))
    _check_numbers([one.number for one in found], f"the migrations in {folder.name}/")
    return tuple(found)


def read_definitions(folder: Path = DEFINITIONS) -> tuple[Definition, ...]:
    """The definitions, in the order in which they are applied."""
    return tuple(Definition(name, (folder / f"{name}.sql").read_bytes()) for name in ORDER)


def _take_turn(connection: psycopg.Connection[TupleRow]) -> None:
    """Wait for others that change the ledger. Readers do not wait, and a role that may only read cannot hold it."""
    row = connection.execute("select to_regclass('audit.migrations') is not null").fetchone()
    if row == (True,):
        connection.execute("lock table audit.migrations in share row exclusive mode")
    else:
        connection.execute("select pg_advisory_xact_lock(hashtext('stocktake.ledger'))")


def _check_numbers(numbers: Sequence[int], what: str) -> None:
    for expected, number in enumerate(numbers, 1):
        if number < expected:
            raise WrongMigrations(f"{what}: number {number} is used twice; give the later one the next number")
        if number > expected:
            raise WrongMigrations(f"{what}: number {expected} is missing; the next one is {number}")


def _missing(connection: psycopg.Connection[TupleRow], migrations: Sequence[Migration]) -> Sequence[Migration]:
    """The migrations that the ledger lacks."""
    row = connection.execute("select to_regclass('audit.migrations') is not null").fetchone()
    if row != (True,):
        return migrations
    applied = connection.execute("select number, name from audit.migrations order by number").fetchall()
    if applied and applied[-1][0] > len(migrations):
        raise NewerLedger(
            f"the ledger was written by a newer Stocktake: it has migration {applied[-1][0]}, {applied[-1][1]}, and"
            f" this code knows {len(migrations)}; run the newer Stocktake, or restore the warehouse from before it"
        )
    _check_numbers([number for number, _ in applied], "the migrations recorded in the ledger")
    for (number, name), known in zip(applied, migrations, strict=False):
        if name != known.name:
            raise WrongMigrations(f"migration {number} is {name} in the ledger and {known.name} in the code")
    return migrations[len(applied) :]


def _stale(connection: psycopg.Connection[TupleRow], definitions: Sequence[Definition]) -> list[Definition]:
    """The definitions whose text changed since it was executed, or whose objects were changed in the database."""
    recorded: dict[str, tuple[str, str | None]] = {
        name: (digest, made)
        for name, digest, made in connection.execute("select name, digest, made from audit.definitions").fetchall()
    }
    existing = _existing(connection)
    return [one for one in definitions if recorded.get(one.name) != (one.digest, existing.get(one.name))]


def _define(connection: psycopg.Connection[TupleRow], definition: Definition) -> None:
    connection.execute(definition.text)
    connection.execute(
        """
        insert into audit.definitions (name, digest, made) values (%s, %s, %s)
        on conflict (name) do update set digest = excluded.digest, made = excluded.made, applied_at = now()
        """,
        [definition.name, definition.digest, _existing(connection).get(definition.name)],
    )


def _existing(connection: psycopg.Connection[TupleRow]) -> dict[str, str]:
    """A digest of what the database has of each definition. It reads only the catalogue, so it waits for no lock."""
    return dict(connection.execute(_EXISTING).fetchall())


_EXISTING = """
with ours as (
    select pg_class.oid, nspname || '.' || relname as name, nspname, relkind
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where nspname in ('reporting', 'features', 'audit')
        and relkind in ('r', 'p', 'v', 'm')
        and pg_has_role(relowner, 'usage')
),

analyst as (
    select oid from pg_roles where rolname = 'analyst'
),

facts (definition, fact) as (
    -- A view consists of its rule and its comments.
    select ours.name, pg_rewrite.ev_action::text
    from ours
    join pg_rewrite on pg_rewrite.ev_class = ours.oid
    where ours.relkind = 'v'
    union all
    select
        case when ours.relkind = 'v' then ours.name else 'comments' end,
        concat_ws(' ', ours.name, pg_description.objsubid, pg_description.description)
    from ours
    join pg_description on pg_description.objoid = ours.oid and pg_description.classoid = 'pg_class'::regclass
    where ours.relkind = 'v' or ours.nspname = 'audit'
    union all
    -- For grants, what is missing: any other grants are not ours.
    select 'grants', 'nobody to grant to'
    where not exists (select from analyst)
    union all
    select 'grants', 'usage of ' || pg_namespace.nspname
    from pg_namespace
    cross join analyst
    where pg_namespace.nspname in ('reporting', 'features', 'audit')
        and not has_schema_privilege(analyst.oid, pg_namespace.oid, 'usage')
    union all
    select 'grants', 'select on ' || ours.name
    from ours
    cross join analyst
    where not has_table_privilege(analyst.oid, ours.oid, 'select')
    union all
    select 'grants', 'select on what will be in ' || pg_namespace.nspname
    from pg_namespace
    cross join analyst
    where pg_namespace.nspname in ('reporting', 'features', 'audit')
        and not exists (
            select from pg_default_acl
            cross join aclexplode(pg_default_acl.defaclacl) as granted
            where pg_default_acl.defaclnamespace = pg_namespace.oid
                and pg_default_acl.defaclrole = current_user::regrole
                and pg_default_acl.defaclobjtype = 'r'
                and granted.grantee = analyst.oid
                and granted.privilege_type = 'SELECT'
        )
)

select definition, md5(string_agg(fact, E'\\n' order by fact))
from facts
group by definition
"""
