"""What nights did: how long they took, what they read, what they published, and what they changed of the past.

They are read from the ledger, so they are of no publication: each answer is computed anew.
"""

from __future__ import annotations

from typing import Final, LiteralString

from include.contract import Column, Type
from include.ledger.anomalies import EXPLAINS
from include.serve.metrics.definition import RANGE, Metric, Parameter

# A night that ran again counts as it ran last.
_LAST_RUNS: Final[LiteralString] = """
with last_runs as (
    select distinct on (night) night, run_id, state
    from audit.runs
    where kind = 'night' and not dry_run and night between {first} and {last}
    order by night, started_at desc
)
"""
_NIGHT: Final = Column("night", Type.DAY, "The business day that the run was for.")
_RUN: Final = Column("run_id", Type.TEXT, "The run in Airflow.")
_STATE: Final = Column("state", Type.TEXT, "running, success or failed.")
_SOURCE: Final = Column("source", Type.TEXT, "The source.")
_PUBLICATION: Final = Column("publication_id", Type.INTEGER, "The publication.")
_PUBLISHED: Final = Column("published_at", Type.AT, "When it was published.")
_TABLE: Final = Column("table_name", Type.TEXT, "The published table.")

NIGHTS: Final = (
    Metric(
        name="stage_seconds",
        meaning="How long each stage of a night worked. Tasks of a stage run side by side, and their seconds are added "
        "up: a night is over sooner than its sum says.",
        unit="seconds",
        grain="One row per night and stage, of the night's last run; by night, stages in the order of their begin.",
        tables=("audit.runs", "audit.stages"),
        columns=(
            _NIGHT,
            _RUN,
            _STATE,
            Column("stage", Type.TEXT, "The stage."),
            Column("tasks", Type.INTEGER, "Tasks of the stage: one per source, table or feature set."),
            Column("seconds", Type.RATIO, "Seconds of all of them."),
        ),
        sql=_LAST_RUNS
        + """
select
    night,
    run_id,
    state,
    split_part(stages.stage, ' ', 1) as stage,
    count(*) as tasks,
    sum(stages.seconds) as seconds
from last_runs
join audit.stages using (run_id)
group by night, run_id, state, split_part(stages.stage, ' ', 1)
order by night, min(stages.started_at), stage
""",
        takes=RANGE,
        days=90,
        ages=True,
    ),
    Metric(
        name="source_rows",
        meaning="What a night read of each source, and what became of it: extracted = accepted + quarantined.",
        unit="rows",
        grain="One row per night and source, of the night's last run; by night and source.",
        tables=("audit.runs", "audit.source_counts"),
        columns=(
            _NIGHT,
            _RUN,
            _SOURCE,
            Column("extracted", Type.INTEGER, "Rows read: new and changed ones."),
            Column("accepted", Type.INTEGER, "Of them, accepted; null before the gate.", nullable=True),
            Column("quarantined", Type.INTEGER, "Of them, quarantined; null before the gate.", nullable=True),
            Column("source_rows", Type.INTEGER, "Rows that the shop has."),
            Column("complete", Type.BOOLEAN, "Whether the copy and the quarantine have them all.", nullable=True),
        ),
        sql=_LAST_RUNS
        + """
select
    night,
    run_id,
    source,
    extracted,
    accepted,
    quarantined,
    source_rows,
    complete
from last_runs
join audit.source_counts using (run_id)
order by night, source
""",
        takes=RANGE,
        days=90,
        ages=True,
    ),
    Metric(
        name="anomalies",
        meaning="Figures of a night's day that are not what the days before it make one expect, and what an operator "
        "said of them.",
        unit="figures",
        grain="One row per night, source and measure, of the night's last run; the latest night first, then the "
        "furthest off.",
        tables=("audit.runs", "audit.anomalies", "audit.explanations"),
        columns=(
            _NIGHT,
            _RUN,
            _SOURCE,
            Column("measure", Type.TEXT, "The figure."),
            Column("sentence", Type.TEXT, "What it is, and what was expected."),
            Column("value", Type.RATIO, "What it is."),
            Column("low", Type.RATIO, "The least that was expected."),
            Column("high", Type.RATIO, "The most that was expected."),
            Column("rows_behind", Type.INTEGER, "Rows that it was measured on, or that are unusual."),
            Column("asks", Type.BOOLEAN, "Whether the contract has it wait for an approval."),
            Column("reason", Type.TEXT, "What an operator explained it by.", nullable=True),
        ),
        sql=_LAST_RUNS
        + """
select
    night,
    run_id,
    anomalies.source,
    anomalies.measure,
    anomalies.sentence,
    anomalies.value,
    anomalies.low,
    anomalies.high,
    anomalies.rows_behind,
    anomalies.asks,
    (
        select explanations.reason
        from audit.explanations
        where """
        + EXPLAINS
        + """
        order by explanations.explanation_id desc
        limit 1
    ) as reason
from last_runs
join audit.anomalies using (run_id)
order by night desc, anomalies.excess desc, anomalies.anomaly_id
limit {limit}
""",
        takes=RANGE | {Parameter.LIMIT},
        days=90,
        ages=True,
    ),
    Metric(
        name="restatements",
        meaning="How many figures of earlier days a publication changed.",
        unit="figures",
        grain="One row per publication and table; in this order.",
        tables=("audit.restatements", "audit.publications"),
        columns=(
            _NIGHT,
            _PUBLICATION,
            _RUN,
            _TABLE,
            Column("figures", Type.INTEGER, "Figures that changed."),
            Column("days", Type.INTEGER, "Business days that they are of."),
            Column("first_day", Type.DAY, "The first of them."),
            Column("last_day", Type.DAY, "The last of them."),
        ),
        sql="""
select
    publications.night,
    publications.publication_id,
    publications.run_id,
    restatements.schema_name || '.' || restatements.table_name as table_name,
    count(*) as figures,
    count(distinct restatements.day) as days,
    min(restatements.day) as first_day,
    max(restatements.day) as last_day
from audit.restatements
join audit.publications using (publication_id)
where publications.night between {first} and {last}
group by publications.night, publications.publication_id, publications.run_id, 4
order by publications.publication_id, table_name
""",
        takes=RANGE,
        days=90,
        ages=True,
    ),
    Metric(
        name="restated_figures",
        meaning="Figures of earlier days that changed, with the rows of the shop that caused it.",
        unit="figures",
        grain="One row per publication, table, key, day and figure; the latest publication first, then tables with "
        "the fewest keys and the latest days.",
        tables=("audit.restatements", "audit.publications"),
        columns=(
            _NIGHT,
            _PUBLICATION,
            _RUN,
            _TABLE,
            Column("day", Type.DAY, "The business day that the figure is of."),
            Column("row_key", Type.JSON, "The row of the table."),
            Column("metric", Type.TEXT, "Its column."),
            Column("old_value", Type.JSON, "What it was; null where the row is new.", nullable=True),
            Column("new_value", Type.JSON, "What it is; null where the row is gone.", nullable=True),
            Column(
                "causes",
                Type.JSON,
                "By source, the changed rows: some keys, and how many. {} where the table's definition changed.",
                nullable=True,
            ),
        ),
        sql="""
select
    publications.night,
    publications.publication_id,
    publications.run_id,
    restatements.schema_name || '.' || restatements.table_name as table_name,
    restatements.day,
    restatements.row_key,
    restatements.metric,
    restatements.old_value,
    restatements.new_value,
    restatements.causes
from audit.restatements
join audit.publications using (publication_id)
where publications.night between {first} and {last}
order by
    publications.publication_id desc,
    (select count(*) from jsonb_object_keys(restatements.row_key)),
    restatements.table_name,
    restatements.day desc,
    restatements.row_key,
    restatements.metric
limit {limit}
""",
        takes=RANGE | {Parameter.LIMIT},
        days=90,
        ages=True,
    ),
    Metric(
        name="publications",
        meaning="What was published: nights, feature sets, replays, and nights that were put back.",
        unit="publications",
        grain="One row per publication; the latest first.",
        tables=("audit.publications", "audit.publication_tables", "audit.runs"),
        columns=(
            _PUBLICATION,
            _NIGHT,
            Column("horizon", Type.DAY, "The last whole business day that its tables cover."),
            _PUBLISHED,
            _RUN,
            Column("dag", Type.TEXT, "The DAG of the run."),
            Column("kind", Type.TEXT, "What the run did: night, tables, replay, republish or removal."),
            Column("tables", Type.INTEGER, "Tables that it wrote."),
            Column("inserted", Type.INTEGER, "Rows that it inserted."),
            Column("deleted", Type.INTEGER, "Rows that it deleted; a changed row is both."),
        ),
        sql="""
select
    publications.publication_id,
    publications.night,
    publications.horizon,
    publications.published_at,
    publications.run_id,
    runs.dag,
    runs.kind,
    count(*) as tables,
    sum(publication_tables.inserted) as inserted,
    sum(publication_tables.deleted) as deleted
from audit.publications
join audit.runs using (run_id)
join audit.publication_tables using (publication_id)
where publications.night between {first} and {last}
group by publications.publication_id, runs.run_id
order by publications.publication_id desc
limit {limit}
""",
        takes=RANGE | {Parameter.LIMIT},
        days=90,
        ages=True,
    ),
)
