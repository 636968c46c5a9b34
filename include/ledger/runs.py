"""Runs of the DAGs: what was requested, how each ended, how long its stages took, and whose turn it is."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

import psycopg
from psycopg.rows import TupleRow, dict_row

from include.contract import Table
from include.ledger.connection import connect
from include.ledger.locks import Turn, held


class Kind(StrEnum):
    """What a run does, whatever the name of its DAG."""

    NIGHT = "night"  # reads the shop, checks every row, publishes all reporting tables
    TABLES = "tables"  # builds some tables from the published copy of the shop: the features, or a DAG of your own
    REPLAY = "replay"  # checks the quarantine again, and publishes the night again
    REPUBLISH = "republish"  # puts a past night back
    REMOVAL = "removal"  # removes a night's slices

    @property
    def publishes_night(self) -> bool:
        """Whether it checks rows and publishes the copy of the shop with all tables made from it."""
        return self in PUBLISH_NIGHT

    @property
    def builds_some_tables(self) -> bool:
        """Whether it builds tables from a copy that another run published."""
        return self is Kind.TABLES


# For SQL statements: the kinds that publish a night, and the kinds that change which night readers see.
PUBLISH_NIGHT: Final = (Kind.NIGHT, Kind.REPLAY)
SHOW_NIGHT: Final = (*PUBLISH_NIGHT, Kind.REPUBLISH)


@dataclass(frozen=True)
class Run:
    """One run, of any kind.

    Attributes:
        run_id: as Airflow knows it.
        night: the business day it is for; feature sets get this day's slice.
        horizon: the last whole business day that its reporting tables cover.
        engine: what builds the tables; ``auto`` leaves it to each table.
        full_refresh: whether everything is read and checked again.
        dry_run: whether it stops before publishing.
        parity: a second engine on which a sample of the tables is built and compared; None for no comparison.
        dag: the DAG whose run it is, as Airflow knows it.
        kind: what it does.
        built_from: for tables, the publication whose copy of the shop they are built from; for a past night that is
            put back, the publication that published it; for a replay, the one whose quarantine is checked again.
    """

    run_id: str
    night: date
    horizon: date
    engine: str = "auto"
    full_refresh: bool = False
    dry_run: bool = False
    parity: str | None = None
    dag: str = "nightly"
    kind: Kind = Kind.NIGHT
    built_from: int | None = None

    @property
    def slug(self) -> str:
        """The run's id as a folder or partition name."""
        return slug(self.run_id)

    @property
    def puts_back(self) -> int | None:
        """The publication that it puts back; None for other kinds of run."""
        return self.built_from if self.kind is Kind.REPUBLISH else None

    @property
    def replays(self) -> int | None:
        """The publication whose quarantine it checks again; None for other kinds of run."""
        return self.built_from if self.kind is Kind.REPLAY else None


def slug(run_id: str) -> str:
    """A run's id as a folder, file or partition name; no two runs share one.

    What is no letter, digit, ``_`` or ``-`` is written as ``~`` and its code: ``:`` is ``~3a~``. A long one is cut, and
    ends in a digest: a file system has 255 bytes for a name.
    """
    name = re.sub(r"[^A-Za-z0-9_-]", lambda found: f"~{ord(found[0]):x}~", run_id)
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}~~{sha256(run_id.encode()).hexdigest()[:32]}"


_LONGEST = 150


def open_run(run: Run) -> None:
    """Record a run; recording it again (a retry, a cleared task) starts its record over.

    Raises:
        ValueError: when a run of another DAG has this id.
    """
    with connect() as connection:
        entered = connection.execute(
            """
            insert into audit.runs
                (run_id, night, horizon, engine, full_refresh, dry_run, parity, dag, kind, built_from)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (run_id) do update set
                night = excluded.night, horizon = excluded.horizon, engine = excluded.engine,
                full_refresh = excluded.full_refresh, dry_run = excluded.dry_run, parity = excluded.parity,
                kind = excluded.kind, built_from = excluded.built_from,
                started_at = now(), finished_at = null, judged_at = null, state = 'running', error = null
            where runs.dag = excluded.dag
            """,
            [
                run.run_id, run.night, run.horizon, run.engine, run.full_refresh, run.dry_run, run.parity, run.dag,
                run.kind, run.built_from,
            ],
        ).rowcount  # fmt: skip
    if not entered:
        raise ValueError(f"another DAG has a run called {run.run_id!r}: give this one another id")


def find_run(run_id: str) -> Run:
    """The run as it was recorded.

    Raises:
        KeyError: when the ledger has no such run.
    """
    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            """
            select run_id, night, horizon, engine, full_refresh, dry_run, parity, dag, kind, built_from
            from audit.runs where run_id = %s
            """,
            [run_id],
        ).fetchone()
    if row is None:
        raise KeyError(f"the ledger has no run {run_id!r}")
    return Run(**{**row, "kind": Kind(row["kind"])})


def is_begun(night: date, run_id: str) -> bool:
    """Whether a run that is to publish a night is under way, or the run with this id has ever begun."""
    with connect() as connection:
        row = connection.execute(
            """
            select from audit.runs
            where night = %s and kind = 'night' and not dry_run and (state = 'running' or run_id = %s)
            limit 1
            """,
            [night, run_id],
        ).fetchone()
    return row is not None


# Whether a run did what it was to: it published; as a dry run it built and audited; as a replay it found nothing to
# release. Airflow also takes a run for a success whose tasks were marked as ended, or skipped when it was stopped.
_DID_ITS_WORK = """(
    exists (select from audit.publications where publications.run_id = runs.run_id)
    or dry_run and exists (select from audit.stages where stages.run_id = runs.run_id and stage = 'audit')
    or judged_at is not null
)"""
_STOPPED = "it was stopped, or marked as ended, before it published"


def failure_of(run_id: str) -> str | None:
    """What a run failed with, or that it was stopped before it did its work; None where it did.

    Raises:
        KeyError: when the ledger has no such run.
    """
    with connect() as connection:
        found = connection.execute(
            f"select {_DID_ITS_WORK}, error from audit.runs where run_id = %s", [run_id]
        ).fetchone()
    if found is None:
        raise KeyError(f"the ledger has no run {run_id!r}")
    done, error = found
    return None if done and error is None else (error or _STOPPED)


def finish_run(run_id: str, state: str, error: str | None = None, dag: str | None = None) -> None:
    """Record how a run ended. The first error of a run is kept; one that did not do its work is no success.

    Args:
        run_id: the run; if the ledger does not know it, nothing changes.
        state: ``success`` or ``failed``.
        error: what it failed with.
        dag: the DAG of the run, if another DAG may have a run with the same id.
    """
    with connect() as connection:
        connection.execute(
            f"""
            update audit.runs set
                state = case when %(state)s = 'success' and not {_DID_ITS_WORK} then 'failed' else %(state)s end,
                finished_at = now(),
                error = case
                    when %(state)s <> 'success' then coalesce(error, %(error)s)
                    when not {_DID_ITS_WORK} then coalesce(error, %(stopped)s)
                end
            where run_id = %(run_id)s and dag = coalesce(%(dag)s, dag)
            """,
            {"state": state, "error": error, "run_id": run_id, "dag": dag, "stopped": _STOPPED},
        )


def resume_run(run_id: str, dag: str) -> None:
    """Record that a DAG's run resumes (some of its tasks were cleared): its earlier error is deleted."""
    with connect() as connection:
        connection.execute(
            """
            update audit.runs set state = 'running', finished_at = null, error = null
            where run_id = %s and dag = %s
            """,
            [run_id, dag],
        )


@contextmanager
def timed(run_id: str, name: str) -> Iterator[None]:
    """Time a stage of a run; the latest attempt that completed is kept."""
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


class Overtaken(RuntimeError):
    """Another run read the shop later, covers later days, or replayed this night's quarantine; running again helps."""


@contextmanager
def turn(step: str, run: Run, snapshot_at: datetime, tables: Sequence[Table] = ()) -> Iterator[Turn]:
    """Take turns at a step that changes what all nights share; a night that a later one has overtaken gets no turn.

    A replay is later than the night whose snapshot it has; of two replays, the one from the newer publication is later.
    A night that read everything is not held back by a snapshot of the future: a clock was ahead then.

    Args:
        step: ``accept`` (for the lake); ``publish``, ``tables``, ``republish`` or ``removal`` (for the
            warehouse).
        run: this night's run.
        snapshot_at: when this night's snapshot was taken.
        tables: for ``tables``, what is published.

    Yields:
        The turn; it ends with the block, or with the process.

    Raises:
        LockBusy: when others held the turn for too long.
        Overtaken: when a night with a later snapshot, or one that covers later days, has already taken its turn;
            for tables, when their slices of the same day were published from a later snapshot, or reporting tables of
            another night were published since the run began; for a replay, when a night was published since it began.
    """
    # All publishers wait for each other: they share the staging tables.
    with held("accept" if step == "accept" else "publish") as taken:
        if run.full_refresh and run.kind is Kind.NIGHT:
            _set_clock_right(taken.connection, run, snapshot_at)
        asked = {
            "snapshot_at": snapshot_at,
            "horizon": run.horizon,
            "night": run.night,
            "run": run.run_id,
            "replays": run.replays,
            "built_from": run.built_from,
            "publish_night": list(PUBLISH_NIGHT),
            "show_night": list(SHOW_NIGHT),
            "tables": [table.qualified_name for table in tables],
            "reporting": [table.qualified_name for table in tables if table.schema == "reporting"],
        }
        later = taken.connection.execute(_LATER[step], asked).fetchone()
        if later:
            raise Overtaken(_overtaken(taken.connection, str(later[0]), step, run, snapshot_at))
        taken.connection.commit()
        yield taken


# A snapshot that is later than this was taken by a clock that was ahead. A shop's and a warehouse's clock are never
# exactly the same.
_FUTURE: Final = "now() + interval '10 minutes'"


def _overtaken(connection: psycopg.Connection[TupleRow], later: str, step: str, run: Run, snapshot_at: datetime) -> str:
    """Why a run gets no turn: both instants, and what to do."""
    row = connection.execute(
        f"select snapshot_at, horizon, snapshot_at > {_FUTURE} from audit.runs where run_id = %s", [later]
    ).fetchone()
    theirs, horizon, is_future = row or (None, None, False)
    said = (
        f"run {later} is ahead and has already done {step}: it read the shop at {theirs} and covers days up to"
        f" {horizon}, this one read it at {snapshot_at} and covers days up to {run.horizon}"
    )
    if is_future:
        return (
            f"{said}. The first instant lies in the future: a clock was ahead then. Trigger nightly with full_refresh,"
            " which reads everything and is not held back by it"
        )
    return f"{said}. Run this one again, from begin"


def _set_clock_right(connection: psycopg.Connection[TupleRow], run: Run, snapshot_at: datetime) -> None:
    """Date snapshots of the future before this one: a clock was ahead then. What it said is kept in ``said_at``."""
    asked = {"run": run.run_id, "snapshot_at": snapshot_at}
    with connection.transaction():
        corrected = connection.execute(
            f"""
            update audit.runs set
                said_at = coalesce(said_at, snapshot_at),
                snapshot_at = least(started_at, %(snapshot_at)s::timestamptz - interval '1 second')
            where snapshot_at > {_FUTURE} and run_id <> %(run)s
            returning snapshot_at
            """,
            asked,
        ).fetchall()
        if corrected:
            connection.execute(
                """
                update audit.publications set snapshot_at = runs.snapshot_at
                from audit.runs
                where runs.run_id = publications.run_id and publications.snapshot_at > runs.snapshot_at
                    and runs.said_at is not null
                """
            )
            # What that night read is still what is published, should this one stop. Its publication moves them on.
            earliest = min(instant for (instant,) in corrected)
            connection.execute("update audit.watermarks set changed_until = least(changed_until, %s)", [earliest])


# With the same snapshot: for a night, its replay; for a replay, any publication since it began.
_REPLAYED = """
    select run_id from audit.publications join audit.runs using (run_id)
    where run_id <> %(run)s and publications.snapshot_at = %(snapshot_at)s
        and publication_id > coalesce(%(replays)s::bigint, 0)
        and (kind = 'replay' or kind = 'night' and %(replays)s::bigint is not null)
"""
_LATER = {
    "accept": f"""
        select run_id from audit.runs join audit.source_counts using (run_id)
        where accepted is not null and (
            snapshot_at > %(snapshot_at)s
            or snapshot_at = %(snapshot_at)s and kind = 'replay' and %(replays)s::bigint is null
        )
        union all {_REPLAYED} limit 1
    """,
    "publish": f"""
        select run_id from audit.publications join audit.runs using (run_id)
        where kind = any(%(publish_night)s)
            and (publications.snapshot_at > %(snapshot_at)s or publications.horizon > %(horizon)s)
        union all {_REPLAYED} limit 1
    """,
    "tables": """
        with later as (
            select
                publications.run_id, publications.publication_id, publications.night, publications.snapshot_at,
                runs.kind, runs.built_from
            from audit.publications
            join audit.runs using (run_id)
        )
        select run_id
        from later
        where exists (
            select from audit.publication_tables
            where publication_tables.publication_id = later.publication_id
                and schema_name || '.' || table_name = any(%(tables)s)
                and (
                    later.night = %(night)s and later.snapshot_at > %(snapshot_at)s
                    -- A reporting table is one table for all days: the one from the newer copy is newer.
                    or schema_name || '.' || table_name = any(%(reporting)s) and later.built_from > %(built_from)s
                        and later.kind = 'tables'
                )
        )
        -- And readers must still see the night whose copy it was built from.
        or cardinality(%(reporting)s::text[]) > 0 and kind = any(%(show_night)s) and publication_id > %(built_from)s
        limit 1
    """,
    # Putting a past night back is meant to undo later nights: none of them overtakes it. Nor a removal.
    "republish": "select run_id from audit.runs where false",
    "removal": "select run_id from audit.runs where false",
}


def record_tables(tables: Iterable[tuple[Table, Iterable[str], str | None]]) -> None:
    """Record which tables there are: each with the sources it is made from, and why it is left out or None."""
    with connect() as connection:
        connection.execute("lock table audit.tables in share row exclusive mode")  # two nights may begin at once
        connection.execute("delete from audit.tables")
        connection.cursor().executemany(
            "insert into audit.tables (schema_name, table_name, sources, left_out, sliced) values (%s, %s, %s, %s, %s)",
            [
                (table.schema, table.name, sorted(sources), left_out, table.rebuild.kind == "as_of")
                for table, sources, left_out in tables
            ],
        )
