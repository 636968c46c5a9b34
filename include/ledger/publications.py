"""Publications in the ledger: which days they cover, and which version of a feature set each one holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from include.contract import Table
from include.ledger.connection import connect
from include.ledger.runs import PUBLISH_NIGHT, SHOW_NIGHT, Kind, Run


@dataclass(frozen=True)
class PastNight:
    """A publication of a night.

    Attributes:
        publication_id: its id.
        night: the business day it was for.
        horizon: the last whole business day that its tables cover.
        published_at: when it was published.
        snapshot_at: when it read the shop.
        versions: per reporting table, the version in the lake.
    """

    publication_id: int
    night: date
    horizon: date
    published_at: datetime
    snapshot_at: datetime
    versions: Mapping[str, int]


def past_nights(night: date) -> list[PastNight]:
    """Every publication of a night, the newest first; a replay counts, putting the night back does not."""
    with connect() as connection:
        rows = connection.execute(
            """
            select
                publication_id, publications.night, publications.horizon, published_at, publications.snapshot_at,
                jsonb_object_agg(table_name, lake_version)
            from audit.publications
            join audit.runs using (run_id)
            join audit.publication_tables using (publication_id)
            where kind = any(%s) and publications.night = %s and schema_name = 'reporting'
            group by publication_id order by publication_id desc
            """,
            [list(PUBLISH_NIGHT), night],
        ).fetchall()
    return [PastNight(*row) for row in rows]


@dataclass(frozen=True)
class Published:
    """What a publication published.

    Attributes:
        dag: the DAG of its run.
        kind: what its run does.
        night: the business day it was for.
        horizon: the last whole business day that its tables cover.
        published_at: when it was published.
        has_features: whether it published feature sets.
    """

    dag: str
    kind: Kind
    night: date
    horizon: date
    published_at: datetime
    has_features: bool


def latest(count: int) -> list[Published]:
    """The latest publications of any kind, the newest first."""
    with connect() as connection:
        rows = connection.execute(
            """
            select
                dag, kind, publications.night, publications.horizon, published_at,
                exists (
                    select from audit.publication_tables as tables
                    where tables.publication_id = publications.publication_id and schema_name = 'features'
                )
            from audit.publications join audit.runs using (run_id)
            order by publication_id desc limit %s
            """,
            [count],
        ).fetchall()
    return [Published(dag, Kind(kind), *rest) for dag, kind, *rest in rows]


def has_feature_sets() -> bool:
    """Whether this shop has any, as the last night recorded."""
    with connect() as connection:
        row = connection.execute(
            "select from audit.tables where schema_name = 'features' and left_out is null limit 1"
        ).fetchone()
    return row is not None


@dataclass(frozen=True)
class LiveCopy:
    """The copy that the live tables were built from.

    Attributes:
        horizon: the last whole business day that they cover.
        versions: per source, the version of lake/clean.
        tables: the tables that were published with it, by qualified name.
        is_put_back: whether it is the copy of a past night that was put back.
    """

    horizon: date
    versions: Mapping[str, int]
    tables: frozenset[str] = frozenset()
    is_put_back: bool = False


def live_copy(run: Run | None = None, tables: Iterable[Table] = ()) -> LiveCopy | None:
    """The copy of the shop behind the tables that readers see now; None before the first publication.

    Args:
        run: a run that builds some tables: these may be older than the others. Any other run, or None: all tables.
        tables: the tables that this run publishes.
    """
    with connect() as connection:
        row = connection.execute(
            """
            with known as (
                select
                    publications.publication_id,
                    publications.horizon,
                    runs.kind,
                    case
                        when runs.kind in ('republish', 'tables') then runs.built_from
                        else publications.publication_id
                    end as copied_from,
                    array(
                        select schema_name || '.' || table_name from audit.publication_tables
                        where publication_tables.publication_id = publications.publication_id
                    ) as tables
                from audit.publications
                join audit.runs using (run_id)
            )
            select
                horizon,
                (
                    select jsonb_object_agg(source, clean_version) from audit.publication_sources
                    where publication_sources.publication_id = copied_from
                ),
                tables,
                kind = 'republish'
            from known
            where case when %(some)s then tables && %(tables)s else kind = any(%(show_night)s) end
            order by publication_id desc limit 1
            """,
            {
                "some": run is not None and run.kind.builds_some_tables,
                "tables": [table.qualified_name for table in tables],
                "show_night": list(SHOW_NIGHT),
            },
        ).fetchone()
    return LiveCopy(row[0], row[1] or {}, frozenset(row[2]), row[3]) if row else None


def published_nights() -> list[date]:
    """Every night that was published, in order."""
    with connect() as connection:
        rows = connection.execute(
            "select distinct publications.night from audit.publications join audit.runs using (run_id)"
            " where kind = 'night' order by 1"
        ).fetchall()
    return [night for (night,) in rows]


def slices_to_publish(run: Run, table: Table, version: int) -> dict[date, int | None]:
    """The slices of a table that a run must publish, by night: those in which the live rows may differ.

    Each night's slice is the one that this night published last. A night publishes its own slice. If a past night was
    put back before it, it also publishes the slices that were removed then. A run that puts a past night back publishes
    the slices of the nights published since. A replay counts as its night, and so does a removal, which leaves no row.

    Args:
        run: a night, a replay, or a run that puts a night back; not published yet.
        table: a table of slices.
        version: for a night, or a removal, the version that holds its slice.

    Returns:
        By night, the version that holds its slice; None if the slice is to be deleted.
    """
    with connect() as connection:
        rows = connection.execute(
            """
            with shown as (
                select publication_id, case when kind = 'republish' then built_from end as put_back
                from audit.publications join audit.runs using (run_id)
                where kind = any(%(show_night)s) order by publications.publication_id desc limit 1
            )
            select
                publications.night,
                (array_agg(lake_version order by publications.publication_id desc)
                    filter (where publications.publication_id <= coalesce(%(until)s, publications.publication_id)))[1]
            from audit.publications
            join audit.runs using (run_id)
            join audit.publication_tables using (publication_id)
            where kind = any(%(publish_night)s) and schema_name = %(schema)s and table_name = %(table)s
            group by publications.night
            -- Where what readers have of it is not what they shall have.
            having bool_or(
                (
                    select put_back is null or publications.publication_id <= put_back
                        or publications.publication_id > shown.publication_id
                    from shown
                ) <> (publications.publication_id <= coalesce(%(until)s, publications.publication_id))
            )
            """,
            {
                "until": run.puts_back,
                "schema": table.schema,
                "table": table.name,
                "publish_night": [*PUBLISH_NIGHT, Kind.REMOVAL],
                "show_night": list(SHOW_NIGHT),
            },
        ).fetchall()
    return {**dict(rows), **({run.night: version} if run.puts_back is None else {})}


def tables_of(night: date) -> frozenset[str]:
    """The tables, by qualified name, of which a night published rows when it last published them."""
    with connect() as connection:
        rows = connection.execute(
            """
            with latest as (
                select distinct on (schema_name, table_name) schema_name, table_name, rows
                from audit.publication_tables
                join audit.publications using (publication_id)
                where night = %s
                order by schema_name, table_name, publication_id desc
            )
            select schema_name || '.' || table_name from latest where rows > 0
            """,
            [night],
        ).fetchall()
    return frozenset(name for (name,) in rows)


def published_horizon() -> date | None:
    """The last whole business day that the published tables cover; None before the first publication."""
    with connect() as connection:
        row = connection.execute(
            "select max(publications.horizon) from audit.publications join audit.runs using (run_id)"
            " where kind = 'night'"
        ).fetchone()
    return row[0] if row else None


def is_published(night: date, but_for: str = "") -> bool:
    """Whether a night was published, and no past night was put back since: readers see its day, or later ones.

    Args:
        night: the business day.
        but_for: a run whose own publications do not count.
    """
    with connect() as connection:
        row = connection.execute(
            """
            with shown as (
                select publication_id, kind, publications.night, run_id
                from audit.publications join audit.runs using (run_id)
                where kind = any(%(show_night)s)
            )
            select
                exists (
                    select from shown
                    where kind = any(%(publish_night)s) and night = %(night)s and run_id <> %(but_for)s
                )
                and 'republish' is distinct from (select kind from shown order by publication_id desc limit 1)
            """,
            {
                "night": night,
                "but_for": but_for,
                "publish_night": list(PUBLISH_NIGHT),
                "show_night": list(SHOW_NIGHT),
            },
        ).fetchone()
    return bool(row and row[0])


def live_version(table: Table, version: int) -> int | None:
    """The live version of a table, if it was built with the same definition as a given version; else None."""
    with connect() as connection:
        row = connection.execute(
            """
            with
                live as (
                    select lake_version from audit.publication_tables
                    where schema_name = %(schema)s and table_name = %(table)s order by publication_id desc limit 1
                ),
                made as (
                    select distinct on (lake_version) lake_version, definition
                    from audit.builds
                    where schema_name = %(schema)s and table_name = %(table)s
                    order by lake_version, built_at desc
                )
            select live.lake_version
            from live
            join made as of_live on of_live.lake_version = live.lake_version
            join made as of_version on of_version.lake_version = %(version)s
            where of_live.definition = of_version.definition
            """,
            {"schema": table.schema, "table": table.name, "version": version},
        ).fetchone()
    return row[0] if row else None


def published_slices(table: str | None, until: int | None) -> list[tuple[int, date, datetime, int, bool]]:
    """What was published of a feature set (None: of any), in order, up to and including a publication (None: all).

    Returns:
        Per publication its id, its night, its time, the version in the lake, and whether it changed a row.
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
