"""The figures of the pages: which there are, and each with the SQL that it was computed by."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi import Query as Parameters
from fastapi.responses import Response
from psycopg.errors import UndefinedColumn

from include.contract import Column, Type
from include.contract.currency import CURRENCIES
from include.serve.api import caching
from include.serve.api.fair_share import in_turn
from include.serve.api.login import viewer
from include.serve.api.models import MetricAnswer, MetricEntry, MetricList, MetricParameter
from include.serve.api.problems import HEADERS, Problem, unknown, wrong
from include.serve.api.published import tables_of_shop
from include.serve.api.tables import column_entry, kept_until_published, status_by_table
from include.serve.api.values import parsed, shown
from include.serve.api.warehouse import Connection, Publication, publication_of, snapshot
from include.serve.metrics import METRICS
from include.serve.metrics.definition import MOST_DAYS, Asked, Metric, Parameter, value_of

router = APIRouter(dependencies=[viewer, in_turn], tags=["metrics"])

_MOST_ROWS: Final = 100
_ROWS: Final = 10
_DAY: Final = {"format": "date"}  # as OpenAPI has it
_MEANINGS: Final = {
    Parameter.FROM: "The first business day, as 2026-11-01; {days} days through `to`, unless given. At most "
    f"{MOST_DAYS} days.",
    Parameter.TO: "The last business day, as 2026-11-28; the last that is published, unless given, and never later.",
    Parameter.CURRENCY: "ISO 4217 code; all currencies, unless given. They are never added up.",
    Parameter.LIMIT: f"The most rows, of each currency where there are several; {_ROWS}, unless given.",
}


@router.get("/metrics")
async def list_metrics() -> MetricList:
    """The figures: what each means, its unit and columns, and what it is computed from."""
    async with snapshot() as connection:
        status = await status_by_table(connection)
    return MetricList(metrics=[_entry(metric, status) for metric in METRICS.values()])


@router.get("/metrics/{name}", response_model=MetricAnswer)
async def one_metric(
    request: Request,
    name: Annotated[str, Path(description="As /metrics lists them.", json_schema_extra={"enum": [*METRICS]})],
    first: Annotated[
        str | None,
        Parameters(
            alias="from",
            description=_MEANINGS[Parameter.FROM].format(days="as many as /metrics says"),
            json_schema_extra=_DAY,
        ),
    ] = None,
    last: Annotated[
        str | None, Parameters(alias="to", description=_MEANINGS[Parameter.TO], json_schema_extra=_DAY)
    ] = None,
    currency: Annotated[
        str | None, Parameters(description=_MEANINGS[Parameter.CURRENCY], json_schema_extra={"pattern": "^[A-Z]{3}$"})
    ] = None,
    limit: Annotated[int | None, Parameters(ge=1, le=_MOST_ROWS, description=_MEANINGS[Parameter.LIMIT])] = None,
) -> Response:
    """A figure, and the SQL that gives it.

    It holds until what it is computed from is published again; one that ages (freshness) is computed each time.
    """
    metric = METRICS.get(name)
    if metric is None:
        raise unknown("name", name, f"no figure is called {name!r}", list(METRICS))
    _only_taken(metric, request)
    days = _business_day("from", first), _business_day("to", last)
    _known_currency(currency)
    async with snapshot() as connection:
        publications = await _publications(connection, metric)
        covers = _covers(publications) if publications else await _last_night(connection)
        asked = _asked(days, currency, limit or _ROWS, metric, covers)
        sql = metric.written(asked)
        tag = caching.etag(metric.name, sorted(publications.items()), sql)
        headers = HEADERS if metric.ages else kept_until_published(tag, _newest(publications))
        if not metric.ages and caching.has(request, tag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        kept = None if metric.ages else await caching.cached(tag)
        rows = await _rows(connection, metric, sql) if kept is None else []
    if kept is None:
        kept = _body(metric, publications, asked, sql, rows)
        if not metric.ages:
            await caching.keep(tag, kept)
    return Response(kept, media_type="application/json", headers=headers)


def _only_taken(metric: Metric, request: Request) -> None:
    """Refuse a parameter that the figure does not have: ``limit=`` would otherwise seem to be kept.

    Raises:
        Problem: naming it (422).
    """
    for name, value in request.query_params.items():
        if name not in metric.takes:
            raise wrong(name, value, f"{metric.name} has no {name}", sorted(metric.takes))


def _business_day(field: str, said: str | None) -> date | None:
    try:
        return None if said is None else parsed(Column(field, Type.DAY, "A business day."), said)
    except ValueError as error:
        raise wrong(field, said or "", str(error), ["a day, as 2026-11-01"]) from None


def _known_currency(currency: str | None) -> None:
    if currency is not None and currency not in CURRENCIES:
        detail = f"no currency has the code {currency[:10]!r}: it is three capital letters, by ISO 4217"
        raise wrong("currency", currency, detail, CURRENCIES)


def _asked(
    days: tuple[date | None, date | None], currency: str | None, limit: int, metric: Metric, covers: date
) -> Asked:
    """The parameters with what they are unless given.

    Raises:
        Problem: when the days are none or too many (422).
    """
    last = days[1] or max(covers, days[0] or covers)
    first = days[0] or _before(last, metric.days)
    earliest = _before(last, MOST_DAYS)
    if not earliest <= first <= last:
        detail = f"from is no later than to, and no more than {MOST_DAYS} days are asked at once"
        raise wrong("from", first.isoformat(), detail, [f"{earliest} to {last}"])
    return Asked(first, min(last, covers), currency, limit)


def _before(last: date, days: int) -> date:
    """The first of as many days through the last, as far as there are dates."""
    return last - timedelta(days=min(days, last.toordinal()) - 1)


async def _publications(connection: Connection, metric: Metric) -> dict[str, Publication]:
    """By table, the publication that last wrote it.

    Raises:
        Problem: when one is not published (404); the status says why.
    """
    found = {}
    for name in metric.published:
        try:
            found[name] = await publication_of(connection, tables_of_shop()[name])
        except Problem:
            status = (await status_by_table(connection)).get(name, {})
            detail = f"{metric.name} is computed from {name}: {status.get('verdict', 'not published yet')}"
            raise Problem(HTTPStatus.NOT_FOUND, detail, field="name", value=metric.name) from None
    return found


def _covers(publications: Mapping[str, Publication]) -> date:
    """The last day that all tables cover."""
    days = [
        one.night if tables_of_shop()[name].rebuild.kind == "as_of" else one.horizon
        for name, one in publications.items()
    ]
    return min(days)


async def _last_night(connection: Connection) -> date:
    """The last day that the ledger has a run for."""
    found = await connection.execute("select max(night) from audit.runs")
    row = await found.fetchone()
    return row[0] if row and row[0] else date.max


def _newest(publications: Mapping[str, Publication]) -> int:
    return max(one.publication_id for one in publications.values())


async def _rows(connection: Connection, metric: Metric, sql: str) -> list[tuple[Any, ...]]:
    """The rows that the statement gives, exactly as it is shown.

    Raises:
        Problem: when there is nothing yet (404).
    """
    try:
        cursor = await connection.execute(sql.encode())
    except UndefinedColumn:
        detail = f"{metric.name} reads a column that is declared, and not published before the next night"
        raise Problem(HTTPStatus.NOT_FOUND, detail, field="name", value=metric.name) from None
    rows = await cursor.fetchall()
    if metric.ages and not rows and not await _something_is_published(connection):
        raise Problem(HTTPStatus.NOT_FOUND, "nothing is published yet", field="name", value=metric.name)
    return rows


async def _something_is_published(connection: Connection) -> bool:
    found = await connection.execute("select exists (select from audit.publications)")
    row = await found.fetchone()
    return row is not None and bool(row[0])


def _body(
    metric: Metric, publications: Mapping[str, Publication], asked: Asked, sql: str, rows: list[tuple[Any, ...]]
) -> bytes:
    columns = metric.declared(tables_of_shop())
    answer = MetricAnswer(
        name=metric.name,
        meaning=metric.meaning,
        unit=metric.unit,
        grain=metric.grain,
        columns=[column_entry(column) for column in columns],
        publications={name: one.publication_id for name, one in publications.items()},
        parameters={str(name): value for name, value in asked.of(metric).items()},
        sql=sql,
        rows=[
            {column.name: shown(column, value_of(column, value)) for column, value in zip(columns, row, strict=True)}
            for row in rows
        ],
    )
    return answer.model_dump_json().encode()


def _entry(metric: Metric, status: Mapping[str, Mapping[str, Any]]) -> MetricEntry:
    return MetricEntry(
        name=metric.name,
        meaning=metric.meaning,
        unit=metric.unit,
        grain=metric.grain,
        tables=list(metric.tables),
        parameters=[
            MetricParameter(name=name, meaning=_MEANINGS[name].format(days=metric.days))
            for name in Parameter
            if name in metric.takes
        ],
        columns=[column_entry(column) for column in metric.declared(tables_of_shop())],
        roles=["viewer", "operator"],
        published=_is_published(metric, status),
    )


def _is_published(metric: Metric, status: Mapping[str, Mapping[str, Any]]) -> bool:
    if not metric.published:
        return any(one["publication_id"] is not None for one in status.values())
    found = [status.get(name, {}) for name in metric.published]
    return all(one.get("publication_id") is not None and not one["verdict"].startswith("absent") for one in found)
