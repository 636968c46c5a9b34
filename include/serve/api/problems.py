"""What goes wrong, as RFC 9457 has it (application/problem+json): the field, its value, and what is allowed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.ledger.redaction import redacted
from include.serve.figures import Busy

_log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
# What an answer says unless its route says otherwise: it is for who asked, now.
HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_LENGTH: Final = 200  # characters of a wrong value that are said again
_LONGEST: Final = 1_000  # characters of what is wrong with it


_TITLES: Final = {HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content"}  # RFC 9110's words, newer than Python's


class ProblemDetails(BaseModel):
    """A problem, as it is answered."""

    type: str = Field(default="about:blank", description="Always about:blank: the status says the kind.")
    title: str = Field(description="The words of the status.")
    status: int
    detail: str = Field(description="What is wrong, and what to do.")
    field: str | None = Field(default=None, description="The parameter that is wrong.")
    value: str | None = Field(default=None, description="What it said.")
    allowed: list[str] | None = Field(default=None, description="What it may say, where that can be listed.")


class Problem(Exception):
    """A request that cannot be answered.

    Attributes:
        details: what is answered.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        field: str | None = None,
        value: str | None = None,
        allowed: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.details = ProblemDetails(
            title=_TITLES.get(status, status.phrase),
            status=status,
            detail=_writable(detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]} …"),
            field=None if field is None else _writable(field),
            value=None if value is None else _writable(value[:_LENGTH]),
            allowed=None if allowed is None else list(allowed),
        )


def _writable(text: str) -> str:
    """Without half characters, as JSON can write them."""
    return text.encode(errors="replace").decode()


def wrong(field: str, value: str, detail: str, allowed: Sequence[str] | None = None) -> Problem:
    """A parameter that says what it may not (422)."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field=field, value=value, allowed=allowed)


def unknown(field: str, value: str, detail: str, allowed: Sequence[str] | None = None) -> Problem:
    """A thing that is not there (404)."""
    return Problem(HTTPStatus.NOT_FOUND, detail, field=field, value=value, allowed=allowed)


def unavailable(detail: str, seconds: int) -> Problem:
    """What can be answered later (503): ``seconds`` from now."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": str(seconds)})


def answer_problems(app: FastAPI) -> None:
    """Let an app answer every error as a problem."""
    app.exception_handler(Problem)(_problem)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(ConnectionError)(_unreachable)
    app.exception_handler(Busy)(_busy)
    app.add_middleware(_Unexpected)


def problem_response(problem: Problem) -> JSONResponse:
    """A problem as it is answered."""
    content = problem.details.model_dump(exclude_none=True)
    return JSONResponse(content, problem.details.status, headers=HEADERS | problem.headers, media_type=MEDIA_TYPE)


def _problem(_: Request, error: Problem) -> JSONResponse:
    return problem_response(error)


def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    """What FastAPI found: the first of it names the parameter."""
    found: Mapping[str, Any] = error.errors()[0]
    # Where a body is no JSON, the rest says at which character.
    rest = [] if found["type"] == "json_invalid" else found["loc"][1:]
    field = ".".join(str(part) for part in rest) or str(found["loc"][0])
    return problem_response(wrong(field, str(found.get("input", "")), f"{field}: {found['msg']}"))


def _http(_: Request, error: HTTPException) -> JSONResponse:
    status = HTTPStatus(error.status_code)
    login = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
    return problem_response(Problem(status, str(error.detail), headers=login | dict(error.headers or {})))


def _unreachable(_: Request, error: Exception) -> JSONResponse:
    return problem_response(unavailable(redacted(str(error)), 30))


def _busy(_: Request, error: Exception) -> JSONResponse:
    return problem_response(unavailable(f"{error}.", 60))


class _Unexpected:
    """What nobody foresaw, answered as a problem. A handler of Exception would raise it again: no answer in Airflow."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as error:
            if begun:
                raise
            _log.exception("a request of the API failed")
            detail = redacted(f"{type(error).__name__}: the log of Airflow's API server says more")
            await problem_response(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail))(scope, receive, send)
