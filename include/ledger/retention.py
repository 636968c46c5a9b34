"""What the ledger still needs of the lake, and which of its own rows are past their time.

One rule for both. A run is kept whole, its rows here and the versions that it read and made, if it or a publication of
it is young enough, if it is not over, or if what is published, or accepted, last came from it. Of what is older stay,
for ever: a publication and its run (every published row names one), which version of a feature set it published
(training sets read features as they were known), and rows in quarantine that are open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from psycopg.sql import SQL, Identifier

from include.ledger.connection import connect
from include.ledger.runs import slug

_YOUNG = "published_at >= %(since)s"
_LATEST = (
    "publication_id in (select max(publication_id) from audit.publication_tables group by schema_name, table_name)"
)

_KEPT_RUNS = f"""
    select run_id from audit.runs where started_at >= %(since)s or state = 'running' or accepting
    union select run_id from audit.publications where {_YOUNG} or {_LATEST}
    union (
        select run_id from audit.runs join audit.source_counts using (run_id)
        where accepted is not null order by snapshot_at desc, started_at desc limit 1
    )
"""
# Of which publication the copy of the shop, and a table, can be published again.
_KEPT_SOURCES = f"""
    select publication_id from audit.publications where {_YOUNG}
    union select max(publication_id) from audit.publication_sources
"""
_KEPT_TABLES = f"""
    select publication_id, schema_name, table_name from audit.publication_tables
    join audit.publications using (publication_id)
    where {_YOUNG} or (publication_id, schema_name, table_name) in (
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

_PAST = {
    **{
        table: f"delete from audit.{table} where run_id not in ({_KEPT_RUNS})"
        for table in ("stages", "source_counts", "expectation_results", "builds", "parity", "conservation", "approvals")
    },
    "publication_sources": f"delete from audit.publication_sources where publication_id not in ({_KEPT_SOURCES})",
    "publication_tables": "delete from audit.publication_tables where schema_name <> 'features'"
    f" and (publication_id, schema_name, table_name) not in ({_KEPT_TABLES})",
    "quarantine": "delete from audit.quarantine where outcome <> 'open' and resolved_at < %(since)s",
}


@dataclass(frozen=True)
class Needs:
    """What is needed of the lake.

    Attributes:
        versions: the versions of each table, by layer and name.
        slices: of feature sets, for each publication ever: its version, and the night whose slice it published.
        runs: the runs that are kept, as their folders and partitions are called.
        past_runs: those that are not, likewise.
    """

    versions: Mapping[tuple[str, str], frozenset[int]]
    slices: Mapping[tuple[str, str], frozenset[tuple[int, date]]]
    runs: frozenset[str]
    past_runs: frozenset[str]


def needs(since: datetime) -> Needs:
    """What is needed when what is older than an instant may go."""
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
    """Delete the ledger's rows that are past their time, in one transaction.

    Args:
        since: what is older may go.
        dry_run: whether it is only counted.

    Returns:
        Rows per table, of those of which there were any.
    """
    asked = {"since": since}
    with connect() as connection, connection.transaction(force_rollback=dry_run):
        gone = {table: connection.execute(SQL(statement), asked).rowcount for table, statement in _PAST.items()}
        # Whatever else names a run keeps it, in tables that are not thought of here too.
        naming = connection.execute(
            """
            select conrelid::regclass::text, attname from pg_constraint
            join pg_attribute on attrelid = conrelid and attnum = any(conkey)
            where contype = 'f' and confrelid = 'audit.runs'::regclass
            """
        ).fetchall()
        unnamed = [
            SQL(" and not exists (select from {} as other where other.{} = runs.run_id)").format(
                Identifier(*table.split(".")), Identifier(column)
            )
            for table, column in naming
        ]
        runs = SQL(f"delete from audit.runs where run_id not in ({_KEPT_RUNS})") + SQL("").join(unnamed)
        gone["runs"] = connection.execute(runs, asked).rowcount
    return {table: rows for table, rows in gone.items() if rows}
