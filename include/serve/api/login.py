"""Who may ask: Airflow's auth manager says so. Viewers read what is published, operators what is kept aside."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends

from include.serve import DAG_ID

is_viewer = requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID)
viewer = Depends(is_viewer)
operator = Depends(requires_access_dag("POST", DagAccessEntity.RUN, DAG_ID))

User = GetUserDep
