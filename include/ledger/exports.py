"""Exports in the ledger: who asked for which rows as a file, how far that is, and where the file is.

A try of an export writes only as long as it is the last one that began: a try that was taken for dead, and lives on,
changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import class_row

from include.ledger.connection import connect
from include.ledger.locks import held

DAG: Final = "exports"  # whose runs write the files
FORGOTTEN: Final = timedelta(days=1)  # an export that has not ended by then will not: its run is gone
_PATIENCE: Final = timedelta(seconds=10)
_LIVING: Final = "state in ('queued', 'running') and asked_at > now() - %(forgotten)s"


@dataclass(frozen=True)
class Asked:
    """What somebody asks for, in the words of the API.

    Attributes:
        table: its qualified name.
        columns: names, separated by commas; None for all.
        filters: conditions.
        sort: names, separated by commas; None for the key.
        format: csv, parquet or arrow.
        byte_order_mark: whether CSV begins with one.
        publication_id: what was published when it was asked for.
    """

    table: str
    columns: str | None
    filters: Sequence[str]
    sort: str | None
    format: str
    byte_order_mark: bool
    publication_id: int


@dataclass(frozen=True)
class Export:
    """An export; ``audit.exports`` says what each field is."""

    export_id: UUID
    run_id: str
    asked_by: str
    asked_at: datetime
    published_table: str
    columns: str | None
    filters: list[str]
    sort: str | None
    format: str
    byte_order_mark: bool
    asked_of_publication: int
    state: str
    tries: int
    publication_id: int | None
    rows_done: int
    rows_to_do: int | None
    error: str | None
    finished_at: datetime | None
    file: str | None
    bytes: int | None
    expires_at: datetime | None


def enter(asked_by: str, asked: Asked, most: int) -> Export | None:
    """Enter an export, unless as many of the user's are not finished.

    Raises:
        LockBusy: when others who ask take too long.
    """
    export_id = uuid4()
    values = vars(asked) | {
        "filters": list(asked.filters),
        "id": export_id,
        "run": f"export__{export_id}",
        "by": asked_by,
        "most": most,
        "forgotten": FORGOTTEN,
    }
    # One after the other: two requests of a user at once would both find room.
    with held("exports", _PATIENCE) as turn:
        return _one(
            turn.connection,
            f"""
            insert into audit.exports (export_id, run_id, asked_by, published_table, columns, filters, sort, format,
                byte_order_mark, asked_of_publication)
            select %(id)s, %(run)s, %(by)s, %(table)s, %(columns)s, %(filters)s, %(sort)s, %(format)s,
                %(byte_order_mark)s, %(publication_id)s
            where (select count(*) from audit.exports where asked_by = %(by)s and {_LIVING}) < %(most)s
            returning *
            """,
            values,
        )


def find(export_id: UUID) -> Export | None:
    """An export, if there is one."""
    with connect() as connection:
        return _one(connection, "select * from audit.exports where export_id = %(id)s", {"id": export_id})


def of_user(asked_by: str, most: int) -> Sequence[Export]:
    """A user's exports that have not expired, the newest first."""
    with connect() as connection, connection.cursor(row_factory=class_row(Export)) as cursor:
        cursor.execute(
            """
            select * from audit.exports
            where asked_by = %s and state <> 'expired' and (expires_at is null or expires_at > now())
            order by asked_at desc, export_id limit %s
            """,
            [asked_by, most],
        )
        return cursor.fetchall()


def cancel(export_id: UUID) -> Export | None:
    """Nobody wants an export any more: one that is under way stops, the file of one that is done has expired.

    Returns:
        The export as it is now; None where it had ended without a file.
    """
    statement = """
        update audit.exports set
            state = case state when 'done' then 'expired' else 'cancelled' end,
            finished_at = coalesce(finished_at, now()),
            expires_at = case state when 'done' then now() end
        where export_id = %(id)s and state in ('queued', 'running', 'done')
        returning *
    """
    with connect() as connection:
        return _one(connection, statement, {"id": export_id})


def begin(export_id: UUID, run_id: str) -> Export | None:
    """A try begins, from nothing.

    Args:
        export_id: the export.
        run_id: the run that tries.

    Returns:
        The export as this try knows it; None when it is done, or nobody wants it any more.
    """
    statement = """
        update audit.exports set
            state = 'running', run_id = %(run)s, tries = tries + 1, publication_id = null, rows_done = 0,
            rows_to_do = null, finished_at = null
        where export_id = %(id)s and state in ('queued', 'running', 'failed')
        returning *
    """
    with connect() as connection:
        return _one(connection, statement, {"id": export_id, "run": run_id})


def progress(mine: Export, publication_id: int, rows_done: int, rows_to_do: int) -> bool:
    """How far a try is.

    Returns:
        Whether to go on: nobody cancelled it, and no other try has begun.
    """
    return _of_try(
        mine,
        "publication_id = %(publication)s, rows_done = %(done)s, rows_to_do = %(to_do)s, error = null",
        {"publication": publication_id, "done": rows_done, "to_do": rows_to_do},
    )


def finish(mine: Export, file: str, size: int, rows: int, kept: timedelta) -> bool:
    """A try has written its file.

    Returns:
        Whether it is the export's file from now on.
    """
    return _of_try(
        mine,
        "state = 'done', file = %(file)s, bytes = %(size)s, rows_done = %(rows)s, rows_to_do = %(rows)s, error = null,"
        " finished_at = now(), expires_at = now() + %(kept)s",
        {"file": file, "size": size, "rows": rows, "kept": kept},
    )


def tried(mine: Export, error: str) -> bool:
    """A try failed; there may be another one."""
    return _of_try(mine, "state = 'queued', error = %(error)s", {"error": error})


def fail(run_id: str, error: str) -> None:
    """A run has ended without its export: there is no further try. What a try said of itself is kept."""
    with connect() as connection:
        connection.execute(
            """
            update audit.exports set state = 'failed', error = coalesce(error, %s), finished_at = now()
            where run_id = %s and state in ('queued', 'running')
            """,
            [error, run_id],
        )


def expire(at: datetime) -> int:
    """Enter which exports have expired, and which will never end.

    Returns:
        How many.
    """
    with connect() as connection:
        expired = connection.execute(
            "update audit.exports set state = 'expired' where state = 'done' and expires_at <= %s", [at]
        )
        forgotten = connection.execute(
            """
            update audit.exports set
                state = 'failed', finished_at = %(at)s, error = coalesce(error, 'its run is gone: ask for it again')
            where state in ('queued', 'running') and asked_at <= %(at)s - %(forgotten)s
            """,
            {"at": at, "forgotten": FORGOTTEN},
        )
    return expired.rowcount + forgotten.rowcount


def files(at: datetime) -> frozenset[str]:
    """The files that somebody may fetch at an instant."""
    with connect() as connection:
        found = connection.execute("select file from audit.exports where state = 'done' and expires_at > %s", [at])
        return frozenset(file for (file,) in found)


def _of_try(mine: Export, change: str, values: dict[str, Any]) -> bool:
    statement = f"""
        update audit.exports set {change}
        where export_id = %(id)s and tries = %(try)s and state = 'running'
        returning *
    """
    with connect() as connection:
        return _one(connection, statement, values | {"id": mine.export_id, "try": mine.tries}) is not None


def _one(connection: psycopg.Connection[Any], statement: str, values: dict[str, Any]) -> Export | None:
    with connection.cursor(row_factory=class_row(Export)) as cursor:
        return cursor.execute(statement.encode(), values).fetchone()
