"""# training_set: features as they were known, beside what followed

Joins feature rows to (entity, timestamp) pairs as of each timestamp, adds labels, and writes Parquet, with a JSON
beside it that says what it was made from: `training_sets/<name>.parquet` and `.json` in the lake. A row counts when
its business day had ended by the timestamp and it was published by then; the latest that counts is taken.

**When** When somebody triggers it. From Python the same is `from include.training import training_set`.

**Running it again** with the same entities, and the `publication` that the JSON tells, gives the same bytes. Without
`publication` it reads what is published now. The file of a `name` is replaced.

**Parameters** (one of the three `entities_…`; the others are optional)

| parameter | example | what it does |
|---|---|---|
| `name` | `churn_november` | what the files are called; default: the run's id |
| `entities_parquet` | `/data/pairs.parquet` | a Parquet file of pairs: the keys, and a timestamp with a time zone |
| `entities_sql` | `select customer_id, ordered_at as timestamp from reporting.orders where customer_id is not null` | a query that gives pairs, run as the analyst |
| `entities_of` | `customer_activity` | every entity of a feature set at the end of each of `dates` |
| `dates` | `["2026-11-01"]` | the business days of `entities_of` |
| `timestamp` | `timestamp` | the column with the timestamp |
| `features` | `["customer_activity", "product_demand.units"]` | feature sets, or single columns of one |
| `labels` | `["customer_labels"]` | sets of labels, or single columns; of the last business day that had ended |
| `ttl_days` | `7` | how old a feature row may be; nothing: any age |
| `known_only` | `false` | take days that were published only later too: for a past that was backfilled |
| `publication` | `17` | read what had been published up to this publication |

**When it is red** Nothing was written.

- `check`: the form asks for what there is not; the log says what there is. Trigger it again.
- `write`: the entities are not what the sets need (a key or a time zone is missing, a key is null): the log says which.
"""  # noqa: E501 - an example of a query

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from dags.shops import each_shop
from include.pipeline.task_defaults import task_defaults
from include.settings.shops import dag_id_of

TEXT: dict[str, Any] = {"type": ["null", "string"]}
NAMES: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
NAME = "^[A-Za-z0-9][A-Za-z0-9_-]*$"
MOST = 2**31 - 1  # with a larger number than Airflow can store, the task dies without a word


def training_set() -> None:
    """The DAG of a shop."""
    with DAG(
        dag_id_of("training_set"),
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,  # it starts nothing of itself
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=6),
        default_args=task_defaults(),
        params={
            "name": Param(None, **TEXT, pattern=NAME, maxLength=100, description="What the files are called."),
            "entities_parquet": Param(None, **TEXT, description="A Parquet file of pairs."),
            "entities_sql": Param(None, **TEXT, format="multiline", description="A query that gives pairs."),
            "entities_of": Param(None, **TEXT, description="A feature set, all of whose entities are taken."),
            "dates": Param([], **NAMES, description="The business days of entities_of, 2026-11-21."),
            "timestamp": Param("timestamp", type="string", minLength=1, description="The column with the timestamp."),
            "features": Param(
                ["customer_activity"], **NAMES, description="Feature sets, or single columns: set.column."
            ),
            "labels": Param([], **NAMES, description="Sets of labels, or single columns: set.column."),
            "ttl_days": Param(
                7, type=["null", "number"], minimum=0, maximum=36500, description="How old a row may be."
            ),
            "known_only": Param(True, type="boolean", description="Only what was published by the timestamp."),
            "publication": Param(
                None, type=["null", "integer"], minimum=1, maximum=MOST, description="Read up to this publication."
            ),
        },
        tags=["stocktake", "training_set"],
        doc_md=__doc__,
    ):

        @task
        def check(**context: Any) -> int:
            """Refuse what could not be made; pin the publication."""
            from include.pipeline import training_set

            return training_set.check(context["dag_run"].conf or {}, context["params"])

        @task
        def write(run: str, publication: int, **context: Any) -> str:
            """Join, and write the Parquet file and its JSON."""
            from include.pipeline import training_set

            return training_set.make(run, context["params"], publication)

        pinned: Any = check()
        write("{{ run_id }}", pinned)


for _ in each_shop():
    training_set()
