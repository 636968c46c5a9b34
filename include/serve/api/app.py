"""The API as a web app, mounted by the pages' app."""

from __future__ import annotations

import difflib
from functools import cache
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.responses import JSONResponse

from include.serve.api import exports, lineage, metrics, nights, tables
from include.serve.api.giving_way import GivesWay
from include.serve.api.login import viewer
from include.serve.api.problems import HEADERS, MEDIA_TYPE, ProblemDetails, answer_problems, wrong
from include.serve.api.rate_limit import within_rate

VERSION = "v1"


_DESCRIPTION = """
Amounts and other exact decimals, days and instants are texts, so that no reader rounds them. Whole numbers are numbers
of JSON, exact as they are written, of up to 64 bits: a reader that takes every number for a double, as JavaScript's
does, rounds those beyond 2^53, such as long keys. In csv and arrow they are exact everywhere.
"""

# Whatever is asked may be answered so.
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemDetails} for status in (401, 403, 404, 410, 422, 429, 500, 503)
}


@cache
def api() -> FastAPI:
    """The API. Its description, /openapi.json, is behind the login as well; FastAPI's own pages load remote files."""
    app = FastAPI(
        title="Stocktake", version=VERSION, description=_DESCRIPTION, docs_url=None, redoc_url=None, openapi_url=None
    )
    dependencies = [within_rate, Depends(_known_parameters), Depends(_not_kept)]
    for router in (tables.router, lineage.router, metrics.router, nights.router, exports.router):
        app.include_router(router, dependencies=dependencies, responses=_PROBLEMS)
    app.get("/openapi.json", dependencies=[viewer, *dependencies], include_in_schema=False)(_description)
    answer_problems(app)
    app.add_middleware(GivesWay)  # before everything else, as who asks takes longest to find out
    return app


def _known_parameters(request: Request) -> None:
    """Refuse a parameter that the route does not have: ``filters=`` would otherwise answer every row.

    Raises:
        Problem: naming it (422).
    """
    known = [field.alias for field in get_flat_dependant(request.scope["route"].dependant).query_params]
    for name, value in request.query_params.items():
        if name not in known:
            near = difflib.get_close_matches(name[:100], known, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise wrong(name[:100], value, f"there is no parameter {name!r}{meant}", known)


def _not_kept(response: Response) -> None:
    response.headers.update(HEADERS)


def _description(request: Request) -> JSONResponse:
    servers = {"servers": [{"url": request.scope.get("root_path", "") or "/"}]}
    return JSONResponse(_described() | servers, headers=HEADERS)


@cache
def _described() -> dict[str, Any]:
    """The OpenAPI description. FastAPI takes every answer for plain JSON; problems have a media type of their own."""
    description = api().openapi()
    for path in description["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and (content := answer.get("content", {})).get("application/json"):
                    content[MEDIA_TYPE] = content.pop("application/json")
    return description
