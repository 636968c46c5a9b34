"""The pages of several shops: one page for all of them, and below it the pages of each, as one shop alone has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import get_user
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from markupsafe import Markup
from starlette.types import ASGIApp, Receive, Scope, Send

from include.serve import app, exposition, figures, page
from include.serve.api.login import User, is_viewer
from include.settings.shops import of_shop, shop_names, shop_of

_AT_ONCE: Final = 2  # shops whose ledgers are read; the pages have few connections, and one that is away takes 10 s


@cache
def application() -> FastAPI:
    """The app. Every page needs a login; a user sees the shops whose nights' runs the user may read."""
    root = FastAPI(title="Stocktake", docs_url=None, redoc_url=None, openapi_url=None)
    pages = APIRouter(default_response_class=HTMLResponse)
    pages.get("/")(all_shops)
    pages.get("/dags/{dag_id}/runs/{run_id:path}")(night_report)
    root.include_router(pages)
    root.get("/metrics")(scraped)
    for shop in shop_names():
        root.mount(f"/shops/{shop}", _OfShop(shop, app.application()))
    root.exception_handler(HTTPStatus.UNAUTHORIZED)(app.log_in)
    return root


class _OfShop:
    """The pages of one shop: by the address it is known which, and its settings count."""

    def __init__(self, shop: str, pages: ASGIApp) -> None:
        self._shop, self._pages = shop, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with of_shop(self._shop):
            await self._pages(scope, receive, send)


async def all_shops(request: Request, user: User) -> HTMLResponse:
    """What came of the last night of every shop."""
    seen = await _visible(request, user)
    if not seen:
        raise HTTPException(HTTPStatus.FORBIDDEN, "no shop's nights may be read with this login")
    turns = asyncio.Semaphore(_AT_ONCE)

    async def row(shop: str) -> Markup:
        async with turns:
            return Markup(await _within(shop, _last_night, app.home_of(request)))  # noqa: S704 - a template escapes

    rows = await asyncio.gather(*map(row, seen))
    return app.html(page.render_shops(rows))


async def night_report(
    request: Request, dag_id: Annotated[str, Path()], run_id: Annotated[str, Path()], user: User
) -> RedirectResponse:
    """Where the report of a run is: Airflow's own page of a run leads here."""
    shop = shop_of(dag_id)
    if shop is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{dag_id} is no DAG of a shop")
    await _within(shop, is_viewer, request, user)
    return RedirectResponse(f"{app.home_of(request)}shops/{shop}/runs/{quote(run_id, safe='')}")


async def scraped(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
) -> Response:
    """The figures of all shops for Prometheus: of those that a login may see, of all with the token."""
    with of_shop(shop_names()[0]):  # which all of them share
        is_scraper = app.is_scraper(bearer)
    seen = shop_names() if is_scraper else await _visible(request, await get_user(request, None, bearer))
    if not seen:
        raise HTTPException(HTTPStatus.FORBIDDEN)
    body = await run_in_threadpool(exposition.exposition, seen)
    return Response(body, media_type=exposition.CONTENT_TYPE, headers={"Cache-Control": "no-store"})


async def _visible(request: Request, user: User) -> list[str]:
    """The shops whose nights' runs a user may read."""
    seen = []
    for shop in shop_names():
        try:
            await _within(shop, is_viewer, request, user)
        except HTTPException as refused:
            if refused.status_code != HTTPStatus.FORBIDDEN:
                raise
        else:
            seen.append(shop)
    return seen


async def _within(shop: str, does: Callable[..., Any], *arguments: object) -> Any:
    """What a function gives while a shop's settings count."""
    with of_shop(shop):
        return await run_in_threadpool(does, *arguments)


def _last_night(home: str) -> str:
    """The line of the shop that counts; where its warehouse does not answer it says so."""
    try:
        found, said = figures.last_night(), None
    except figures.TROUBLES as error:
        found, said = None, figures.said(error)
    return page.render_shop(home, found, said)
