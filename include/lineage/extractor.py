"""What Airflow's provider of OpenLineage asks about a task of ours (``AIRFLOW__OPENLINEAGE__EXTRACTORS``).

The provider tells when a task began and ended. It asks here when the task has ended, in a thread of its process: what
the ledger says by then is what happened, and no task has to say it again. Nothing in it fails a task.

The provider loads this in the scheduler too, whose forks the tasks are: what is imported here is not imported again.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.openlineage.extractors.base import BaseExtractor, OperatorLineage

from include.ledger.listener import TAG
from include.lineage.tasks import of_task
from include.settings.shops import dag_of, of_shop, shop_of


class LedgerExtractor(BaseExtractor):
    """The datasets of the tasks whose DAG has the tag ``stocktake``; other DAGs' have none, as without it."""

    @classmethod
    def get_operator_classnames(cls) -> list[str]:
        """What ``@task`` and ``@task.short_circuit`` make."""
        return ["_PythonDecoratedOperator", "_ShortCircuitDecoratedOperator"]

    def _execute_extraction(self) -> OperatorLineage[Any, Any]:
        return OperatorLineage()  # a task that begins has read and written nothing yet

    def extract_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """What a task read and wrote."""
        return self._asked(task_instance)

    def extract_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """What a task read, and what was found wrong with it."""
        return self._asked(task_instance, failed=True)

    def _asked(self, task_instance: Any, *, failed: bool = False) -> OperatorLineage[Any, Any]:
        if TAG not in self.operator.dag.tags:
            return OperatorLineage()
        dag_id = self.operator.dag.dag_id
        with of_shop(shop_of(dag_id)):
            found = of_task(
                dag_of(dag_id),
                task_instance.run_id,
                self.operator.task_id,
                lambda: dict(task_instance.get_template_context()["params"]),
                failed=failed,
            )
        return OperatorLineage(inputs=found.inputs, outputs=found.outputs)
