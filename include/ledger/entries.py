"""What a run writes into the ledger while it goes, outside the publication's transaction."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import TupleRow, dict_row

from include.contract import Rule, Table
from include.settings import settings

_SCHEMA = Path(__file__).with_name("schema.sql")


@dataclass(frozen=True)
class Run:
    """One run of one night, or of its features.

    Attributes:
        run_id: as Airflow knows it.
        night: the business day it is for; feature sets get this day's slice.
        horizon: the last whole business day that its reporting tables cover.
        engine: what builds the tables; ``auto`` leaves it to each table.
        full_refresh: whether everything is read and judged again.
        dry_run: whether it stops before publishing.
        parity: a second engine on which a sample of the tables is built and compared; None: none.
        dag: ``nightly`` or ``features``.
        built_from: of features, the publication whose copy of the shop they are built from.
    """

    run_id: str
    night: date
    horizon: date
    engine: str = "auto"
    full_refresh: bool = False
    dry_run: bool = False
    parity: str | None = None
    dag: str = "nightly"
    built_from: int | None = None

    @property
    def slug(self) -> str:
        """The run's id as a folder or partition name."""
        return re.sub(r"[^A-Za-z0-9_-]", "-", self.run_id)


@dataclass(frozen=True)
class Outcome:
    """How many rows of a table broke one rule.

    Attributes:
        rule: the rule.
        evaluated: rows it was judged on.
        broken: rows that broke it.
        examples: keys of the first of them.
    """

    rule: Rule
    evaluated: int
    broken: int
    examples: Sequence[str] = ()


def connect() -> psycopg.Connection[TupleRow]:
    """A connection to the warehouse as its owner; used as a context manager it is one transaction.

    Raises:
        ConnectionError: when it cannot be reached; the message never holds the password.
    """
    try:
        return psycopg.connect(settings().warehouse_url.get_secret_value(), connect_timeout=10)
    except psycopg.OperationalError as error:  # says host, port and role, never the password
        raise ConnectionError(f"no connection to the warehouse: {error}") from None


def prepare() -> None:
    """Create the warehouse's schemas, the ledger and its grants where they are missing."""
    with connect() as connection:
        # Two nights that start together would both create; the second waits here.
        connection.execute("select pg_advisory_xact_lock(hashtext('stocktake.ledger'))")
        connection.execute(_SCHEMA.read_bytes())


def open_run(run: Run) -> None:
    """Enter a run; entering it again (a retry, a cleared task) starts its record anew.

    Raises:
        ValueError: when a run of another DAG has this id.
    """
    with connect() as connection:
        entered = connection.execute(
            """
            insert into audit.runs (run_id, night, horizon, engine, full_refresh, dry_run, parity, dag, built_from)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (run_id) do update set
                night = excluded.night, horizon = excluded.horizon, engine = excluded.engine,
                full_refresh = excluded.full_refresh, dry_run = excluded.dry_run, parity = excluded.parity,
                built_from = excluded.built_from,
                started_at = now(), finished_at = null, state = 'running', error = null
            where runs.dag = excluded.dag
            """,
            [
                run.run_id, run.night, run.horizon, run.engine, run.full_refresh, run.dry_run, run.parity, run.dag,
                run.built_from,
            ],
        ).rowcount  # fmt: skip
    if not entered:
        raise ValueError(f"another DAG has a run called {run.run_id!r}: give this one another id")


def find_run(run_id: str) -> Run:
    """The run as it was entered.

    Raises:
        KeyError: when the ledger has no such run.
    """
    with connect() as connection:
        row = connection.execute(
            "select run_id, night, horizon, engine, full_refresh, dry_run, parity, dag, built_from"
            " from audit.runs where run_id = %s",
            [run_id],
        ).fetchone()
    if row is None:
        raise KeyError(f"the ledger has no run {run_id!r}")
    return Run(*row)


def finish_run(run_id: str, state: str, error: str | None = None) -> None:
    """Say how a run ended: ``success`` or ``failed``. The first error of a run is the one that is kept."""
    with connect() as connection:
        connection.execute(
            "update audit.runs set state = %(state)s, finished_at = now(),"
            " error = case when %(state)s <> 'success' then coalesce(error, %(error)s) end where run_id = %(run_id)s",
            {"state": state, "error": error, "run_id": run_id},
        )


def resume_run(run_id: str) -> None:
    """Say that a run goes on (some of its tasks were cleared): what it failed with is over."""
    with connect() as connection:
        connection.execute(
            "update audit.runs set state = 'running', finished_at = null, error = null where run_id = %s", [run_id]
        )


@contextmanager
def stage(run_id: str, name: str) -> Iterator[None]:
    """Time a stage of a run; what is kept is its latest attempt that came to an end."""
    started_at, start = datetime.now(UTC), time.monotonic()
    yield
    with connect() as connection:
        connection.execute(
            """
            insert into audit.stages (run_id, stage, started_at, seconds) values (%s, %s, %s, %s)
            on conflict (run_id, stage) do update set started_at = excluded.started_at, seconds = excluded.seconds
            """,
            [run_id, name, started_at, time.monotonic() - start],
        )


def watermarks() -> dict[str, datetime]:
    """Per source, up to when its changes are published."""
    with connect() as connection:
        return dict(connection.execute("select source, changed_until from audit.watermarks").fetchall())


def published_horizon() -> date | None:
    """The last whole business day that the published tables cover; None before the first publication."""
    with connect() as connection:
        row = connection.execute(
            "select max(publications.horizon) from audit.publications join audit.runs using (run_id)"
            " where dag = 'nightly'"
        ).fetchone()
    return row[0] if row else None


def newest_copy() -> tuple[int, date, date] | None:
    """The newest publication of a night: its id, the night, and the last whole business day its copy covers."""
    with connect() as connection:
        return connection.execute(
            """
            select publication_id, publications.night, publications.horizon
            from audit.publications
            where publication_id in (select publication_id from audit.publication_sources)
            order by publication_id desc limit 1
            """
        ).fetchone()


def published_slices(table: str | None, until: int | None) -> list[tuple[int, date, datetime, int, bool]]:
    """What was published of a feature set (None: of any), in order, up to and with a publication (None: all).

    Returns:
        Per publication its id, the night it was for, when it was, the version in the lake, whether it changed a row.
    """
    with connect() as connection:
        return connection.execute(
            """
            select publication_id, night, published_at, lake_version, inserted + deleted > 0
            from audit.publication_tables join audit.publications using (publication_id)
            where schema_name = 'features' and table_name = coalesce(%(table)s, table_name)
                and publication_id <= coalesce(%(until)s, publication_id)
            order by publication_id
            """,
            {"table": table, "until": until},
        ).fetchall()


def take_copy(run: Run) -> None:
    """Note that a run of features is built from the copy that was published: it has read nothing itself."""
    with connect() as connection:
        connection.execute(
            "update audit.runs set snapshot_at = published.snapshot_at from audit.publications as published"
            " where runs.run_id = %s and published.publication_id = %s",
            [run.run_id, run.built_from],
        )
        connection.execute("delete from audit.source_counts where run_id = %s", [run.run_id])
        connection.execute(
            """
            insert into audit.source_counts
                (run_id, source, changed_since, extracted, source_rows, clean_rows, held_rows, clean_version)
            select %s, source, changed_since, 0, source_rows, clean_rows, held_rows, clean_version
            from audit.publication_sources where publication_id = %s
            """,
            [run.run_id, run.built_from],
        )


def record_extracted(
    run_id: str, snapshot_at: datetime, changed_until: datetime, sources: Mapping[str, Mapping[str, Any]]
) -> None:
    """Note what the snapshot gave.

    Args:
        run_id: the run.
        snapshot_at: the shop's clock at the snapshot.
        changed_until: the watermark that the run's publication will set.
        sources: per source its changed_since, extracted, source_rows, late, late_deleted and proof.
    """
    with connect() as connection:
        connection.execute(
            "update audit.runs set snapshot_at = %s, changed_until = %s where run_id = %s",
            [snapshot_at, changed_until, run_id],
        )
        connection.execute("delete from audit.source_counts where run_id = %s", [run_id])
        connection.cursor().executemany(
            """
            insert into audit.source_counts
                (run_id, source, changed_since, extracted, source_rows, late, gone, proof)
            values (%(run_id)s, %(source)s, %(changed_since)s, %(extracted)s, %(source_rows)s, %(late)s, %(gone)s,
                %(proof)s)
            """,
            [{"run_id": run_id, "source": name, **figures} for name, figures in sources.items()],
        )


def snapshot_of(run_id: str) -> tuple[datetime, dict[str, str]]:
    """When the run's snapshot was taken, and per source since when it read changes.

    Raises:
        KeyError: when the run has extracted nothing yet.
    """
    with connect() as connection:
        row = connection.execute("select snapshot_at from audit.runs where run_id = %s", [run_id]).fetchone()
        since = connection.execute(
            "select source, changed_since from audit.source_counts where run_id = %s", [run_id]
        ).fetchall()
    if row is None or row[0] is None:
        raise KeyError(f"run {run_id!r} has extracted nothing yet")
    return row[0], dict(since)


def clean_versions(run_id: str) -> dict[str, int]:
    """Per source, the version of lake/clean that the run accepted its rows into."""
    with connect() as connection:
        return dict(
            connection.execute(
                "select source, clean_version from audit.source_counts where run_id = %s", [run_id]
            ).fetchall()
        )


def record_parity(run_id: str, table: Table, engine: str, other: str, difference: str | None) -> None:
    """Note whether two engines built the same table."""
    with connect() as connection:
        connection.execute(
            """
            insert into audit.parity (run_id, schema_name, table_name, engine, other_engine, equal, difference)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (run_id, schema_name, table_name) do update set
                engine = excluded.engine, other_engine = excluded.other_engine, equal = excluded.equal,
                difference = excluded.difference
            """,
            [run_id, table.schema, table.name, engine, other, difference is None, difference],
        )


def built_versions(run_id: str) -> dict[str, int]:
    """Per table the run has built, its version in the lake."""
    with connect() as connection:
        return dict(
            connection.execute(
                "select table_name, lake_version from audit.builds where run_id = %s", [run_id]
            ).fetchall()
        )


def outcomes_of(run_id: str, table: str) -> list[dict[str, Any]]:
    """How a table did by each of its rules in a run: rule, severity, evaluated, broken, examples."""
    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select rule, meaning, severity, evaluated, broken, examples from audit.expectation_results
            where run_id = %s and table_name = %s order by rule
            """,
            [run_id, table],
        ).fetchall()


class Overtaken(RuntimeError):
    """Another night read the shop later, or covers later days, and was quicker. Running this one again helps."""


@contextmanager
def turn(step: str, run: Run, snapshot_at: datetime) -> Iterator[psycopg.Connection[TupleRow]]:
    """Take turns at a step that changes what all nights share; a night that was overtaken by a later one has none.

    Args:
        step: ``accept`` (the lake's turn), ``publish`` (the warehouse's) or ``features`` (the warehouse's too).
        run: this night's run.
        snapshot_at: when this night's snapshot was taken.

    Yields:
        The connection that holds the turn; it ends with the block, or with the process.

    Raises:
        Overtaken: when a night with a later snapshot, or one that covers later days, has taken its turn already;
            for features, when those of the same day were published from a later snapshot.
    """
    with connect() as connection:
        # Features wait for nights and nights for features: they share the staging tables.
        lock = "accept" if step == "accept" else "publish"
        connection.execute("select pg_advisory_lock(hashtext(%s))", [f"stocktake.{lock}"])
        asked = {"snapshot_at": snapshot_at, "horizon": run.horizon, "night": run.night}
        later = connection.execute(_LATER[step], asked).fetchone()
        connection.commit()
        if later:
            raise Overtaken(f"run {later[0]} is ahead and is done with {step} already: run this one again, from begin")
        yield connection


_LATER = {
    "accept": """
        select run_id from audit.runs join audit.source_counts using (run_id)
        where accepted is not null and snapshot_at > %(snapshot_at)s limit 1
    """,
    "publish": """
        select run_id from audit.publications join audit.runs using (run_id)
        where dag = 'nightly'
            and (publications.snapshot_at > %(snapshot_at)s or publications.horizon > %(horizon)s) limit 1
    """,
    "features": """
        select run_id from audit.publications join audit.runs using (run_id)
        where dag = 'features'
            and publications.night = %(night)s and publications.snapshot_at > %(snapshot_at)s limit 1
    """,
}


def begin_accepting(run_id: str) -> None:
    """Note that a run is about to change lake/clean and lake/quarantine, which is more than one commit."""
    with connect() as connection:
        connection.execute("update audit.runs set accepting = true where run_id = %s", [run_id])


def was_interrupted_accepting(run_id: str) -> bool:
    """Whether some other run died between lake/clean and lake/quarantine and none has read everything since."""
    with connect() as connection:
        found = connection.execute("select from audit.runs where accepting and run_id <> %s limit 1", [run_id])
        return found.fetchone() is not None


def record_accepted(run_id: str, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Note what the gate did, per source: accepted, quarantined, released, recalled, deleted, …"""
    with connect() as connection:
        connection.cursor().executemany(
            """
            update audit.source_counts set
                accepted = %(accepted)s, quarantined = %(quarantined)s, released = %(released)s,
                recalled = %(recalled)s, deleted = %(deleted)s,
                clean_rows = %(clean_rows)s, held_rows = %(held_rows)s,
                clean_version = %(clean_version)s
            where run_id = %(run_id)s and source = %(source)s
            """,
            [{"run_id": run_id, "source": source, **figures} for source, figures in counts.items()],
        )
        # A run that read everything has put right what others left half done.
        connection.execute(
            """
            update audit.runs set accepting = false
            where run_id = %(run_id)s or not exists (
                select from audit.source_counts where run_id = %(run_id)s and changed_since <> '-infinity'
            )
            """,
            {"run_id": run_id},
        )


def record_outcomes(run_id: str, table: str, outcomes: Iterable[Outcome]) -> None:
    """Note how a table did by each of its rules, in place of what an earlier attempt noted."""
    rows: list[tuple[Any, ...]] = [
        (run_id, table, o.rule.name, o.rule.meaning, o.rule.severity, o.evaluated, o.broken, list(o.examples))
        for o in outcomes
    ]
    with connect() as connection:
        connection.cursor().executemany(
            """
            insert into audit.expectation_results
                (run_id, table_name, rule, meaning, severity, evaluated, broken, examples)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (run_id, table_name, rule) do update set
                meaning = excluded.meaning, severity = excluded.severity, evaluated = excluded.evaluated,
                broken = excluded.broken, examples = excluded.examples
            """,
            rows,
        )


def record_tables(tables: Iterable[tuple[str, str, Sequence[str], str | None]]) -> None:
    """Say which tables there are: (schema, name, sources read, why it is left out or None)."""
    with connect() as connection:
        connection.execute("lock table audit.tables in share row exclusive mode")  # nights that begin together
        connection.execute("delete from audit.tables")
        connection.cursor().executemany(
            "insert into audit.tables (schema_name, table_name, sources, left_out) values (%s, %s, %s, %s)",
            [(schema, name, list(sources), left_out) for schema, name, sources, left_out in tables],
        )
