"""The publications: of a night or its replay, of some tables, of a past night that is put back, of removed slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

import duckdb
import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from include.contract import Source, Table
from include.lake import duckdb_session as duck
from include.lake import tables as lake
from include.lake.rows import lacking
from include.ledger import publications
from include.ledger.locks import Turn, patient
from include.ledger.runs import SHOW_NIGHT, Run, turn
from include.publish import live_schema, quarantine, restatements, staging
from include.publish.live import fill, replace_what_differs, write_comments
from include.publish.table_version import TableVersion
from include.publish.verification import prove_published
from include.settings import settings

_FOR_READERS: Final = timedelta(seconds=10)  # until a table can be altered: whoever reads it later waits behind us


def publish_night(run: Run, snapshot_at: datetime, built: list[TableVersion], sources: Mapping[str, Source]) -> int:
    """Publish a night. Publishing it again, from the same lake versions, changes nothing.

    After a past night was put back, this brings every table forward again, including other nights' slices. A replay of
    a night's quarantine is published like the night; the watermarks stay, because it has read nothing.

    Args:
        run: the night's run, or a replay.
        snapshot_at: the shop's clock at its snapshot; for a night, the new watermark.
        built: all its tables.
        sources: the shop's sources, for quarantine and watermarks.

    Returns:
        The publication's id.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
        ContractError: when the live tables differ from the lake; nothing is changed then.
        Overtaken: when a night that read the shop later, or a replay of this one, is already published.
        psycopg.Error, duckdb.Error: when a row does not fit; nothing is changed then.
    """
    with turn("publish", run, snapshot_at) as taken:
        connection = taken.connection
        if done := _find_published(connection, run, snapshot_at, built):
            return done
        built = _with_slices(run, built)
        with _publication(taken, run, snapshot_at, run.horizon, built, sources) as publication_id:
            _note_copy(connection, run, publication_id)
            quarantine.sync(connection, run)
            if run.replays is None:
                _move_watermarks(connection, run, publication_id, sources)
    return publication_id


def enter_verdicts(
    run: Run, snapshot_at: datetime, session: duckdb.DuckDBPyConnection, sources: Mapping[str, Source]
) -> None:
    """Record the results of a replay that releases no row from the quarantine and so publishes nothing.

    Args:
        run: the replay.
        snapshot_at: when the rows that it checked were read from the shop.
        session: a session with the checked rows (``checked_…``).
        sources: the shop's sources.

    Raises:
        Overtaken: when a night was published after the replay began.
    """
    with turn("publish", run, snapshot_at) as taken, _cleared(taken):
        connection = taken.connection
        with connection.transaction():
            staging.drop(connection)
            connection.execute(SQL(quarantine.STAGED))
        duck.attach(session, "warehouse", settings().warehouse_url, read_only=False)
        for name, source in sources.items():
            quarantine.stage(session, source, f"(from checked_{name} where len(_broken) > 0)")
        with connection.transaction():
            quarantine.sync(connection, run)
            connection.execute("update audit.runs set judged_at = now() where run_id = %s", [run.run_id])


def publish_tables(run: Run, snapshot_at: datetime, built: list[TableVersion]) -> int:
    """Publish tables that were built from a published copy; the night's quarantine and watermarks stay as they are.

    A table of slices publishes the slice of the run's night; any other table publishes all its rows.

    Args:
        run: the run, of the kind ``tables``.
        snapshot_at: when the copy that the tables are built from was read from the shop.
        built: all its tables: reporting tables, or feature sets.

    Returns:
        The publication's id. Its horizon is the run's; for feature sets, their latest published day.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
        ContractError: when the live tables differ from the lake; nothing is changed then.
        Overtaken: when slices of this day from a later snapshot are already published, or readers now see another
            night than the one that the reporting tables were built for.
        psycopg.Error, duckdb.Error: when a row does not fit; nothing is changed then.
    """
    with turn("tables", run, snapshot_at, [one.table for one in built]) as taken:
        connection = taken.connection
        if done := _find_published(connection, run, snapshot_at, built):
            return done
        horizon = _horizon(connection, run, [one.table for one in built])
        built = [
            replace(one, slices={run.night: one.version}) if one.table.rebuild.kind == "as_of" else one for one in built
        ]
        with _publication(taken, run, snapshot_at, horizon, built, {}) as publication_id:
            pass  # only the tables are published
    return publication_id


def publish_past(run: Run, snapshot_at: datetime, built: list[TableVersion]) -> int:
    """Put a past night's reporting tables back.

    Quarantine and watermarks stay, because the shop's changes since then are still known.

    Args:
        run: the run of the DAG ``republish``; ``built_from`` is the publication that it puts back.
        snapshot_at: when that publication read the shop.
        built: all its tables, with the versions that it published.

    Returns:
        The new publication's id.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
        ContractError: when the live tables differ from the lake; nothing is changed then.
        psycopg.Error, duckdb.Error: when a row does not fit; nothing is changed then.
    """
    with turn("republish", run, snapshot_at) as taken:
        connection = taken.connection
        if done := _find_published(connection, run, snapshot_at, built):
            return done
        built = _with_slices(run, built)
        with _publication(taken, run, snapshot_at, run.horizon, built, {}) as publication_id:
            connection.execute(
                """
                update audit.publication_tables as now set rows = past.rows
                from audit.publication_tables as past
                where now.publication_id = %s and past.publication_id = %s
                    and past.schema_name = now.schema_name and past.table_name = now.table_name
                """,
                [publication_id, run.built_from],
            )
    return publication_id


def publish_removal(run: Run, snapshot_at: datetime, built: list[TableVersion]) -> int:
    """Remove a night's slices.

    Args:
        run: the run, of the kind ``removal``; its night is the one whose slices are removed.
        snapshot_at: when the copy that is published was read from the shop.
        built: tables of slices, with the versions that have no row in this slice.

    Returns:
        The publication's id.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
        ContractError: when the live tables differ from the lake; nothing is changed then.
        psycopg.Error, duckdb.Error: when the warehouse refuses; nothing is changed then.
    """
    with turn("removal", run, snapshot_at) as taken:
        connection = taken.connection
        if done := _find_published(connection, run, snapshot_at, built):
            return done
        built = [replace(one, slices={run.night: one.version}) for one in built]
        with _publication(taken, run, snapshot_at, run.horizon, built, {}) as publication_id:
            pass  # only the tables are published
    return publication_id


@contextmanager
def _publication(
    taken: Turn,
    run: Run,
    snapshot_at: datetime,
    horizon: date,
    built: list[TableVersion],
    sources: Mapping[str, Source],
) -> Iterator[int]:
    """Publish tables in one transaction. The block can add to it; it is committed when the block ends.

    Yields:
        The publication's id.
    """
    built, connection = [replace(one, null_columns=_null_columns(run, one)) for one in built], taken.connection
    with _cleared(taken):
        with connection.transaction():
            differs = {one.table.qualified_name: live_schema.difference(connection, one.table) for one in built}
        touched = staging.stage(connection, run, built, sources, differs)
        watched = restatements.watch(run, differs.values())
        with connection.transaction(), patient(connection, "publishing", _FOR_READERS):
            publication_id = _enter(connection, run, snapshot_at, horizon)
            new = [one for one in built if differs[one.table.qualified_name].missing]
            _create(connection, new, publication_id, run)  # first: nobody waits for them
            there = [one for one in built if one not in new]
            for one in there:
                live_schema.loosen(connection, one.table, one.null_columns)
                write_comments(connection, one.table)
            restatements.keep(connection, watched)
            for one in there:
                changed = touched.get(one.table.qualified_name)
                replace_what_differs(connection, one, publication_id, run, watched, changed)
                live_schema.tighten(connection, one.table)
            if run.kind.publishes_night:
                live_schema.drop_gone(connection)
            prove_published(connection, run, built, touched)
            restatements.record(connection, watched, publication_id)
            yield publication_id
            taken.must_hold()


def _create(
    connection: psycopg.Connection[TupleRow], new: Sequence[TableVersion], publication_id: int, run: Run
) -> None:
    """Create live tables, with all their rows."""
    if not new:
        return
    with duck.session() as session:
        duck.load_postgres(session)
        for one in new:
            live_schema.loosen(connection, one.table, one.null_columns)
            fill(connection, session, one, publication_id, run)
            live_schema.tighten(connection, one.table)
            write_comments(connection, one.table)


@contextmanager
def _cleared(taken: Turn) -> Iterator[None]:
    """Drop what the block stages, however it ends: a disk that is full would stay so.

    If the server is gone, the next publication drops it.
    """
    connection = taken.connection
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):
            taken.must_hold()  # else what is staged is the next publication's
            connection.rollback()
            with connection.transaction():
                staging.drop(connection)
        raise
    with connection.transaction():
        staging.drop(connection)


def _null_columns(run: Run, one: TableVersion) -> frozenset[str]:
    """The columns that are null in the published rows, because the version in the lake is older than the columns."""
    table = one.table
    if one.window is None and run.puts_back is None:
        return frozenset()
    versions = (
        {one.version} if one.window is None else {version for version in one.slices.values() if version is not None}
    )
    null = {
        name
        for version in versions
        for name in lacking(lake.stored(table.schema, table.name, version), table.lake_columns)
    }
    return frozenset(column.name for column in table.lake_columns if column.lake_name in null)


def _with_slices(run: Run, built: list[TableVersion]) -> list[TableVersion]:
    """The tables, each with the slices in which the live rows may differ from the rows to publish."""
    return [
        replace(one, slices=publications.slices_to_publish(run, one.table, one.version))
        if one.table.rebuild.kind == "as_of"
        else one
        for one in built
    ]


def _find_published(
    connection: psycopg.Connection[TupleRow], run: Run, snapshot_at: datetime, built: list[TableVersion]
) -> int | None:
    """The newest publication, if an earlier attempt of this run committed it and then died; finishes its cleanup."""
    with connection.transaction():
        found = connection.execute(
            """
            select publication_id from audit.publications join audit.publication_tables using (publication_id)
            where run_id = %s and snapshot_at = %s and publication_id = (
                select max(publication_id) from audit.publications join audit.runs using (run_id)
                where case when %s then kind = any(%s) else dag = %s end
            )
            group by publication_id
            having jsonb_object_agg(schema_name || '.' || table_name, lake_version) = %s
            """,
            [
                run.run_id, snapshot_at, run.kind in SHOW_NIGHT, list(SHOW_NIGHT), run.dag,
                Jsonb({one.table.qualified_name: one.version for one in built}),
            ],
        ).fetchone()  # fmt: skip
        if found:
            staging.drop(connection)
    return int(found[0]) if found else None


def _horizon(connection: psycopg.Connection[TupleRow], run: Run, tables: Sequence[Table]) -> date:
    """The horizon of a publication: the run's own; for feature sets, that of their latest published slice."""
    features = [table.name for table in tables if table.schema == "features"]
    if not features:
        return run.horizon
    with connection.transaction():
        latest = connection.execute(
            """
            select max(publications.horizon)
            from audit.publications
            join audit.runs using (run_id)
            join audit.publication_tables using (publication_id)
            where kind <> 'removal' and schema_name = 'features' and table_name = any(%s)
            """,
            [features],
        ).fetchone()
    return max(run.night, latest[0]) if latest and latest[0] else run.night


def _enter(connection: psycopg.Connection[TupleRow], run: Run, snapshot_at: datetime, horizon: date) -> int:
    row = connection.execute(
        """
        insert into audit.publications (run_id, night, horizon, snapshot_at) values (%s, %s, %s, %s)
        returning publication_id
        """,
        [run.run_id, run.night, horizon, snapshot_at],
    ).fetchone()
    if row is None:
        raise RuntimeError("the ledger returned no publication id")
    return int(row[0])


def _note_copy(connection: psycopg.Connection[TupleRow], run: Run, publication_id: int) -> None:
    """Record which copy of the shop was published: features can be built from it, whatever the run does later."""
    connection.execute(
        """
        insert into audit.publication_sources
            (publication_id, source, changed_since, source_rows, clean_rows, held_rows, clean_version)
        select %s, source, changed_since, source_rows, clean_rows, held_rows, clean_version
        from audit.source_counts where run_id = %s
        """,
        [publication_id, run.run_id],
    )


def _move_watermarks(
    connection: psycopg.Connection[TupleRow], run: Run, publication_id: int, sources: Mapping[str, Source]
) -> None:
    connection.cursor().executemany(
        """
        insert into audit.watermarks (source, changed_until, publication_id)
        select %s, coalesce(changed_until, snapshot_at), %s from audit.runs where run_id = %s
        on conflict (source) do update set
            changed_until = excluded.changed_until, publication_id = excluded.publication_id
        where watermarks.changed_until <= excluded.changed_until
        """,
        [(name, publication_id, run.run_id) for name in sources],
    )
