"""# nightly: yesterday's orders and stock, proven and published

Takes one consistent copy of the shop's tables, checks every row, builds the reporting tables, and publishes all of them
in one transaction. Analysts see yesterday's tables until it is done, then today's: never a mix. The published tables
start `features`, which makes the feature sets of the same day.

**When** At 04:00 in the shop's time zone, for the business day that has just closed; with `STOCKTAKE_DAY_CLOSED` when
the shop says that it is (`day_closed`). The run of 04:00 then ends at once, its tasks skipped, where the day is
published. Trigger it by hand for any closed day; backfill past days with
`airflow backfill create --dag-id nightly --max-active-runs 1 --from-date 2026-11-01 --to-date 2026-11-04`:
three nights, one after the other, without the date that it ends at. A day that already has a run is left out, whatever
came of that run; with `--reprocess-behavior failed` those that failed are run again, with `completed` all of them.

**After a change of code or declarations** it reads, checks, builds and alters what it must: `make plan` says what.
For as long as it alters a table, readers of that table wait.

**Running it again** changes nothing that has not changed in the shop. A run for an earlier day replaces that
day's slices of the tables by night; all other tables keep their later days.

**When it waits** at `approve`, more rows would be in quarantine, or are gone from the shop, than the contract
tolerates, or a figure of the day is unusual of which the contract asks. Its page, under Required Actions, shows how
many, their money, the worst rules, the days and some rows. Approve publishes the night without them, and an unusual day
as it is; Reject, or no answer within `STOCKTAKE_APPROVAL_HOURS`, leaves yesterday's tables. The next
night begins after the answer.

**Parameters** (all optional)

| parameter | example | what it does |
|---|---|---|
| `date` | `2026-11-21` | the business day; default: the partition key, else the last closed day |
| `engine` | `duckdb` | what builds the tables: pandas, duckdb, dask, spark; `auto` goes by their size |
| `full_refresh` | `true` | read and check everything again, not only what changed |
| `dry_run` | `true` | stop before publishing: the lake is brought up to date, the warehouse's tables stay |
| `parity` | `spark` | build a sample of the tables on this engine as well; a row that differs stops the night |

**When it is red** Nothing was published; yesterday's tables stand. The failed task's log ends with a sentence that
names the table, the rule and the first rows. `report` is red with it, so that a night which somebody stopped, or whose
task somebody marked as done, is no success either: it says what the run failed with.

- `begin`, before the first night `accept`: the day is before the shop's first order, movement or refund of no line.
- `begin`: the tables' new definition would drop or retype what a view or an index in the warehouse needs: the message
  names each. Change or drop it first.
- `extract`: the shop cannot be reached (it retries, with growing pauses), or its tables are not what they were: adapt
  the .sql files that read them, then `make schema`. Or a file does not give what its contract says: the message has
  file, line and what to write; `make map` says everything without a night. Or the lake is another shop's: the message
  names both. Or row-level security would hide rows: give the role that reads the shop `bypassrls`. Or its checksums and
  the copy's differ, even after those rows were read again: the message says where.
- `validate…`: Great Expectations and the engine disagree about a rule: a bug in the rule, never in the data.
- `check_tolerance`: a rule that stops the night was broken. Look at the night's report, have the rows fixed in the
  shop, clear `begin`.
- `approve`: more rows would be in quarantine, or are gone, than the contract tolerates, and an operator said no, or
  nothing in time. Have the rows fixed in the shop and clear `begin`; or clear `check_tolerance`, to be asked again.
- `builds…`: two engines disagree about a row: a bug in a transform or an engine; the message shows both.
- `audit`: what was built breaks its own rules, or does not add up (lines to orders, orders to days, movements to
  stock, rows of the shop to rows kept): a bug in a transform. The message has both sides and the first keys; all
  figures are in `audit.conservation` and in the night's report.
- `accept` or `publish` say they were overtaken: two nights ran beside each other; run this one again. If the other's
  snapshot lies in the future, a clock was ahead then: trigger a night with `full_refresh`.
- `validate…` or `accept` miss what waited at the gate: days after the night failed, not all of it was cleared.
- a table of the lake `is damaged`: a file of it is missing, cut or unreadable. A published table is built anew by the
  next night; for `clean` and `quarantine` trigger one with `full_refresh`, which reads them anew from the shop.
- `publish`: the warehouse cannot be reached (it retries). Or it does not hold what the lake does: something in it
  changes rows as they are written, such as a trigger; the message shows rows of both.

To try again, trigger the night again, or clear `begin` and all that follows: later tasks alone belong to the shop as
it was then, and are refused once another night was published.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronPartitionTimetable, Param, task

from dags.shops import each_shop
from dags.steps import (
    SPARE,
    accept,
    approve,
    audit,
    builds,
    check_tolerance,
    publish,
    queue_of,
    queued,
    report,
    validates,
)
from include.pipeline.assets import asset
from include.pipeline.task_defaults import task_defaults
from include.pipeline.watch import at_once
from include.settings import NIGHT_AT, settings
from include.settings.shops import dag_id_of
from include.sources import shop_sources
from transforms.engines import AUTO, ENGINES
from transforms.registry import TABLES, buildable


def nightly() -> None:
    """The DAG of a shop."""
    sources = shop_sources(settings().sources)
    plan = buildable(sources)
    reporting = plan.of("reporting")

    with DAG(
        dag_id_of("nightly"),
        # At 04:00, for no zone's clocks change then: at 02:00 each spring one day was never run and the next one twice.
        schedule=CronPartitionTimetable(
            f"0 {NIGHT_AT.hour} * * *", timezone=settings().timezone, run_offset=-1, key_format="%Y-%m-%d"
        ),
        start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - read in the timetable's zone
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=6 + settings().approval_hours),
        on_failure_callback=at_once(),
        default_args=task_defaults(),
        params={
            "date": Param(
                None, type=["null", "string"], format="date", description="A closed business day, 2026-11-21."
            ),
            "engine": Param(AUTO, type="string", enum=[AUTO, *ENGINES], description="What builds the tables."),
            "full_refresh": Param(
                False, type="boolean", description="Read and check everything, not only what changed."
            ),
            "dry_run": Param(False, type="boolean", description="Stop before publishing."),
            "parity": Param(
                None,
                type=["null", "string"],
                enum=[None, *ENGINES],
                description="Build a sample of the tables on this one as well.",
            ),
        },
        tags=["stocktake", "nightly"],
        doc_md=__doc__,
    ):

        @task.short_circuit(queue=queue_of("begin"))
        def begin(run: str, **context: Any) -> bool:
            """Work out what is asked, enter the run in the ledger; all is skipped that was published when announced."""
            from include.pipeline import day_closed, nightly, run_request

            dag_run = context["dag_run"]
            asked = run_request.asked_for(
                run,
                dag_run.partition_key,
                dag_run.conf or {},
                dag_run.run_after,
                dag_run.start_date or dag_run.run_after,
            )
            if day_closed.is_spare(asked, dag_run.run_type):
                context["ti"].xcom_push(SPARE, True)
                return False
            nightly.begin(asked, [(one.table, one.sources, plan.left_out.get(name)) for name, one in TABLES.items()])
            return True

        @task(queue=queue_of("extract"))
        def extract(run: str) -> dict[str, int]:
            """Read all sources in one snapshot into lake/raw."""
            from include.pipeline import nightly

            return nightly.extract(run)

        run = "{{ run_id }}"
        weighed, accepted = queued(check_tolerance)(run), queued(accept)(run)
        outlets = [asset(TABLES[name].table) for name in reporting]
        published = queued(publish, outlets=outlets)(run, list(reporting))
        begin(run) >> extract(run) >> validates(run, sources) >> weighed >> approve(run) >> accepted
        accepted >> builds(run, reporting) >> queued(audit)(run, list(reporting)) >> published >> report(run)


for _ in each_shop():
    nightly()
