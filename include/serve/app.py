"""The pages as a web app behind Airflow's login: users who may read the DAG's runs may read their reports."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path as File
from typing import Annotated, Final
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import get_user
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.staticfiles import StaticFiles

from include.ledger.redaction import redacted
from include.serve import airflow_of, explore, exposition, figures, page
from include.serve.api.app import VERSION, api
from include.serve.api.login import is_operator, is_viewer, viewer
from include.serve.api.problems import Problem
from include.serve.programs import Asked, render_programs
from include.settings import settings
from include.settings.shops import current_shop

_STATIC: Final = File(__file__).with_name("static")
# Nothing is loaded from elsewhere, no script runs; only Airflow may show the pages in a frame.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
# Scripts of ours ask the API; none makes code of text.
_POLICY_WITH_FIGURES = f"{_POLICY}; script-src 'self'; connect-src 'self'"
_POLICY_WITH_FORM = _POLICY.replace("form-action 'none'", "form-action 'self'")
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def application() -> FastAPI:
    """The app. Every page needs a login; FastAPI's documentation pages are off."""
    app = FastAPI(
        title="Stocktake",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.mount(f"/api/{VERSION}", api())  # with its own checks of who asks
    app.mount("/static", StaticFiles(directory=_STATIC))  # the same for everyone
    app.get("/metrics", dependencies=[Depends(_may_scrape)])(scraped)
    pages = APIRouter(dependencies=[viewer], default_response_class=HTMLResponse)
    pages.get("/")(today)
    pages.get("/runs")(latest_runs)
    pages.get("/runs/{run_id:path}")(night_report)
    pages.get("/status")(data_status)
    pages.get("/explore")(explored)
    pages.get("/tables/{name}")(one_table)
    pages.get("/sources/{name}")(one_source)
    pages.get("/shop/{name:path}")(one_shop_table)  # a table of Postgres may have a slash in its name
    pages.get("/operations")(operations)
    pages.get("/read-it-from")(read_it_from)
    app.include_router(pages)
    app.exception_handler(ConnectionError)(_unreachable)
    app.exception_handler(figures.Busy)(_busy)
    app.exception_handler(HTTPStatus.UNAUTHORIZED)(log_in)
    return app


def today(request: Request) -> HTMLResponse:
    """The dashboard."""
    return html(page.render_today(home_of(request)), policy=_POLICY_WITH_FIGURES)


def latest_runs(request: Request) -> HTMLResponse:
    """The latest runs with their verdicts."""
    return html(page.render_runs(home_of(request)))


def night_report(
    request: Request, run_id: Annotated[str, Path()], operates: Annotated[bool, Depends(is_operator)]
) -> HTMLResponse:
    """The report of one run, with the values of rows in quarantine for operators."""
    home = home_of(request)
    try:
        if "\0" in run_id:  # Postgres has no such text
            raise KeyError(run_id)
        return html(page.render(run_id, home, rows_shown=operates))
    except KeyError:
        sentence = (
            f"The ledger has no run {run_id}. If Airflow has it, it has not begun or it failed before it was recorded: "
            "the log of its task begin says why."
        )
        return html(page.render_message("Unknown run", sentence, home), status=404)


def data_status(request: Request) -> HTMLResponse:
    """The data-through date and verdict of each published table."""
    return html(page.render_status(home_of(request)))


def explored(request: Request) -> HTMLResponse:
    """Every published table."""
    return html(explore.render_explore(home_of(request)), policy=_POLICY_WITH_FIGURES)


def one_table(request: Request, name: Annotated[str, Path()]) -> HTMLResponse:
    """A published table: rows, dictionary, lineage."""
    return _of_dictionary(request, explore.render_table, name)


def one_source(request: Request, name: Annotated[str, Path()]) -> HTMLResponse:
    """A source: columns, rules, statement, lineage."""
    return _of_dictionary(request, explore.render_source, name)


def one_shop_table(request: Request, name: Annotated[str, Path()]) -> HTMLResponse:
    """A table of the shop: the columns that are read of it, lineage."""
    return _of_dictionary(request, explore.render_shop_table, name)


def operations(request: Request, operates: Annotated[bool, Depends(is_operator)]) -> HTMLResponse:
    """What nights did, with what an operator may start."""
    return html(page.render_operations(home_of(request), operates=operates), policy=_POLICY_WITH_FIGURES)


def read_it_from(
    request: Request,
    table: Annotated[str, Query()] = "reporting.daily_sales",
    columns: Annotated[str | None, Query()] = None,
    filter: Annotated[list[str] | None, Query()] = None,  # noqa: A002 - the parameter's name
    sort: Annotated[str | None, Query()] = None,
) -> HTMLResponse:
    """How a program reads a table."""
    home, address = home_of(request), f"{request.url.scheme}://{request.url.netloc}"
    try:
        asked = Asked(table, columns, filter or (), sort)
        return html(render_programs(asked, address, home), policy=_POLICY_WITH_FORM)
    except KeyError:
        return _unknown(table, home)
    except Problem as problem:
        return html(page.render_message("Wrong request", str(problem), home), status=422)


def _of_dictionary(request: Request, render: Callable[[str, str], str], name: str) -> HTMLResponse:
    home = home_of(request)
    try:
        return html(render(name, home), policy=_POLICY_WITH_FIGURES)
    except KeyError:
        return _unknown(name, home)


def _unknown(name: str, home: str) -> HTMLResponse:
    sentence = f"Nothing is called {name[:100]} here. Explore lists every table."
    return html(page.render_message("Unknown table", sentence, home), status=404)


def scraped() -> Response:
    """The figures for Prometheus."""
    body = exposition.exposition([current_shop()])
    return Response(body, media_type=exposition.CONTENT_TYPE, headers={"Cache-Control": "no-store"})


async def _may_scrape(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
) -> None:
    """Let a viewer of Airflow's ask, and whoever has the token of the settings: Prometheus cannot log in anew.

    Raises:
        HTTPException: for anybody else (401, 403).
    """
    if is_scraper(bearer):
        return
    user = await get_user(request, None, bearer)
    await run_in_threadpool(is_viewer, request, user)


def is_scraper(bearer: HTTPAuthorizationCredentials | None) -> bool:
    """Whether who asks has the token of the settings, which is for the figures alone."""
    token = settings().metrics_token
    if token is None or bearer is None:
        return False
    return secrets.compare_digest(bearer.credentials.encode(), token.get_secret_value().encode())


def _unreachable(request: Request, error: Exception) -> HTMLResponse:
    return html(page.render_message("No connection", redacted(str(error)), home_of(request)), status=503)


def _busy(request: Request, error: Exception) -> HTMLResponse:
    return html(page.render_message("Busy", f"{error}.", home_of(request)), status=503)


async def log_in(request: Request, error: HTTPException) -> Response:
    """Lead a person to Airflow's login and from there back to the page: its address may have been sent to them."""
    if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
        return await http_exception_handler(request, error)
    asked = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    login = f"{airflow_of(home_of(request))}api/v2/auth/login"
    return RedirectResponse(f"{login}?{urlencode({'next': asked})}", HTTPStatus.SEE_OTHER, _HEADERS)


def home_of(request: Request) -> str:
    """The path that the app is mounted at, as the browser sees it."""
    return f"{request.scope.get('root_path', '').rstrip('/')}/"


def html(text: str, status: int = 200, policy: str = _POLICY) -> HTMLResponse:
    """An answer with a page, and what keeps it from being kept, framed or scripted by others."""
    return HTMLResponse(text, status_code=status, headers=_HEADERS | {"Content-Security-Policy": policy})
