"""The DAG ``exports``: writes the rows that somebody asked the API for into a file.

All of them are of one snapshot: of what is published when the file is written, not when it was asked for. They go from
a cursor of the server to the file batch by batch, so it takes the same memory however many they are. A try that fails
leaves no file; the next one begins from nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.errors import QueryCanceled

from include.contract import Table
from include.lake import export_files
from include.ledger import exports
from include.ledger.exports import Export
from include.ledger.redaction import redacted
from include.pipeline.run_request import WrongRequest, refuse_unknown
from include.pipeline.troubles import MayPass, WillNotPass, told_apart
from include.serve.api.export_formats import ExportFormat, Write
from include.serve.api.problems import Problem
from include.serve.api.published import published_columns, tables_of_shop
from include.serve.api.query import Query
from include.serve.api.warehouse import Connection, long_snapshot, publication_of
from include.settings import settings

FORM = ("export",)  # what a run is told
BATCH: Final = 10_000  # rows in memory
STATEMENT_SECONDS: Final = 1800  # for counting, and until the first rows are in order
_EVERY: Final = 1.0  # seconds between two entries of how far it is

_log = logging.getLogger(__name__)


class WrongExport(RuntimeError):
    """An export that cannot be written, however often it is tried; the message says what to ask for."""


class GivesWay(MayPass):
    """The table is about to be altered, which waits for whoever reads it: a night goes before an export."""


class _Unwanted(Exception):
    """It was cancelled, or another try has begun."""


def write(conf: Mapping[str, Any], run_id: str) -> int | None:
    """Write the file of an export, and enter how far that is.

    Args:
        conf: what the run was told: the export's id.
        run_id: as Airflow knows it.

    Returns:
        How many rows; None where nobody wants them any more.

    Raises:
        WrongRequest: when there is no such export.
        WrongExport: when the shop has no such table any more, or a statement takes too long.
        Problem: when a column is not there any more.
        MayPass: when another try may succeed.
    """
    mine = exports.begin(_export_id(conf), run_id)
    if mine is None:
        _log.info("nothing to do: the export is done, or nobody wants it any more")
        return None
    for left in export_files.there():
        if left.name.startswith(f"{mine.export_id}-"):  # a try that was killed
            export_files.remove(left.name)
    try:
        with told_apart():
            rows = asyncio.run(_written(mine))
    except _Unwanted:
        _log.info("nobody wants the export any more: it was cancelled, or another try has begun")
        return None
    except Exception as error:
        with suppress(psycopg.Error, ConnectionError):  # then the run says so when it has failed
            exports.tried(mine, _why(error))
        raise
    _log.info("%s: %s rows as %s", mine.published_table, f"{rows:,}", mine.format)
    return rows


def _export_id(conf: Mapping[str, Any]) -> UUID:
    refuse_unknown(conf, FORM)
    try:
        export_id = UUID(str(conf.get("export")))
    except ValueError:
        raise WrongRequest("say which export is to be written: its id, as POST /exports answers it") from None
    if exports.find(export_id) is None:
        raise WrongRequest(f"there is no export {export_id}: ask for one with POST /exports")
    return export_id


async def _written(mine: Export) -> int:
    """Write the file, from one snapshot.

    Returns:
        How many rows it has.
    """
    table = tables_of_shop().get(mine.published_table)
    if table is None:
        raise WrongExport(f"this shop has no table {mine.published_table} any more: GET /tables says which there are")
    query = Query.of(table, columns=mine.columns, filters=mine.filters, sort=mine.sort)
    form = ExportFormat(mine.format)
    name = f"{mine.export_id}-{mine.tries}.{form}"
    try:
        async with long_snapshot(STATEMENT_SECONDS) as connection:
            publication = await publication_of(connection, table)
            columns = query.published(await published_columns(connection, table))
            found = await (await connection.execute(query.count())).fetchone()
            rows = int(found[0]) if found else 0
            _enter(mine, publication.publication_id, 0, rows)
            with (
                export_files.written(name) as sink,
                form.writing(sink, columns, byte_order_mark=mine.byte_order_mark) as write_rows,
            ):
                async with connection.cursor(name="export") as cursor:
                    await cursor.execute(query.whole(columns))
                    await _copy(mine, table, connection, cursor, write_rows, publication.publication_id, rows)
    except QueryCanceled:
        detail = f"a statement took longer than {STATEMENT_SECONDS // 60} minutes: filter by a column of the key"
        raise WrongExport(detail) from None
    if not exports.finish(mine, name, export_files.size(name), rows, timedelta(days=settings().export_days)):
        export_files.remove(name)
        raise _Unwanted
    return rows


async def _copy(
    mine: Export, table: Table, connection: Connection, cursor: Any, write_rows: Write, publication_id: int, rows: int
) -> None:
    """From the cursor to the file, entering now and then how far that is."""
    done, entered = 0, time.monotonic()
    while batch := await cursor.fetchmany(BATCH):
        write_rows(batch)
        done += len(batch)
        if time.monotonic() - entered >= _EVERY:
            await _give_way(connection, table)
            _enter(mine, publication_id, done, rows)
            entered = time.monotonic()


def _enter(mine: Export, publication_id: int, done: int, rows: int) -> None:
    if not exports.progress(mine, publication_id, done, rows):
        raise _Unwanted


async def _give_way(connection: Connection, table: Table) -> None:
    """Stop where somebody waits to alter the table; to read it, or to change its rows, nobody needs to wait.

    Raises:
        GivesWay: then; the next try reads what has become of the table.
    """
    found = await connection.execute(
        """
        select from pg_locks
        where not granted
            and relation = to_regclass(quote_ident(%s) || '.' || quote_ident(%s))
            and pg_backend_pid() = any(pg_blocking_pids(pid))
        limit 1
        """,
        [table.schema, table.name],
    )
    if await found.fetchone() is not None:
        raise GivesWay("the table is being published in another form, which goes first")


def _why(error: Exception) -> str:
    """What went wrong, for whoever asked for the export; the log of the run has all of it."""
    if isinstance(error, Problem | WrongExport | GivesWay):
        return redacted(str(error))
    if isinstance(error, MayPass | WillNotPass | psycopg.Error | ConnectionError):
        said = str(error).strip().partition("\n")[0]  # psycopg says nothing of some
        return redacted(f"the warehouse: {said or type(error).__name__}")
    if isinstance(error, OSError) and error.strerror:
        return f"the file could not be written: {error.strerror}"
    return f"{type(error).__name__}: the log of the run says more"
