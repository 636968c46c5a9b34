"""Rule results in the ledger: how many rows of a table broke each rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row

from include.contract import Rule
from include.ledger.connection import connect


@dataclass(frozen=True)
class Outcome:
    """How many rows of a table broke one rule.

    Attributes:
        rule: the rule.
        evaluated: rows that were checked.
        broken: rows that broke it.
        examples: keys of the first of them.
    """

    rule: Rule
    evaluated: int
    broken: int
    examples: Sequence[str] = ()


def outcomes_of(run_id: str, table: str) -> list[dict[str, Any]]:
    """A table's result for each of its rules in a run: rule, meaning, severity, evaluated, broken, examples."""
    return outcomes_by_table(run_id, [table])[table]


def outcomes_by_table(run_id: str, tables: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The same of several tables, by the table."""
    found: dict[str, list[dict[str, Any]]] = {table: [] for table in tables}
    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select table_name, rule, meaning, severity, evaluated, broken, examples from audit.expectation_results
            where run_id = %s and table_name = any(%s) order by rule
            """,
            [run_id, list(found)],
        ).fetchall()
    for row in rows:
        found[row.pop("table_name")].append(row)
    return found


def record_outcomes(run_id: str, table: str, outcomes: Iterable[Outcome]) -> None:
    """Record a table's result for each of its rules, replacing what an earlier attempt recorded."""
    rows: list[tuple[Any, ...]] = [
        (run_id, table, o.rule.name, o.rule.meaning, o.rule.severity, o.evaluated, o.broken, list(o.examples))
        for o in outcomes
    ]
    with connect() as connection:
        connection.cursor().executemany(
            """
            insert into audit.expectation_results
                (run_id, table_name, rule, meaning, severity, evaluated, broken, examples)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (run_id, table_name, rule) do update set
                meaning = excluded.meaning, severity = excluded.severity, evaluated = excluded.evaluated,
                broken = excluded.broken, examples = excluded.examples
            """,
            rows,
        )
