"""The published tables: what each means, and its rows a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Request
from fastapi import Query as Parameter
from fastapi.responses import Response
from psycopg.rows import dict_row

from include.contract import Column, Table, Type
from include.serve.api import caching
from include.serve.api.answers import Format, Page
from include.serve.api.cursor import Cursor
from include.serve.api.fair_share import in_turn
from include.serve.api.login import viewer
from include.serve.api.models import ColumnEntry, PublishedTable, RowsPage, TableList
from include.serve.api.problems import HEADERS, Problem, unknown
from include.serve.api.published import published_columns, tables_of_shop
from include.serve.api.query import Query
from include.serve.api.warehouse import Connection, publication_of, snapshot
from include.serve.lineage import made_from

router = APIRouter(dependencies=[viewer, in_turn], tags=["tables"])

_MOST_ROWS = 100
_Name = Annotated[str, Path(pattern=r"^[a-z0-9_.]+$", description="As reporting.daily_sales.")]
_UNITS = {
    Type.CENTS: "units of the row's currency",
    Type.UNITS: "units of goods",
    Type.DAY: "business day in the shop's time zone",
    Type.MONTH: "month, in the shop's time zone",
    Type.AT: "instant, UTC",
}
_SUFFIXES = ("days", "hours", "minutes", "seconds", "months", "years", "percent", "rate", "share")


@router.get("/tables", response_model_exclude_none=True)
async def list_tables() -> TableList:
    """The dictionary: every table, what it means, and how far it goes."""
    async with snapshot() as connection:
        status = await status_by_table(connection)
    return TableList(tables=[dictionary_entry(table, status.get(name, {})) for name, table in tables_of_shop().items()])


@router.get("/tables/{name}", response_model_exclude_none=True)
async def describe_table(name: _Name) -> PublishedTable:
    """One table of the dictionary."""
    table = _table(name)
    async with snapshot() as connection:
        status = await status_by_table(connection)
    return dictionary_entry(table, status.get(name, {}))


@router.get(
    "/tables/{name}/rows",
    response_model=RowsPage,
    responses={200: {"content": {form.media_type: {} for form in Format if form is not Format.JSON}}},
)
async def rows_of_table(
    request: Request,
    name: _Name,
    columns: Annotated[str | None, Parameter(description="Names, separated by commas; all, unless given.")] = None,
    filter: Annotated[  # noqa: A002 - the parameter's name
        list[str] | None,
        Parameter(
            description="A condition, as day>=2026-11-01, currency in (EUR, USD), sku like A-%, refunded_on is null; "
            "given several times, all of them hold. A value with spaces around it, or with a comma in a list, stands "
            'in "…", where "" is one ".'
        ),
    ] = None,
    sort: Annotated[
        str | None,
        Parameter(
            description="Names, separated by commas; a descending one with a minus before it. The key, unless given."
        ),
    ] = None,
    limit: Annotated[int, Parameter(ge=1, le=_MOST_ROWS, description="The most rows of a page.")] = _MOST_ROWS,
    cursor: Annotated[str | None, Parameter(description="`next` of the page before.")] = None,
    format: Annotated[  # noqa: A002
        Format,
        Parameter(
            description="How rows are answered. In csv every text is quoted, null is nothing without quotes, and a "
            "text that a spreadsheet would take for a formula (= + - @, tab, line break at its beginning) has an "
            "apostrophe before it that is not in the table; json and arrow have texts as they are."
        ),
    ] = Format.JSON,
) -> Response:
    """Rows of a table. All pages of one cursor are of one publication; after another one it is gone (410).

    The next page is the header Link's, rel="next", relative to this one, in every format; JSON says its cursor as well.
    """
    table = _table(name)
    query = Query.of(table, columns=columns, filters=filter or (), sort=sort, limit=limit)
    before = Cursor.read(query, cursor) if cursor is not None else None
    async with snapshot() as connection:
        publication = await publication_of(connection, table)
        if before is not None and before.publication_id != publication.publication_id:
            detail = (
                f"{name} was published again: the pages before are of publication {before.publication_id}, it is"
                f" {publication.publication_id} now. Ask for the first page again, without the cursor"
            )
            raise Problem(HTTPStatus.GONE, detail, field="cursor", value=cursor)
        tag = caching.etag(publication, query.digest, limit, cursor, format)
        headers = kept_until_published(tag, publication.publication_id)
        if caching.has(request, tag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        kept = await caching.cached(tag)
        page = await _page(connection, query, publication.publication_id, before) if kept is None else None
    if page is not None:  # the connection is another request's by now
        kept = (page.following or "").encode() + b"\n" + page.written(format)
        await caching.keep(tag, kept)
    following, _, body = (kept or b"").partition(b"\n")
    if following:
        asked = [(key, value) for key, value in request.query_params.multi_items() if key != "cursor"]
        headers["Link"] = f'<?{urlencode([*asked, ("cursor", following.decode())])}>; rel="next"'
    return Response(body, media_type=format.media_type, headers=headers)


async def _page(connection: Connection, query: Query, publication: int, before: Cursor | None) -> Page:
    columns = query.published(await published_columns(connection, query.table))
    found = await connection.execute(query.sql(columns, before.after if before else None))
    rows = await found.fetchall()
    width = len(columns)
    following = None
    if len(rows) > query.limit:
        rows = rows[: query.limit]
        following = Cursor(publication, tuple(rows[-1][width:])).written(query)
    return Page(query.table.qualified_name, publication, columns, [row[:width] for row in rows], following)


def kept_until_published(tag: str, publication_id: int) -> dict[str, str]:
    """The headers of an answer that holds until the next publication."""
    return HEADERS | {
        "ETag": tag,
        "Cache-Control": "private, no-cache",  # may be kept, and is asked about each time
        "X-Stocktake-Publication": str(publication_id),
        "Vary": "Authorization, Cookie",
    }


def _table(name: str) -> Table:
    if name not in tables_of_shop():
        raise unknown("name", name, f"no table is called {name!r}", list(tables_of_shop()))
    return tables_of_shop()[name]


async def status_by_table(connection: Connection) -> Mapping[str, Mapping[str, Any]]:
    """By table, its row of ``reporting.data_status``; empty before the first night."""
    found = await connection.execute("select to_regclass('reporting.data_status') is not null")
    row = await found.fetchone()
    if row is None or not row[0]:
        return {}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("select * from reporting.data_status")
        return {one["published_table"]: one for one in await cursor.fetchall()}


def dictionary_entry(table: Table, status: Mapping[str, Any]) -> PublishedTable:
    """A table as the dictionary shows it, with its row of ``reporting.data_status``; empty before the first night."""
    return PublishedTable(
        name=table.qualified_name,
        grain=table.grain,
        meaning=" ".join(table.doc.split()),
        key=list(table.primary_key),
        columns=[column_entry(column) for column in table.columns],
        made_from=made_from(table.name),
        last_day=status.get("last_day"),
        rows=status.get("rows"),
        publication_id=status.get("publication_id"),
        published_at=status.get("published_at"),
        verdict=status.get("verdict", "not published yet"),
    )


def column_entry(column: Column) -> ColumnEntry:
    """A column as the dictionary shows it."""
    suffix = next((one for one in _SUFFIXES if column.name.endswith(f"_{one}")), None)
    return ColumnEntry(
        name=column.name,
        type=column.postgres,
        unit=_UNITS.get(column.type, suffix),
        meaning=" ".join(column.doc.split()),
        nullable=column.nullable,
        key_of=column.key_of,
    )
