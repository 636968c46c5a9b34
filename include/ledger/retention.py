"""What the ledger still needs of the lake, and which of its own rows can be deleted.

One rule decides both. A run is kept whole, with its rows here and the versions that it read and made, if it or one of
its publications is recent, if it is not over, or if it made what was last published or accepted. Some older rows are
kept forever: publications and their runs (every published row names a publication), the version of each feature set
that a publication published (training sets read features as they were known), and open rows of the quarantine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from psycopg.sql import SQL, Identifier

from include.ledger.connection import connect
from include.ledger.runs import slug

_RECENT = "published_at >= %(since)s"
_LATEST = (
    "publication_id in (select max(publication_id) from audit.publication_tables group by schema_name, table_name)"
)

_KEPT_RUNS = f"""
    select run_id from audit.runs where started_at >= %(since)s or state = 'running' or accepting
    union select run_id from audit.publications where {_RECENT} or {_LATEST}
    union (
        select run_id from audit.runs join audit.source_counts using (run_id)
        where accepted is not null order by snapshot_at desc, started_at desc limit 1
    )
"""
# The publications whose copy of the shop, or whose table, can be published again.
_KEPT_SOURCES = f"""
    select publication_id from audit.publications where {_RECENT}
    union select max(publication_id) from audit.publication_sources
"""
_KEPT_TABLES = f"""
    select publication_id, schema_name, table_name from audit.publication_tables
    join audit.publications using (publication_id)
    where {_RECENT} or (publication_id, schema_name, table_name) in (
        select max(publication_id), schema_name, table_name from audit.publication_tables
        group by schema_name, table_name
    )
"""

_VERSIONS = f"""
    select 'clean', source, clean_version from audit.source_counts
    where clean_version is not null and run_id in ({_KEPT_RUNS})
    union select 'clean', source, clean_version from audit.publication_sources
    where publication_id in ({_KEPT_SOURCES})
    union select layer.key, source.key, layer.value::bigint
    from audit.runs cross join jsonb_each(accepting_from) as source cross join jsonb_each_text(source.value) as layer
    where layer.value is not null and (state <> 'success' or accepting) and run_id in ({_KEPT_RUNS})
    union select schema_name, table_name, lake_version from audit.builds where run_id in ({_KEPT_RUNS})
    union select split_part(input.key, '.', 1), split_part(input.key, '.', 2), input.value::bigint
    from audit.builds cross join jsonb_each_text(coalesce(inputs, '{{}}')) as input where run_id in ({_KEPT_RUNS})
    union select schema_name, table_name, lake_version from audit.publication_tables
    where (publication_id, schema_name, table_name) in ({_KEPT_TABLES})
"""

_DELETIONS = {
    **{
        table: f"delete from audit.{table} where run_id not in ({_KEPT_RUNS})"
        for table in ("stages", "source_counts", "expectation_results", "builds", "parity", "conservation", "approvals")
    },
    "publication_sources": f"delete from audit.publication_sources where publication_id not in ({_KEPT_SOURCES})",
    "publication_tables": "delete from audit.publication_tables where schema_name <> 'features'"
    f" and (publication_id, schema_name, table_name) not in ({_KEPT_TABLES})",
    "incidents": "delete from audit.incidents where closed_at < %(since)s",
    "quarantine": "delete from audit.quarantine where outcome <> 'open' and resolved_at < %(since)s",
    "exports": "delete from audit.exports"
    " where state in ('failed', 'cancelled', 'expired') and coalesce(finished_at, asked_at) < %(since)s",
}


@dataclass(frozen=True)
class Needs:
    """What is needed of the lake.

    Attributes:
        versions: the versions of each table, by layer and name.
        slices: for feature sets and each publication ever: its version, and the night whose slice it published.
        runs: the runs that are kept, by the names of their folders and partitions.
        past_runs: the runs that are not kept, likewise.
    """

    versions: Mapping[tuple[str, str], frozenset[int]]
    slices: Mapping[tuple[str, str], frozenset[tuple[int, date]]]
    runs: frozenset[str]
    past_runs: frozenset[str]


def needs(since: datetime) -> Needs:
    """What is needed if everything older than an instant may be deleted."""
    asked = {"since": since}
    versions: dict[tuple[str, str], set[int]] = {}
    slices: dict[tuple[str, str], set[tuple[int, date]]] = {}
    with connect() as connection:
        for layer, name, version in connection.execute(SQL(_VERSIONS), asked):
            versions.setdefault((layer, name), set()).add(version)
        published = connection.execute(
            "select distinct schema_name, table_name, lake_version, night from audit.publication_tables"
            " join audit.publications using (publication_id) where schema_name = 'features'"
        )
        for schema, name, version, night in published:
            slices.setdefault((schema, name), set()).add((version, night))
        runs = connection.execute(SQL(f"select run_id, run_id in ({_KEPT_RUNS}) from audit.runs"), asked).fetchall()
    kept = frozenset(slug(run_id) for run_id, is_kept in runs if is_kept)
    return Needs(
        {table: frozenset(found) for table, found in versions.items()},
        {table: frozenset(found) for table, found in slices.items()},
        kept,
        frozenset(slug(run_id) for run_id, is_kept in runs if not is_kept) - kept,
    )


def forget(since: datetime, *, dry_run: bool) -> dict[str, int]:
    """Delete the ledger's rows that are no longer needed, in one transaction.

    Args:
        since: everything older may be deleted.
        dry_run: whether the rows are only counted.

    Returns:
        The number of rows per table, without tables that have none.
    """
    asked = {"since": since}
    with connect() as connection, connection.transaction(force_rollback=dry_run):
        gone = {table: connection.execute(SQL(statement), asked).rowcount for table, statement in _DELETIONS.items()}
        # Any other row that references a run keeps it, including rows of tables that are not listed here.
        references = connection.execute(
            """
            select conrelid::regclass::text, attname from pg_constraint
            join pg_attribute on attrelid = conrelid and attnum = any(conkey)
            where contype = 'f' and confrelid = 'audit.runs'::regclass
            """
        ).fetchall()
        unreferenced = [
            SQL(" and not exists (select from {} as other where other.{} = runs.run_id)").format(
                Identifier(*table.split(".")), Identifier(column)
            )
            for table, column in references
        ]
        runs = SQL(f"delete from audit.runs where run_id not in ({_KEPT_RUNS})") + SQL("").join(unreferenced)
        gone["runs"] = connection.execute(runs, asked).rowcount
    return {table: rows for table, rows in gone.items() if rows}
