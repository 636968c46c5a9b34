"""The API as a web app, mounted by the pages' app."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from include.serve.api import nights, tables
from include.serve.api.login import viewer
from include.serve.api.pace import within_rate
from include.serve.api.problems import MEDIA_TYPE, ProblemDetails, answer_problems

VERSION = "v1"


# Whatever is asked may be answered so.
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemDetails} for status in (401, 403, 404, 410, 422, 429, 503)
}


@cache
def api() -> FastAPI:
    """The API. Its description, /openapi.json, is behind the login as well; FastAPI's own pages load remote files."""
    app = FastAPI(title="Stocktake", version=VERSION, docs_url=None, redoc_url=None, openapi_url=None)
    for router in (tables.router, nights.router):
        app.include_router(router, dependencies=[within_rate], responses=_PROBLEMS)
    app.get("/openapi.json", dependencies=[viewer], include_in_schema=False)(lambda: JSONResponse(_described(app)))
    answer_problems(app)
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description. FastAPI takes every answer for plain JSON; problems have a media type of their own."""
    description = app.openapi()
    for path in description["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and (content := answer.get("content", {})).get("application/json"):
                    content[MEDIA_TYPE] = content.pop("application/json")
    return description
