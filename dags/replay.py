"""# replay: the quarantine, checked again without reading the shop

Checks every row in quarantine, and its family, by the rules as they are now. Rows that pass are accepted and flow into
exactly the days that they belong to; what changes is built, proven and published in one transaction, as by a night. For
the morning on which a rule proved too strict: loosen it in `include/sources`, replay, and nobody waits for the night.

**When** When somebody triggers it: after a rule was loosened, or to be sure. It is for the last business day that is
published, with the shop as it was read for that. It is refused while a night is not over. What it publishes starts
`features` for that day.

**What stays** The watermarks: the next night reads what it would have read. Rows in quarantine that were mended or
deleted in the shop: only a night knows. Rows that were accepted: a rule that was tightened is not applied to them, save
to families of rows in quarantine and to sources of which every row is checked every night; the next night applies it to
all. A past night that was put back stays, unless something is released: then all is brought forward.

**Running it again** releases nothing, and then publishes nothing: `sift` says so, and what comes after it is skipped.
`audit.verdicts` has what every run made of every row. Figures of earlier days that changed are in `audit.restatements`,
with the keys of the released rows.

**When it waits** at `approve`, more rows would stay in quarantine than the contract tolerates; see `nightly`.

**Parameters** (all optional)

| parameter | example | what it does |
|---|---|---|
| `engine` | `duckdb` | what builds the tables: pandas, duckdb, dask, spark; `auto` goes by their size |
| `dry_run` | `true` | stop before publishing: rows are released in the lake, the warehouse's tables stay for now |

**When it is red** Nothing was published. The log ends with a sentence that says why; what is not told here is as for
`nightly`.

- `begin`: a night is not over, it left the lake ahead of what is published, or the sources are not declared as when
  they were read: let it end, or run `nightly`, which checks the quarantine as well.
- `sift`, `accept` or `publish` say they were overtaken: a night ran beside it, and has checked the quarantine itself.
- `accept`: copy and quarantine together are not what they were: run `nightly` with `full_refresh`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from dags.shops import each_shop
from dags.steps import accept, approve, audit, builds, check_tolerance, publish, queue_of, queued, report, validates
from include.pipeline.assets import asset
from include.pipeline.task_defaults import task_defaults
from include.settings import settings
from include.settings.shops import dag_id_of
from include.sources import shop_sources
from transforms.engines import AUTO, ENGINES
from transforms.registry import TABLES, buildable


def replay() -> None:
    """The DAG of a shop."""
    sources = shop_sources(settings().sources)
    plan = buildable(sources)
    reporting = plan.of("reporting")

    with DAG(
        dag_id_of("replay"),
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,  # it starts nothing of itself
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=6 + settings().approval_hours),
        default_args=task_defaults(),
        params={
            "engine": Param(AUTO, type="string", enum=[AUTO, *ENGINES], description="What builds the tables."),
            "dry_run": Param(False, type="boolean", description="Stop before publishing."),
        },
        tags=["stocktake", "replay"],
        doc_md=__doc__,
    ):

        @task(queue=queue_of("begin"))
        def begin(run: str, **context: Any) -> None:
            """Find the copy that was published last, enter the run in the ledger; refused while a night is not over."""
            from include.pipeline import replay

            tables = [(one.table, one.sources, plan.left_out.get(name)) for name, one in TABLES.items()]
            replay.begin(run, context["dag_run"].conf or {}, tables)

        @task.short_circuit
        def sift(run: str) -> bool:
            """See whether anything is to be released; else all that follows is skipped."""
            from include.pipeline import replay

            return replay.sift(run)

        run = "{{ run_id }}"
        weighed, accepted = queued(check_tolerance)(run), queued(accept)(run)
        outlets = [asset(TABLES[name].table) for name in reporting]
        published = queued(publish, outlets=outlets)(run, list(reporting))
        begin(run) >> validates(run, sources) >> sift(run) >> weighed >> approve(run) >> accepted
        accepted >> builds(run, reporting) >> queued(audit)(run, list(reporting)) >> published >> report(run)


for _ in each_shop():
    replay()
