"""What is in quarantine, and what each night put there: counts and money, no values of rows."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Type
from include.serve.metrics.definition import RANGE, Metric

_SOURCE: Final = Column("source", Type.TEXT, "The source.")
_RULE: Final = Column("rule", Type.TEXT, "A rule that they break; a row that breaks two counts in both.")
_CURRENCY: Final = Column("currency", Type.TEXT, "ISO 4217 code; null where it is not known.", nullable=True)
_AMOUNT: Final = Column("amount", Type.CENTS, "The money that the rows stand for.")

QUARANTINE: Final = (
    Metric(
        name="newly_quarantined",
        meaning="Rows that a night put in quarantine, by the rules that they break; also those that are gone since.",
        unit="rows",
        grain="One row per night, source, rule and currency; in this order.",
        tables=("audit.runs", "audit.quarantine"),
        columns=(
            Column("night", Type.DAY, "The business day that the run was for."),
            _SOURCE,
            _RULE,
            _CURRENCY,
            Column("rows", Type.INTEGER, "Rows put in quarantine."),
            _AMOUNT,
        ),
        sql="""
select
    runs.night,
    quarantine.source,
    broken.rule,
    quarantine.currency,
    count(*) as rows,
    sum(quarantine.amount) as amount
from audit.quarantine
join audit.runs on runs.run_id = quarantine.quarantined_by
cross join unnest(quarantine.rules) as broken (rule)
where runs.night between {first} and {last}
group by runs.night, quarantine.source, broken.rule, quarantine.currency
order by runs.night, quarantine.source, broken.rule, quarantine.currency
""",
        takes=RANGE,
        days=90,
        ages=True,
    ),
    Metric(
        name="in_quarantine",
        meaning="Rows that are in quarantine now, by the rules that they break.",
        unit="rows",
        grain="One row per source, rule and currency; the rule with the most rows first.",
        tables=("audit.quarantine", "audit.expectation_results", "audit.runs"),
        columns=(
            _SOURCE,
            _RULE,
            Column("meaning", Type.TEXT, "What the rule says; null for one that is no more.", nullable=True),
            _CURRENCY,
            Column("rows", Type.INTEGER, "Rows in quarantine."),
            _AMOUNT,
            Column("oldest_at", Type.AT, "Since when the oldest of them is there."),
        ),
        sql="""
with rules as (
    select distinct on (table_name, rule) table_name, rule, meaning
    from audit.expectation_results
    join audit.runs using (run_id)
    order by table_name, rule, started_at desc
)
select
    quarantine.source,
    broken.rule,
    rules.meaning,
    quarantine.currency,
    count(*) as rows,
    sum(quarantine.amount) as amount,
    min(quarantine.quarantined_at) as oldest_at
from audit.quarantine
cross join unnest(quarantine.rules) as broken (rule)
left join rules on rules.table_name = 'source.' || quarantine.source and rules.rule = broken.rule
where quarantine.outcome = 'open'
group by quarantine.source, broken.rule, rules.meaning, quarantine.currency
order by sum(count(*)) over (partition by quarantine.source, broken.rule) desc, source, rule, currency
""",
        takes=frozenset(),
        ages=True,
    ),
)
