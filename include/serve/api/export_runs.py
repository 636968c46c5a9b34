"""Starting the run that writes an export, on behalf of a user who may not trigger anything in Airflow.

In the API server, as its own route to trigger a DAG does it; what the user may read was checked before.
"""

from __future__ import annotations

import logging

from airflow.api.common.trigger_dag import trigger_dag
from airflow.models.dag import DagModel
from airflow.utils.types import DagRunTriggeredByType

from include.ledger.exports import DAG, Export
from include.serve.api.problems import unavailable
from include.settings.shops import dag_id_of

_log = logging.getLogger(__name__)
_SOON = 60  # seconds


def must_run() -> None:
    """Check that a run would begin.

    Raises:
        Problem: when Airflow does not have the DAG, or nobody lets it run (503).
    """
    dag_id = dag_id_of(DAG)
    found = DagModel.get_current(dag_id)
    if found is None or found.is_stale or found.has_import_errors:
        raise unavailable(f"Airflow does not know the DAG {dag_id} yet, which writes the files", _SOON)
    if found.is_paused:
        raise unavailable(f"the DAG {dag_id}, which writes the files, is paused: ask an operator to unpause it", 3600)


def start(export: Export, user_name: str) -> None:
    """Start the run of an export.

    Raises:
        Problem: when Airflow does not (503).
    """
    try:
        trigger_dag(
            dag_id_of(DAG),
            triggered_by=DagRunTriggeredByType.REST_API,
            triggering_user_name=user_name,
            run_id=export.run_id,
            conf={"export": str(export.export_id)},
        )
    except Exception as error:
        _log.exception("the run %s could not be started", export.run_id)
        detail = f"Airflow could not start the run: {type(error).__name__}. Its log says more"
        raise unavailable(detail, _SOON) from None
