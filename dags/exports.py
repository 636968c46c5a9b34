"""# exports: rows that somebody asked the API for, as a file

Writes the rows of a published table, filtered and in order, into one file of CSV, Parquet or Arrow, all of one
publication, for whoever asked the API for it (`POST /stocktake/api/v1/exports`), who may not trigger anything in
Airflow: the API asks what they may read, and starts the run. `audit.exports` has one row per export: who asked for
what, how far it is, why it failed. The files are in `exports/` in the lake; they expire after `STOCKTAKE_EXPORT_DAYS`
(7), and `housekeeping` removes them.

**When** When somebody asks the API for an export. Two are written at a time, others wait.

**Running it again** Clear `write` of a run that failed: its export is written anew, of what is published then. An
export that is done, was cancelled or has expired is left as it is.

**Parameters** (needed; the API fills it in)

| parameter | example | what it does |
|---|---|---|
| `export` | `3f0c8c1e-…` | which export is written: the id that the API answered |

**When it is red** Nobody sees half a file: there is none. Who asked reads why in `GET /exports/{id}`, and may ask
again.

- The table, or a column of it, is not there any more: whoever asked asks for another one.
- A statement took longer than 30 minutes: they filter by a column of the key.
- No room on the disk of the lake: make some, clear `write`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from dags.shops import each_shop
from include.pipeline.task_defaults import task_defaults
from include.settings.shops import dag_id_of


def exports() -> None:
    """The DAG of a shop."""
    with DAG(
        dag_id_of("exports"),
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,  # it starts nothing of itself
        max_active_runs=2,  # nights need the machine as well
        dagrun_timeout=timedelta(hours=6),
        default_args=task_defaults(),
        params={"export": Param(type="string", format="uuid", description="Which export is written: its id.")},
        tags=["stocktake", "exports"],
        doc_md=__doc__,
    ):

        @task
        def write(run: str, **context: Any) -> int | None:
            """Write the file, and enter how far that is."""
            from include.pipeline import exports

            return exports.write(context["dag_run"].conf or {}, run)

        write("{{ run_id }}")


for _ in each_shop():
    exports()
