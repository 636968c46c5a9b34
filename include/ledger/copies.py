"""The copy of the shop in the ledger: what was read, accepted and quarantined, and up to which instant."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from include.contract.definition import SourceDefinition
from include.ledger.connection import connect
from include.ledger.runs import PUBLISH_NIGHT, Run

LayerVersions: TypeAlias = Mapping[str, Mapping[str, int | None]]  # by source and layer, a version; None: never written


def watermarks() -> dict[str, datetime]:
    """Per source, the instant up to which its changes are published."""
    with connect() as connection:
        return dict(connection.execute("select source, changed_until from audit.watermarks").fetchall())


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


def unfinished(run_id: str, publication: int) -> tuple[str, date, str] | None:
    """Find a run that keeps a publication's copy from being used: the lake differs from it, or soon will.

    Args:
        run_id: the run that asks.
        publication: the newest publication of a night.

    Returns:
        Its id, its night and the reason; None if there is no such run. ``died``: it died while it changed the lake,
        which only a full refresh repairs; ``open``: it is still running; ``unpublished``: it accepted rows of a later
        snapshot that were never published.
    """
    with connect() as connection:
        return connection.execute(
            """
            select runs.run_id, runs.night, why
            from audit.runs
            cross join (select * from audit.publications where publication_id = %(publication)s) as published
            cross join lateral (
                select case
                    when accepting then 'died'
                    when runs.run_id <> %(run)s and state = 'running' and started_at > published_at then 'open'
                    when runs.snapshot_at > published.snapshot_at and exists (
                        select from audit.source_counts as counts
                        where counts.run_id = runs.run_id and accepted is not null
                    ) then 'unpublished'
                end as why
            ) as reason
            where kind = any(%(publish_night)s) and why is not null
            order by why, started_at desc limit 1
            """,
            {"run": run_id, "publication": publication, "publish_night": list(PUBLISH_NIGHT)},
        ).fetchone()


def first_day(run_id: str | None = None) -> date | None:
    """The first business day of the shop, in the copy of a run; by default, of the night that was published last."""
    with connect() as connection:
        row = connection.execute(
            """
            select first_day
            from audit.runs
            where run_id = coalesce(
                %s,
                (
                    select run_id
                    from audit.publications
                    where publication_id in (select publication_id from audit.publication_sources)
                    order by publication_id desc limit 1
                )
            )
            """,
            [run_id],
        ).fetchone()
    return row[0] if row else None


def record_first_day(run_id: str, day: date | None) -> None:
    """Record the first business day of the shop, in the copy of a run."""
    with connect() as connection:
        connection.execute("update audit.runs set first_day = %s where run_id = %s", [day, run_id])


def take_copy(run: Run) -> None:
    """Record that a run uses the published copy: it reads nothing itself, and its window is empty."""
    with connect() as connection:
        connection.execute(
            """
            update audit.runs set snapshot_at = published.snapshot_at, accepting_from = null, first_day = null
            from audit.publications as published
            where runs.run_id = %s and published.publication_id = %s
            """,
            [run.run_id, run.built_from],
        )
        connection.execute("delete from audit.source_counts where run_id = %s", [run.run_id])
        connection.execute(
            """
            insert into audit.source_counts (
                run_id, source, changed_since, extracted, source_rows, clean_rows, held_rows, clean_version,
                known, replaced, deleted
            )
            select
                %s, source, snapshot_at::text, 0, source_rows, clean_rows, held_rows, clean_version,
                clean_rows + held_rows, 0, 0
            from audit.publication_sources join audit.publications using (publication_id) where publication_id = %s
            """,
            [run.run_id, run.built_from],
        )


def published_versions(publication: int) -> dict[str, int]:
    """Per source, the version of lake/clean that a publication of a night was built from."""
    with connect() as connection:
        return dict(
            connection.execute(
                "select source, clean_version from audit.publication_sources where publication_id = %s", [publication]
            ).fetchall()
        )


def record_extracted(
    run_id: str,
    snapshot_at: datetime,
    changed_until: datetime,
    sources: Mapping[str, Mapping[str, Any]],
    definitions: Mapping[str, SourceDefinition] = MappingProxyType({}),
    rechecked: Collection[str] = (),
    anew: Mapping[str, Sequence[str]] = MappingProxyType({}),
    replica_lag_seconds: float | None = None,
) -> None:
    """Record the result of the snapshot.

    Args:
        run_id: the run.
        snapshot_at: the shop's clock at the snapshot.
        changed_until: the watermark that the run's publication will set.
        sources: per source its changed_since, extracted, source_rows, late, gone, known, replaced, deleted and proof.
        definitions: per source, what decides the rows of its copy, if that is known.
        rechecked: the sources whose rows are all checked again.
        anew: per source that is read or checked again because its definition changed, the reasons.
        replica_lag_seconds: how far behind its primary the shop was, where it is a replica.
    """
    with connect() as connection:
        connection.execute(
            """
            update audit.runs set
                snapshot_at = %s, changed_until = %s, replica_lag_seconds = %s, accepting_from = null, first_day = null
            where run_id = %s
            """,
            [snapshot_at, changed_until, replica_lag_seconds, run_id],
        )
        connection.execute("delete from audit.source_counts where run_id = %s", [run_id])
        connection.cursor().executemany(
            """
            insert into audit.source_counts
                (run_id, source, changed_since, extracted, source_rows, late, gone, known, replaced, deleted, proof,
                definition, rechecked, anew)
            values (%(run_id)s, %(source)s, %(changed_since)s, %(extracted)s, %(source_rows)s, %(late)s, %(gone)s,
                %(known)s, %(replaced)s, %(deleted)s, %(proof)s, %(definition)s, %(rechecked)s, %(anew)s)
            """,
            [
                {
                    "run_id": run_id,
                    "source": name,
                    **figures,
                    "definition": Jsonb(definitions[name].as_json()) if name in definitions else None,
                    "rechecked": name in rechecked,
                    "anew": list(anew.get(name, ())),
                }
                for name, figures in sources.items()
            ],
        )


def snapshot_of(run_id: str) -> tuple[datetime, dict[str, str]]:
    """When the run's snapshot was taken, and per source the start of its window.

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


def rechecked(run_id: str) -> frozenset[str]:
    """The sources whose rows a run checks again, all of them, from the copy."""
    with connect() as connection:
        rows = connection.execute(
            "select source from audit.source_counts where run_id = %s and rechecked", [run_id]
        ).fetchall()
    return frozenset(source for (source,) in rows)


def definitions() -> dict[str, SourceDefinition | None]:
    """Per source, the definition that the copy in the lake was made with; None if it is not known.

    It is that of the latest night that accepted rows, published or not. A replay does not count: it does not check the
    other rows again.
    """
    with connect() as connection:
        rows = connection.execute(
            """
            select distinct on (source) source, definition
            from audit.source_counts
            join audit.runs using (run_id)
            where accepted is not null and kind = 'night'
            order by source, snapshot_at desc, started_at desc
            """
        ).fetchall()
    return {source: SourceDefinition.from_json(kept) if kept else None for source, kept in rows}


def rows_of_copy() -> dict[str, int]:
    """Per source of the last night that accepted rows, the number of rows in its copy, accepted or in quarantine."""
    with connect() as connection:
        return dict(
            connection.execute(
                """
                select source, clean_rows + held_rows
                from audit.source_counts
                where run_id = (
                    select run_id
                    from audit.runs
                    join audit.source_counts using (run_id)
                    where accepted is not null and kind = 'night'
                    order by snapshot_at desc, started_at desc limit 1
                )
                order by source
                """
            ).fetchall()
        )


def clean_versions(run_id: str) -> dict[str, int]:
    """Per source, the version of lake/clean that the run accepted its rows into."""
    with connect() as connection:
        return dict(
            connection.execute(
                "select source, clean_version from audit.source_counts where run_id = %s", [run_id]
            ).fetchall()
        )


def accounts(run_id: str) -> list[dict[str, Any]]:
    """Per source of a run, how many rows were known, read, accepted and quarantined, and the versions of its copy."""
    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select source, source_rows, known, extracted, replaced, deleted, accepted, quarantined, clean_version,
                held_version
            from audit.source_counts where run_id = %s order by source
            """,
            [run_id],
        ).fetchall()


def accepting_from(run_id: str) -> LayerVersions | None:
    """The versions that an earlier attempt of a run found when it began to change the lake; None if there was none.

    If the run has read the shop or taken the published copy again since then, it starts over.
    """
    with connect() as connection:
        row = connection.execute("select accepting_from from audit.runs where run_id = %s", [run_id]).fetchone()
    return row[0] if row else None


def begin_accepting(run_id: str, found: LayerVersions) -> None:
    """Record that a run is about to change lake/clean and lake/quarantine, which takes more than one commit.

    Args:
        run_id: the run.
        found: the versions that its first attempt finds there.
    """
    with connect() as connection:
        connection.execute(
            "update audit.runs set accepting = true, accepting_from = %s where run_id = %s", [Jsonb(found), run_id]
        )


def was_interrupted_accepting(run_id: str) -> bool:
    """Whether another run died between lake/clean and lake/quarantine, with no full refresh since."""
    with connect() as connection:
        found = connection.execute("select from audit.runs where accepting and run_id <> %s limit 1", [run_id])
        return found.fetchone() is not None


def record_counted(run_id: str, source: str, rows: int, version: int) -> None:
    """Record the version of lake/clean that a run made of its counts, of a source that the shop does not keep."""
    with connect() as connection:
        connection.execute(
            """
            insert into audit.source_counts
                (run_id, source, changed_since, extracted, source_rows, clean_rows, held_rows, clean_version, known,
                replaced, deleted, accepted, quarantined, released, recalled)
            values (%(run)s, %(source)s, '-infinity', 0, %(rows)s, %(rows)s, 0, %(version)s, 0, 0, 0, 0, 0, 0, 0)
            on conflict (run_id, source) do update set
                source_rows = excluded.source_rows, clean_rows = excluded.clean_rows,
                clean_version = excluded.clean_version, changed_since = excluded.changed_since,
                known = 0, replaced = 0, deleted = 0, accepted = 0, quarantined = 0, released = 0, recalled = 0
            """,
            {"run": run_id, "source": source, "rows": rows, "version": version},
        )


def record_accepted(run_id: str, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Record what the gate did, per source: accepted, quarantined, released, recalled, …"""
    with connect() as connection:
        connection.cursor().executemany(
            """
            update audit.source_counts set
                accepted = %(accepted)s, quarantined = %(quarantined)s, released = %(released)s,
                recalled = %(recalled)s,
                clean_rows = %(clean_rows)s, held_rows = %(held_rows)s,
                clean_version = %(clean_version)s, held_version = %(held_version)s
            where run_id = %(run_id)s and source = %(source)s
            """,
            [{"run_id": run_id, "source": source, **figures} for source, figures in counts.items()],
        )
        # A run that read everything has repaired what other runs left unfinished.
        connection.execute(
            """
            update audit.runs set accepting = false
            where run_id = %(run_id)s or not exists (
                select from audit.source_counts where run_id = %(run_id)s and changed_since <> '-infinity'
            )
            """,
            {"run_id": run_id},
        )
