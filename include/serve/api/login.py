"""Who may ask: Airflow's auth manager says so. Viewers read what is published, operators what is kept aside."""

from __future__ import annotations

from http import HTTPStatus

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, Request

from include.serve import DAG_ID
from include.serve.api.problems import Problem

# A header that the form of another site cannot send; a browser asks us first before a script of one sends it.
ASKED_BY = "X-Stocktake-Request"

viewer = Depends(requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID))
operator = Depends(requires_access_dag("POST", DagAccessEntity.RUN, DAG_ID))

User = GetUserDep


def meant(request: Request) -> None:
    """Refuse a change that a browser may have been made to ask for: a cookie alone is no intention.

    Raises:
        Problem: when the login is a cookie and the header is lacking (403).
    """
    if "authorization" not in request.headers and ASKED_BY not in request.headers:
        detail = f"a change asked for with a cookie needs the header {ASKED_BY}"
        raise Problem(HTTPStatus.FORBIDDEN, detail, field=ASKED_BY)
