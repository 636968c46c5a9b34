"""Exports: all rows of a question at once, as a file that a run of the DAG ``exports`` writes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from psycopg.errors import UndefinedTable
from psycopg.sql import SQL
from pydantic import Field

from include.lake import export_files
from include.ledger import exports
from include.ledger.exports import Asked, Export
from include.ledger.locks import LockBusy
from include.ledger.migrations import prepare
from include.serve.api import export_runs
from include.serve.api.export_formats import ExportFormat
from include.serve.api.fair_share import in_turn
from include.serve.api.login import User, is_operator, meant, viewer
from include.serve.api.models import ExportEntry, ExportList, ExportRequest
from include.serve.api.problems import HEADERS, Problem, ProblemDetails, unavailable, unknown, wrong
from include.serve.api.published import published_columns, tables_of_shop
from include.serve.api.query import Query
from include.serve.api.warehouse import publication_of, snapshot

router = APIRouter(prefix="/exports", dependencies=[viewer], tags=["exports"])

MOST_UNFINISHED: Final = 3  # exports of a user
_MOST_LISTED: Final = 50
_AGAIN: Final = 30  # seconds; by then one of the unfinished may be done
_PROBLEM: Final[dict[int | str, dict[str, Any]]] = {409: {"model": ProblemDetails}}
_FILES: Final = {form.media_type: {"schema": {"type": "string", "format": "binary"}} for form in ExportFormat}
_Id = Annotated[UUID, Field(description="As POST /exports answers it.")]


@router.post("", status_code=HTTPStatus.ACCEPTED, dependencies=[meant, in_turn])
async def ask_for_export(request: Request, response: Response, asked: ExportRequest, user: User) -> ExportEntry:
    """Ask for all rows of a question as a file. It is written in the background: ask how far it is.

    A cookie alone is not enough: send the header X-Requested-With, with anything in it, or a token.
    """
    table = tables_of_shop().get(asked.table)
    if table is None:
        raise wrong("table", asked.table, f"no table is called {asked.table!r}", list(tables_of_shop()))
    if asked.bom and asked.format is not ExportFormat.CSV:
        raise wrong("bom", "true", f"{asked.format} has no byte order mark: only csv has", ["false"])
    query = Query.of(table, columns=asked.columns, filters=asked.filter, sort=asked.sort)
    async with snapshot() as connection:
        publication = await publication_of(connection, table)
        columns = query.published(await published_columns(connection, table))
        await connection.execute(SQL("explain {}").format(query.whole(columns)))  # a value that cannot be compared
    export = await run_in_threadpool(_enter, asked, publication.publication_id, user)
    entry = _entry(request, export)
    response.headers["Location"] = _path(request, export)
    return entry


def _enter(asked: ExportRequest, publication_id: int, user: User) -> Export:
    """Enter an export in the ledger, and start its run.

    Raises:
        Problem: when too many are unfinished (429), or there can be no run (503).
    """
    export_runs.must_run()
    prepare()  # an upgrade may come before the night that migrates the ledger
    in_words = Asked(
        asked.table, asked.columns or None, asked.filter, asked.sort or None, asked.format, asked.bom, publication_id
    )
    try:
        export = exports.enter(str(user.get_id()), in_words, MOST_UNFINISHED)
    except LockBusy:
        raise unavailable("too many ask for exports at once: try again in a moment", _AGAIN) from None
    if export is None:
        detail = (
            f"{MOST_UNFINISHED} of your exports are not finished: ask again when one is, or cancel one with"
            " DELETE /exports/{id}; GET /exports lists them"
        )
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"Retry-After": str(_AGAIN)})
    try:
        export_runs.start(export, user.get_name())
    except Problem:
        exports.fail(export.run_id, "Airflow could not start its run: ask for it again")
        raise
    return export


@router.get("")
def list_exports(request: Request, user: User) -> ExportList:
    """One's own exports that have not expired, the newest first."""
    try:
        found = exports.of_user(str(user.get_id()), _MOST_LISTED)
    except UndefinedTable:  # nobody has ever asked
        found = []
    return ExportList(exports=[_entry(request, export) for export in found])


@router.get("/{export_id}")
def one_export(request: Request, export_id: _Id, user: User) -> ExportEntry:
    """How far an export is."""
    return _entry(request, _mine(request, export_id, user))


@router.get(
    "/{export_id}/file",
    response_class=StreamingResponse,
    responses={**_PROBLEM, 200: {"content": _FILES, "description": "The file."}},
)
def file_of_export(request: Request, export_id: _Id, user: User) -> StreamingResponse:
    """The file of an export that is done."""
    export = _mine(request, export_id, user)
    if export.file is None or export.state != "done":
        raise Problem(HTTPStatus.CONFLICT, f"the export is {export.state}: there is a file when it is done")
    try:
        pieces: Iterator[bytes] = export_files.pieces(export.file)
    except FileNotFoundError:
        raise _gone(export_id, "the file of this export was removed") from None
    name = f"{export.published_table}-publication-{export.publication_id}-{str(export_id)[:8]}.{export.format}"
    headers = {"Content-Length": str(export.bytes), "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, headers=HEADERS | headers, media_type=ExportFormat(export.format).media_type)


@router.delete("/{export_id}", status_code=HTTPStatus.NO_CONTENT, dependencies=[meant], responses=_PROBLEM)
def cancel_export(request: Request, export_id: _Id, user: User) -> None:
    """Cancel an export that is under way, or remove the file of one that is done. Takes what asking for one takes."""
    found = _mine(request, export_id, user)
    cancelled = exports.cancel(export_id)
    if cancelled is None:
        raise Problem(HTTPStatus.CONFLICT, f"the export is {found.state}: there is nothing to cancel or to remove")
    if cancelled.file is not None:
        export_files.remove(cancelled.file)


def _mine(request: Request, export_id: UUID, user: User) -> Export:
    """An export that the user may see.

    Raises:
        Problem: when there is none (404), or its file has expired (410).
    """
    try:
        export = exports.find(export_id)
    except UndefinedTable:
        export = None
    if export is None or (export.asked_by != str(user.get_id()) and not is_operator(request, user)):
        raise unknown("export_id", str(export_id), "there is no such export of yours: GET /exports lists them")
    if export.state == "expired" or (export.expires_at and export.expires_at <= datetime.now(UTC)):
        raise _gone(export_id, "the file of this export has expired")
    return export


def _gone(export_id: UUID, what: str) -> Problem:
    detail = f"{what}: ask for the rows again with POST /exports"
    return Problem(HTTPStatus.GONE, detail, field="export_id", value=str(export_id))


def _path(request: Request, export: Export) -> str:
    return f"{request.scope.get('root_path', '')}/exports/{export.export_id}"


def _entry(request: Request, export: Export) -> ExportEntry:
    return ExportEntry(
        id=export.export_id,
        state=export.state,
        table=export.published_table,
        columns=export.columns,
        filter=export.filters,
        sort=export.sort,
        format=ExportFormat(export.format),
        bom=export.byte_order_mark,
        asked_by=export.asked_by,
        asked_at=export.asked_at,
        asked_of_publication=export.asked_of_publication,
        publication_id=export.publication_id,
        rows_done=export.rows_done,
        rows_to_do=export.rows_to_do,
        bytes=export.bytes,
        file=f"{_path(request, export)}/file" if export.state == "done" else None,
        expires_at=export.expires_at,
        error=export.error,
        note=_note(export),
    )


def _note(export: Export) -> str | None:
    """What somebody who looks at an export is to know."""
    if export.state == "queued" and export.error:
        return "the last try failed: it is tried again"
    if export.publication_id not in (None, export.asked_of_publication):
        return (
            f"{export.published_table} was published again since it was asked for: the rows are of publication"
            f" {export.publication_id}, not {export.asked_of_publication}"
        )
    return None
