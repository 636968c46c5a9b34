"""# explain_day: an unusual day, explained

Records that a business day was what it was: a sale, a holiday, a strike, a load test. It then counts for no later day,
and its finding is over. Nothing is built or published.

**When** When somebody triggers it, after a night whose report lists figures under *Unusual*; or beforehand, for a day
that is known to become one: what is explained does not wait for an approval.

**Running it again** adds another explanation; a finding shows the last one. There is no way back but an entry in
`audit.explanations`: a day too many that is left out does little harm.

**Parameters** (day and reason are needed)

| parameter | example | what it does |
|---|---|---|
| `date` | `2026-11-27` | the business day |
| `reason` | `Black Friday` | why it was as it was |
| `source` | `orders` | of this source alone; default: of all |
| `measure` | `tax of money EUR` | of this measure alone; default: of all |
| `lasting` | `true` | it is so from this day on (a new tax rate): no earlier day counts any more |

What is lasting is judged again after four weeks.

**When it is red** Nothing was recorded. The log ends with a sentence that says why: a source or measure that was never
measured, or a warehouse that cannot be reached (it retries).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from dags.shops import each_shop
from include.pipeline.task_defaults import task_defaults
from include.settings.shops import dag_id_of


def explain_day() -> None:
    """The DAG of a shop."""
    with DAG(
        dag_id_of("explain_day"),
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,  # it starts nothing of itself
        dagrun_timeout=timedelta(minutes=30),
        default_args=task_defaults(),
        params={
            "date": Param(type="string", format="date", description="The business day, 2026-11-27."),
            "reason": Param(type="string", minLength=1, maxLength=500, description="Why it was as it was."),
            "source": Param(None, type=["null", "string"], description="Of this source alone; else of all."),
            "measure": Param(None, type=["null", "string"], description="Of this measure alone; else of all."),
            "lasting": Param(False, type="boolean", description="It is so from this day on: no earlier day counts."),
        },
        tags=["stocktake", "explain_day"],
        doc_md=__doc__,
    ):

        @task
        def explain(**context: Any) -> str:
            """Record the explanation."""
            from include.pipeline import explanation

            dag_run = context["dag_run"]
            return explanation.explain(dag_run.conf or {}, dag_run.triggering_user_name)

        explain()


for _ in each_shop():
    explain_day()
