"""# republish: a past night, put back as it was published

Puts every reporting table back as one past night left it, byte for byte, in one transaction, from the versions that the
lake keeps of them. For the morning on which last night's figures turn out to be wrong in the shop itself: readers get
the last good night while it is put right.

**When** When somebody triggers it: pause `nightly` first, for the next night brings every table forward again, whatever
was put back, and clears nothing that you have to clear up. That is also the way back: run `nightly`.

**What stays** Quarantine and watermarks: the next night is right because they do. Feature sets: a slice says what was
known on its day, and a later day's slice changes none of it; train up to a `publication` to leave later ones out. A
reporting table that is younger than the night. No asset is announced, so nothing starts from it.

**Running it again** changes nothing: the night is there already. It is a publication all the same.

**Parameters** (the night is needed)

| parameter | example | what it does |
|---|---|---|
| `night` | `2026-11-20` | the business day whose night is put back |
| `publication` | `41` | which of its publications, if it was published more than once; default: its newest |

A night that was run again later covers the days that were published by then: `audit.publications` says, by night, when
each was published and up to which day (`horizon`) it goes. What changed of days that both cover is in
`audit.restatements`, with the rows of the shop that caused it; the run's report sums it up.

**When it is red** Nothing was changed; readers have what they had. The log ends with a sentence that says why.

- `begin`: the night was never published, or not as that publication: the message says what there is.
- `publish`: the lake has not all of the night any more, or a table is of another grain now: the message names the
  tables. Or the warehouse cannot be reached (it retries).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from dags.shops import each_shop
from dags.steps import queue_of, report
from include.pipeline.task_defaults import task_defaults
from include.settings import settings
from include.settings.shops import dag_id_of
from include.sources import shop_sources
from transforms.registry import TABLES, buildable


def republish() -> None:
    """The DAG of a shop."""
    reporting = buildable(shop_sources(settings().sources)).of("reporting")

    with DAG(
        dag_id_of("republish"),
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,  # it starts nothing of itself
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=2),
        default_args=task_defaults(),
        params={
            "night": Param(type="string", format="date", description="The night to put back, 2026-11-20."),
            "publication": Param(
                None,
                type=["null", "integer"],
                minimum=1,
                maximum=2**31 - 1,  # with a larger number than Airflow can store, the task dies without a word
                description="Which publication of it; else its newest.",
            ),
        },
        tags=["stocktake", "republish"],
        doc_md=__doc__,
    ):

        @task(queue=queue_of("begin"))
        def begin(run: str, **context: Any) -> None:
            """Find out which publication is meant and enter the run in the ledger."""
            from include.pipeline import republish

            republish.begin(run, context["dag_run"].conf or {})

        @task(queue=queue_of("publish"))
        def publish(run: str) -> str:
            """Put every reporting table back in one transaction."""
            from include.pipeline import republish

            return republish.publish(run, [TABLES[name].table for name in reporting])

        run = "{{ run_id }}"
        published = publish(run)
        begin(run) >> published
        published >> report(run)


for _ in each_shop():
    republish()
