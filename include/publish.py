"""Publishing: what a run changed is staged, then replaces what differs in the live tables, in one transaction.

Staged are the rows whose keys the lake's commits name since the version that is live; where that is not known, or
everything was asked for, all rows. Readers keep their snapshot and never wait: rows are deleted and inserted, nothing
is renamed or locked. The same transaction enters the publication; a night's also syncs the quarantine and moves the
watermarks. A past night that is put back is a publication too: of the versions that were published then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import duckdb
import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from include import duck, lake, restatements
from include.conservation.published import Touched, prove_published
from include.contract import Source, Table, Type
from include.contract.ddl import KNOWN_AT, PUBLICATION, create_table
from include.contract.types import day_number
from include.ledger import publications
from include.ledger.runs import Run, turn
from include.restatements import Watch
from include.settings import settings
from include.validate.judgement import row_key

STAGING = "staging"


@dataclass(frozen=True)
class Built:
    """A table that waits to be published.

    Attributes:
        table: what it is, with its key types resolved.
        version: its version in the lake.
        slices: of a table of slices, those that are published: by the night that wrote one, the version that holds it;
            None where it is to be gone.
    """

    table: Table
    version: int
    slices: Mapping[date, int | None] = field(default_factory=dict)

    @property
    def window(self) -> list[date] | None:
        """The values of the rebuild column that are published; None: all rows are."""
        rebuild = self.table.rebuild
        return [rebuild.slice_of(night) for night in self.slices] if rebuild.kind == "as_of" else None

    @property
    def staged(self) -> str:
        """Its staging table."""
        return f"{STAGING}.{self.table.schema}_{self.table.name}"

    @property
    def staged_keys(self) -> str:
        """The staging table of the keys to replace, where these are not all."""
        return f"{STAGING}.keys_{self.table.schema}_{self.table.name}"


def publish(run: Run, snapshot_at: datetime, built: list[Built], sources: Mapping[str, Source]) -> int:
    """Publish a night. Publishing it again, from the same lake versions, is to have published it once.

    After a past night was put back, this brings every table forward again, other nights' slices too.

    Args:
        run: the night's run.
        snapshot_at: the shop's clock at its snapshot: the new watermark.
        built: its tables, all of them.
        sources: the shop's sources, for quarantine and watermarks.

    Returns:
        The publication's id.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
        ContractError: when the live tables are not what the lake holds; nothing is changed then.
        Overtaken: when a night that read the shop later is published already.
        psycopg.Error, duckdb.Error: when a row does not fit; nothing is changed then.
    """
    with turn("publish", run, snapshot_at) as connection:
        if done := _find_published(connection, run, snapshot_at, built):
            return done
        built = _with_slices(run, built)
        partly = _stage(connection, run, built, sources)
        watched = restatements.watch(run, [one.table for one in built])
        with connection.transaction():
            publication_id = _enter(connection, run, snapshot_at, run.horizon)
            _note_copy(connection, run, publication_id)
            restatements.keep(connection, watched)
            for one in built:
                _replace_what_differs(
                    connection, one, publication_id, run, watched, partly.get(one.table.qualified_name)
                )
            prove_published(connection, run, built, partly)
            restatements.record(connection, watched, publication_id)
            _sync_quarantine(connection, run)
            _move_watermarks(connection, run, publication_id, sources)
        with connection.transaction():
            _drop_staging(connection)
    return publication_id


def publish_features(run: Run, snapshot_at: datetime, built: list[Built]) -> int:
    """Publish a day's slices of the feature sets; the quarantine and the watermarks are the night's and stay.

    Args:
        run: the run of the DAG ``features``.
        snapshot_at: when the shop was read that the slices are built from.
        built: its tables, all of them.

    Returns:
        The publication's id. Its horizon is that of the latest day whose features are published.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
        ContractError: when the live tables are not what the lake holds; nothing is changed then.
        Overtaken: when slices of this day from a later snapshot are published already.
        psycopg.Error, duckdb.Error: when a row does not fit; nothing is changed then.
    """
    with turn("features", run, snapshot_at) as connection:
        if done := _find_published(connection, run, snapshot_at, built):
            return done
        built = [replace(one, slices={run.night: one.version}) for one in built]
        _stage(connection, run, built, {})
        with connection.transaction():
            latest = connection.execute(
                "select max(horizon) from audit.publications join audit.publication_tables using (publication_id)"
                " where schema_name = 'features'"
            ).fetchone()
            horizon = max(run.night, latest[0]) if latest and latest[0] else run.night
            publication_id = _enter(connection, run, snapshot_at, horizon)
            for one in built:
                _replace_what_differs(connection, one, publication_id, run, Watch())
            prove_published(connection, run, built)
        with connection.transaction():
            _drop_staging(connection)
    return publication_id


def publish_past(run: Run, snapshot_at: datetime, built: list[Built]) -> int:
    """Put a past night's reporting tables back; quarantine and watermarks stay, for the shop's changes since are known.

    Args:
        run: the run of the DAG ``republish``; ``built_from`` is the publication that it puts back.
        snapshot_at: when that publication had read the shop.
        built: its tables, all of them, with the versions that it had published.

    Returns:
        The new publication's id.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
        ContractError: when Postgres would not hold what the lake does.
        psycopg.Error, duckdb.Error: when a row does not fit; nothing is changed then.
    """
    with turn("republish", run, snapshot_at) as connection:
        if done := _find_published(connection, run, snapshot_at, built):
            return done
        built = _with_slices(run, built)
        partly = _stage(connection, run, built, {})
        watched = restatements.watch(run, [one.table for one in built])
        with connection.transaction():
            publication_id = _enter(connection, run, snapshot_at, run.horizon)
            restatements.keep(connection, watched)
            for one in built:
                _replace_what_differs(
                    connection, one, publication_id, run, watched, partly.get(one.table.qualified_name)
                )
            prove_published(connection, run, built, partly)
            restatements.record(connection, watched, publication_id)
            connection.execute(
                "update audit.publication_tables as now set rows = past.rows from audit.publication_tables as past"
                " where now.publication_id = %s and past.publication_id = %s"
                " and past.schema_name = now.schema_name and past.table_name = now.table_name",
                [publication_id, run.built_from],
            )
        with connection.transaction():
            _drop_staging(connection)
    return publication_id


def unpublished(run: Run, table: Table, version: int) -> list[str] | None:
    """The files that say in which rows a version of a table may differ from what is published.

    Returns:
        Absolute paths (``lake.changes``); None where all rows are to be looked at: what is published is not known, was
        built from another definition, is not a past of this version, is a slice, or everything was asked for.
    """
    live = publications.newest_version(table)
    if run.full_refresh or table.rebuild.kind == "as_of" or live is None:
        return None
    return lake.changes(table.schema, table.name, live, version)


def _with_slices(run: Run, built: list[Built]) -> list[Built]:
    """The tables, each with the slices in which what is live and what is to be live may differ."""
    return [
        replace(one, slices=publications.slices_to_publish(run, one.table, one.version))
        if one.table.rebuild.kind == "as_of"
        else one
        for one in built
    ]


def _find_published(
    connection: psycopg.Connection[TupleRow], run: Run, snapshot_at: datetime, built: list[Built]
) -> int | None:
    """The newest publication, if it is this one: an earlier try died after its commit. What it left to do is done."""
    with connection.transaction():
        found = connection.execute(
            """
            select publication_id from audit.publications join audit.publication_tables using (publication_id)
            where run_id = %s and snapshot_at = %s and publication_id = (
                select max(publication_id) from audit.publications join audit.runs using (run_id)
                where (dag = 'features') = %s
            )
            group by publication_id
            having jsonb_object_agg(schema_name || '.' || table_name, lake_version) = %s
            """,
            [
                run.run_id, snapshot_at, run.dag == "features",
                Jsonb({one.table.qualified_name: one.version for one in built}),
            ],
        ).fetchone()  # fmt: skip
        if found:
            _drop_staging(connection)
    return int(found[0]) if found else None


def _stage(
    connection: psycopg.Connection[TupleRow], run: Run, built: list[Built], sources: Mapping[str, Source]
) -> dict[str, Touched]:
    """Load what changed of every table, and the quarantine, into staging; missing live tables are created.

    Returns:
        By qualified name, which rows are staged, of the tables of which these are not all.
    """
    changes = {one.staged: unpublished(run, one.table, one.version) for one in built}
    with connection.transaction():
        _drop_staging(connection)
        for one in built:
            for statement in create_table(one.table):
                connection.execute(SQL(statement))
            columns = ", ".join(f"{column.name} {column.type.postgres}" for column in one.table.columns)
            connection.execute(SQL(f"create unlogged table {one.staged} ({columns})"))
            keys = ", ".join(f"{name} {one.table[name].type.postgres}" for name in one.table.primary_key)
            connection.execute(SQL(f"create unlogged table {one.staged_keys} ({keys})"))
        connection.execute(SQL(_QUARANTINE_STAGING))
    with duck.session() as session:
        duck.attach(session, "warehouse", settings().warehouse_url, read_only=False)
        for one in built:
            _load(session, one, changes[one.staged])
        for source in sources.values():
            _load_quarantine(session, source)
    with connection.transaction():
        for one in built:
            # After the load: sorting once is cheaper than a place in the index for every row as it comes.
            key = ", ".join(one.table.primary_key)
            for staged in (one.staged, one.staged_keys):
                connection.execute(SQL(f"alter table {staged} add primary key ({key}); analyze {staged}"))
    return {
        one.table.qualified_name: _touched(one, files) for one in built if (files := changes[one.staged]) is not None
    }


def _touched(one: Built, changes: Sequence[str]) -> Touched:
    """The rows whose keys some files name."""
    if not changes:
        return Touched("false", "false")
    key = ", ".join(one.table[name].lake_name for name in one.table.primary_key)
    same = " and ".join(f"staged.{name} = live.{name}" for name in one.table.primary_key)
    return Touched(
        f"({key}) in ({duck.keys(changes, key)})", f"exists (select from {one.staged_keys} as staged where {same})"
    )


def _load(session: duckdb.DuckDBPyConnection, one: Built, changes: list[str] | None) -> None:
    """Stage the rows of a table whose keys some files name, and these keys; all rows, or its slices, without files."""
    table, rebuild = one.table, one.table.rebuild
    if changes is not None and not changes:
        return
    if one.window is None:
        wanted = [(one.version, "")]
    else:
        wanted = [
            (version, f" where {rebuild.column} = {day_number(rebuild.slice_of(night))}")
            for night, version in one.slices.items()
            if version is not None
        ]
    if changes:
        keys = ", ".join(table[name].lake_name for name in table.primary_key)
        session.execute(f"create or replace temp table changed as {duck.keys(changes, keys)}")
        warehouse_keys = ", ".join(
            f"{table[name].type.to_warehouse_sql(table[name].lake_name)} as {name}" for name in table.primary_key
        )
        session.execute(f"insert into warehouse.{one.staged_keys} by name select {warehouse_keys} from changed")
        wanted = [(one.version, f" semi join changed using ({keys})")]
    values = ", ".join(f"{column.type.to_warehouse_sql(column.lake_name)} as {column.name}" for column in table.columns)
    for version, some in wanted:
        rows = duck.relation(lake.files(table.schema, table.name, version), table.lake_columns)
        session.execute(f"insert into warehouse.{one.staged} by name select {values} from {rows}{some}")


def _enter(connection: psycopg.Connection[TupleRow], run: Run, snapshot_at: datetime, horizon: date) -> int:
    row = connection.execute(
        """
        insert into audit.publications (run_id, night, horizon, snapshot_at) values (%s, %s, %s, %s)
        returning publication_id
        """,
        [run.run_id, run.night, horizon, snapshot_at],
    ).fetchone()
    if row is None:
        raise RuntimeError("the ledger gave no publication id")
    return int(row[0])


def _note_copy(connection: psycopg.Connection[TupleRow], run: Run, publication_id: int) -> None:
    """Note which copy of the shop was published, so that features can be built from it whatever the run does later."""
    connection.execute(
        """
        insert into audit.publication_sources
            (publication_id, source, changed_since, source_rows, clean_rows, held_rows, clean_version)
        select %s, source, changed_since, source_rows, clean_rows, held_rows, clean_version
        from audit.source_counts where run_id = %s
        """,
        [publication_id, run.run_id],
    )


def _replace_what_differs(
    connection: psycopg.Connection[TupleRow],
    one: Built,
    publication_id: int,
    run: Run,
    watched: Watch,
    touched: Touched | None = None,
) -> None:
    """Delete live rows that are not staged as they are, insert staged rows that are not live.

    Args:
        connection: in the publication's transaction.
        one: the table.
        publication_id: the publication.
        run: its run.
        watched: what is kept of the rows that are replaced.
        touched: the rows that are looked at; without it all, or the table's slices.
    """
    table = one.table
    live = f"{table.schema}.{table.name}"
    names = [column.name for column in table.columns]
    same_key = " and ".join(f"staged.{k} = live.{k}" for k in table.primary_key)
    same_row = (
        f"({', '.join(f'staged.{n}' for n in names)}) is not distinct from ({', '.join(f'live.{n}' for n in names)})"
    )
    window = "true" if one.window is None else f"live.{table.rebuild.column} = any(%(slices)s)"
    delete = (
        f"delete from {live} as live where {touched.in_postgres if touched else window}"
        f" and not exists (select from {one.staged} as staged where {same_key} and {same_row})"
    )
    deleted = connection.execute(
        SQL(watched.keeping(table, "old", delete, "live.")),
        {"slices": one.window},
    ).rowcount
    known_at = f", {KNOWN_AT}" if table.schema == "features" else ""
    insert = (
        f"insert into {live} ({', '.join(names)}, {PUBLICATION}{known_at})"
        f" select {', '.join(names)}, %s{', now()' if known_at else ''} from {one.staged} as staged"
        f" where not exists (select from {live} as live where {same_key})"
    )
    inserted = connection.execute(
        SQL(watched.keeping(table, "new", insert)),
        [publication_id],
    ).rowcount
    connection.execute(
        SQL(
            "insert into audit.publication_tables"
            " (publication_id, schema_name, table_name, lake_version, rows, inserted, deleted, complete)"
            " select %(publication)s, %(schema)s, %(table)s, %(version)s, count(*), %(inserted)s, %(deleted)s,"
            " (select coalesce(bool_and(complete), false) from audit.source_counts where run_id = %(run)s"
            " and source in (select unnest(sources) from audit.tables"
            f" where schema_name = %(schema)s and table_name = %(table)s)) from {live} as live where {window}"
        ),
        {
            "slices": one.window,
            "publication": publication_id,
            "schema": table.schema,
            "table": table.name,
            "version": one.version,
            "inserted": inserted,
            "deleted": deleted,
            "run": run.run_id,
        },
    )


_QUARANTINE_STAGING = """
create unlogged table staging.quarantine
    (source text, row_key text, rules text[], row_values text, amount numeric(18, 2), currency text);
create unlogged table staging.accepted_keys (source text, row_key text)
"""


def _load_quarantine(session: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Stage the rows in quarantine, and which of the rows that the ledger holds open were accepted since."""
    if not lake.files("quarantine", source.name) and not lake.files("clean", source.name):
        return
    read = ", ".join(f"{column.lake_name} := {column.lake_name}" for column in source.columns)
    unreadable = "_unreadable := _unreadable"
    # No file means an empty quarantine, not a missing one.
    if files := lake.files("quarantine", source.name):
        session.execute(
            f"""
            insert into warehouse.staging.quarantine by name
            select
                '{source.name}' as source,
                {row_key(source)} as row_key,
                list_sort(_broken) as rules,
                to_json(struct_pack({read}, {unreadable}))::varchar as row_values,
                {Type.CENTS.to_warehouse_sql("_amount_cents")} as amount,
                {source.currency or "null::varchar"} as currency
            from read_parquet([{", ".join(duck.quoted(file) for file in files)}])
            """
        )
    session.execute(
        f"""
        insert into warehouse.staging.accepted_keys by name
        select '{source.name}' as source, key as row_key
        from (select {row_key(source)} as key from {duck.relation(lake.files("clean", source.name), source.columns)})
        semi join (
            select row_key as key from postgres_query('warehouse',
                'select row_key from audit.quarantine where outcome = ''open'' and source = ''{source.name}''')
        ) using (key)
        """
    )


def _sync_quarantine(connection: psycopg.Connection[TupleRow], run: Run) -> None:
    """Close what is no longer held as it was, open what is newly held; rows held as before stay as they are."""
    same = (
        "now.source = held.source and now.row_key = held.row_key and now.rules = held.rules"
        " and now.row_values::jsonb = held.row_values"
    )
    connection.execute(
        SQL(
            f"""
            update audit.quarantine as held set
                resolved_by = %s,
                resolved_at = now(),
                outcome = case
                    when exists (
                        select from staging.quarantine as now
                        where now.source = held.source and now.row_key = held.row_key
                    ) then 'changed'
                    when exists (
                        select from staging.accepted_keys as now
                        where now.source = held.source and now.row_key = held.row_key
                    ) then 'released'
                    else 'deleted'
                end
            where held.outcome = 'open' and not exists (select from staging.quarantine as now where {same})
            """
        ),
        [run.run_id],
    )
    connection.execute(
        SQL(
            f"""
            insert into audit.quarantine (source, row_key, rules, row_values, amount, currency, quarantined_by)
            select source, row_key, rules, row_values::jsonb, amount, currency, %s
            from staging.quarantine as now
            where not exists (select from audit.quarantine as held where held.outcome = 'open' and {same})
            """
        ),
        [run.run_id],
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


def _drop_staging(connection: psycopg.Connection[TupleRow]) -> None:
    """Drop every staging table, also those that a killed publisher left."""
    rows = connection.execute("select tablename from pg_tables where schemaname = 'staging'").fetchall()
    for (name,) in rows:
        connection.execute(SQL("drop table {}").format(Identifier(STAGING, name)))
