"""Everything that the report of one run shows, read from the ledger in one read-only snapshot."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from psycopg.errors import UndefinedTable

from include.ledger.anomalies import OF_RUN
from include.serve.figures import RUNS, Cursor, Row, snapshot
from include.sources import SOURCES

SAMPLES = 3  # rows in quarantine that are shown per rule
RESTATED = 30  # figures of earlier days that are shown

# The quarantine after this publication, or after a replay without one: its entries open and close at that instant.
_HELD = """
with held as (
    select * from audit.quarantine
    where quarantined_at <= %(at)s and (resolved_at is null or resolved_at > %(at)s)
)
"""


@dataclass(frozen=True)
class Night:
    """Everything in the ledger that the report of a run shows.

    Attributes:
        run: its row of ``runs``.
        sources: per source, its row counts.
        held: per source, its rows in quarantine after the publication, by rule, with samples; empty if none. A replay
            that published nothing has this too.
        resolved: per source and outcome, rows that left the quarantine.
        tables: the tables published, or built if nothing was published.
        broken: results of broken rules, the most severe first.
        fine: per table, results of rules that no row broke.
        stages: seconds per stage.
        schema_changes: changes of the shop's schema that this run saw first.
        proofs: results of the reconciliation, failed ones first.
        restated: figures of earlier days that it changed, tables with the fewest keys and the latest days first;
            ``total`` is the number of all figures.
        approvals: the questions to operators, and their answers.
        unusual: figures of the day that are not as expected, the furthest off first.
        judged: how many figures of the day were compared with earlier days, and how many there are.
    """

    run: Row
    sources: list[Row]
    held: list[Row]
    resolved: list[Row]
    tables: list[Row]
    broken: list[Row]
    fine: dict[str, list[Row]]
    stages: list[Row]
    schema_changes: list[Row]
    proofs: list[Row]
    restated: list[Row]
    approvals: list[Row]
    unusual: list[Row]
    judged: tuple[int, int]

    @property
    def at_stake(self) -> dict[str, Decimal]:
        """The money of all rows in quarantine, by currency."""
        return _summed(self.held)

    @property
    def released(self) -> dict[str, Decimal]:
        """The money of all rows that were released from quarantine, by currency."""
        return _summed([row for row in self.resolved if row["outcome"] == "released"])


def _summed(rows: list[Row]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        for currency, amount in row["amounts"].items():
            total[currency] += Decimal(amount)
    return dict(total)


def read(run_id: str) -> Night:
    """Read one run.

    Raises:
        KeyError: when the ledger has no such run.
        ConnectionError: when the warehouse cannot be reached.
    """
    try:
        with snapshot() as cursor:
            run = cursor.execute(f"{RUNS} where runs.run_id = %s", [run_id]).fetchone()
            if run is None:
                raise KeyError(f"the ledger has no run {run_id!r}")
            results = _results(cursor, run_id)
            fine: dict[str, list[Row]] = defaultdict(list)
            for result in results:
                if not result["broken"]:
                    fine[result["table_name"]].append(result)
            return Night(
                run,
                sources=_sources(cursor, run_id),
                held=_held(cursor, run, results) if run["published_at"] or run["judged_at"] else [],
                resolved=_resolved(cursor, run_id),
                tables=_published(cursor, run) if run["published_at"] else _built(cursor, run_id),
                broken=[result for result in results if result["broken"]],
                fine=dict(fine),
                stages=_stages(cursor, run_id),
                schema_changes=_schema_changes(cursor, run_id),
                proofs=_proofs(cursor, run_id),
                restated=_restated(cursor, run),
                approvals=_approvals(cursor, run_id),
                unusual=_unusual(cursor, run_id),
                judged=_judged(cursor, run),
            )
    except UndefinedTable:
        raise KeyError(f"the ledger has no run {run_id!r}: no night has begun yet") from None


def _sources(cursor: Cursor, run_id: str) -> list[Row]:
    return cursor.execute("select * from audit.source_counts where run_id = %s order by source", [run_id]).fetchall()


def _results(cursor: Cursor, run_id: str) -> list[Row]:
    return cursor.execute(
        """
        select * from audit.expectation_results where run_id = %s
        order by array_position(array['stop', 'quarantine', 'warn'], severity), broken desc,
            table_name, rule
        """,
        [run_id],
    ).fetchall()


def _held(cursor: Cursor, run: Row, results: list[Row]) -> list[Row]:
    """Per source: rows, new rows, money per currency; and the same by rule, with sample rows."""
    asked = {"at": run["published_at"] or run["judged_at"], "run": run["run_id"], "samples": SAMPLES}
    counts = "count(*) as rows, count(*) filter (where quarantined_by = %(run)s) as fresh"
    money = "coalesce(currency, '?') as currency, sum(amount) as amount"
    sources = cursor.execute(f"{_HELD} select source, {counts} from held group by source order by source", asked)
    held = {row["source"]: {**row, "amounts": {}, "rules": {}} for row in sources.fetchall()}
    for row in cursor.execute(
        f"{_HELD} select source, {money} from held where amount <> 0 group by 1, 2 order by 2", asked
    ).fetchall():
        held[row["source"]]["amounts"][row["currency"]] = row["amount"]
    by_rule = "from held cross join unnest(rules) as broken (rule)"
    meanings = {(result["table_name"], result["rule"]): result["meaning"] for result in results}
    for row in cursor.execute(
        f"{_HELD} select source, rule, {counts} {by_rule} group by 1, 2 order by 1, rule like 'follows%%', 3 desc, 2",
        asked,
    ).fetchall():
        source = SOURCES.get(row["source"])
        recorded = meanings.get((f"source.{row['source']}", row["rule"]))
        meaning = recorded or (source.meaning_of(row["rule"]) if source else "")
        held[row["source"]]["rules"][row["rule"]] = {**row, "meaning": meaning, "amounts": {}, "samples": []}
    for row in cursor.execute(
        f"{_HELD} select source, rule, {money} {by_rule} where amount <> 0 group by 1, 2, 3 order by 3", asked
    ).fetchall():
        held[row["source"]]["rules"][row["rule"]]["amounts"][row["currency"]] = row["amount"]
    for row in cursor.execute(
        f"""{_HELD}, numbered as (
            select
                quarantine_id, rule,
                row_number() over (
                    partition by source, rule order by quarantined_by = %(run)s desc, quarantine_id
                ) as number
            {by_rule}
        )
        select
            held.source, numbered.rule, held.row_key, held.rules, held.row_values, held.amount, held.currency,
            held.quarantined_by = %(run)s as fresh, held.quarantined_at
        from numbered join held using (quarantine_id)
        where number <= %(samples)s order by number
        """,
        asked,
    ).fetchall():
        held[row["source"]]["rules"][row["rule"]]["samples"].append(row)
    return list(held.values())


def _resolved(cursor: Cursor, run_id: str) -> list[Row]:
    return cursor.execute(
        f"""
        with gone as (select * from audit.quarantine where resolved_by = %s),
        money as (
            select source, outcome, jsonb_object_agg(currency, amount::text) as amounts
            from (
                select source, outcome, coalesce(currency, '?') as currency, sum(amount) as amount
                from gone where amount <> 0 group by 1, 2, 3
            ) as summed
            group by source, outcome
        )
        select
            source, outcome, count(*) as rows, coalesce(min(amounts::text)::jsonb, '{{}}') as amounts,
            (array_agg(row_key order by quarantine_id))[1:{SAMPLES}] as examples
        from gone left join money using (source, outcome)
        group by source, outcome order by outcome = 'released' desc, outcome, source
        """,
        [run_id],
    ).fetchall()


def _published(cursor: Cursor, run: Row) -> list[Row]:
    return cursor.execute(
        """
        select schema_name || '.' || table_name as name, rows, inserted, deleted, lake_version
        from audit.publication_tables where publication_id = %s order by schema_name desc, table_name
        """,
        [run["publication_id"]],
    ).fetchall()


def _built(cursor: Cursor, run_id: str) -> list[Row]:
    return cursor.execute(
        """
        select schema_name || '.' || table_name as name, rows, null as inserted, null as deleted, lake_version
        from audit.builds where run_id = %s order by schema_name desc, table_name
        """,
        [run_id],
    ).fetchall()


def _stages(cursor: Cursor, run_id: str) -> list[Row]:
    return cursor.execute(
        "select stage, started_at, seconds from audit.stages where run_id = %s order by started_at", [run_id]
    ).fetchall()


def _schema_changes(cursor: Cursor, run_id: str) -> list[Row]:
    return cursor.execute(
        "select relation, column_name, what from audit.schema_changes where run_id = %s order by 1, 2", [run_id]
    ).fetchall()


def _proofs(cursor: Cursor, run_id: str) -> list[Row]:
    return cursor.execute(
        """
        select audit, meaning, one_side, other_side, groups, differing, totals, examples, held
        from audit.conservation where run_id = %s order by held, audit like 'published%%', audit
        """,
        [run_id],
    ).fetchall()


def _restated(cursor: Cursor, run: Row) -> list[Row]:
    return cursor.execute(
        f"""
        select
            schema_name || '.' || table_name as name, day, metric, old_value, new_value, causes,
            count(*) over () as total,
            array(select value from jsonb_each_text(row_key) order by key) as of
        from audit.restatements where publication_id = %s
        order by (select count(*) from jsonb_object_keys(row_key)), table_name, day desc, row_key, metric
        limit {RESTATED}
        """,
        [run["publication_id"]],
    ).fetchall()


def _approvals(cursor: Cursor, run_id: str) -> list[Row]:
    return cursor.execute("select * from audit.approvals where run_id = %s order by approval_id", [run_id]).fetchall()


def _unusual(cursor: Cursor, run_id: str) -> list[Row]:
    return cursor.execute(OF_RUN.encode(), {"run": run_id}).fetchall() if _has_measures(cursor) else []


def _judged(cursor: Cursor, run: Row) -> tuple[int, int]:
    if not _has_measures(cursor):
        return (0, 0)
    row = cursor.execute(
        "select count(high) as judged, count(*) as measured from audit.measures where run_id = %s and day = %s",
        [run["run_id"], run["night"]],
    ).fetchone()
    return (row["judged"], row["measured"]) if row else (0, 0)


def _has_measures(cursor: Cursor) -> bool:
    """Whether the ledger has them: the first night after an update makes their tables."""
    row = cursor.execute("select to_regclass('audit.anomalies') is not null as known").fetchone()
    return bool(row and row["known"])
