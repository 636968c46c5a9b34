"""Who may ask: Airflow's auth manager says so. Viewers read what is published, operators what is kept aside.

A browser sends the cookie of a login with whatever it is made to send, also by a form on another site. So what changes
something wants proof that one of our own pages, or a program, sends it: a token that the program holds, or a header
that no form can send and that no page of another site may.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Literal

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, HTTPException, Request

from include.serve import DAG_ID
from include.serve.api.problems import Problem
from include.settings.shops import dag_id_of

User = GetUserDep


def is_viewer(request: Request, user: User) -> None:
    """Let whoever may read the runs of the shop's nights ask.

    Raises:
        HTTPException: for anybody else (403).
    """
    _access("GET", dag_id_of(DAG_ID))(request, user)


def _must_operate(request: Request, user: User) -> None:
    _access("POST", dag_id_of(DAG_ID))(request, user)


@cache
def _access(method: Literal["GET", "POST"], dag_id: str) -> Callable[[Request, User], None]:
    return requires_access_dag(method, DagAccessEntity.RUN, dag_id)


viewer = Depends(is_viewer)
operator = Depends(_must_operate)


def is_operator(request: Request, user: User) -> bool:
    """Whether who asks may trigger the night."""
    try:
        _must_operate(request, user)
    except HTTPException:
        return False
    return True


def _meant(request: Request) -> None:
    """Refuse what a form of another site may have sent with the user's cookie.

    Raises:
        Problem: saying which header is missing (403).
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not (scheme.lower() == "bearer" and token) and not request.headers.get("x-requested-with"):
        detail = (
            "with a cookie alone nothing is changed, as a form of another site can send it: send the header"
            " X-Requested-With, with anything in it, or a token as Authorization: Bearer"
        )
        raise Problem(HTTPStatus.FORBIDDEN, detail, field="X-Requested-With")


meant = Depends(_meant)
