"""The Great Expectations suite of a table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from include.contract.rules import Condition, Rule, Severity
from include.contract.table import Table


@contextmanager
def _without_spark() -> Iterator[None]:
    """Hide Spark from an import.

    Great Expectations imports every backend it finds, and pyspark 4.3's Connect ends a ``python -m`` process that does
    so ("Skipping doctests"). The gate checks pandas frames.
    """
    there = sys.modules.get("pyspark")
    sys.modules["pyspark"] = None  # type: ignore[assignment] # what makes an import fail
    try:
        yield
    finally:
        del sys.modules["pyspark"]
        if there:
            sys.modules["pyspark"] = there


with _without_spark():
    from great_expectations import ExpectationSuite
    from great_expectations import expectations as library
    from great_expectations.expectations.row_conditions import Column as RowColumn

# Great Expectations has its own three words; ours say what happens to the row.
_SEVERITY = {Severity.STOP: "critical", Severity.QUARANTINE: "warning", Severity.WARN: "info"}


def suite(table: Table) -> ExpectationSuite:
    """One expectation per rule of the table; ``meta`` carries the rule's name, since results come back unordered."""
    return ExpectationSuite(name=table.qualified_name, expectations=[_expectation(rule) for rule in table.all_rules])


def _expectation(rule: Rule) -> Any:
    condition = {"row_condition": _row_condition(rule.when)} if rule.when else {}
    return getattr(library, rule.expectation)(
        **rule.arguments, **condition, severity=_SEVERITY[rule.severity], meta={"rule": rule.name}, notes=rule.meaning
    )


def _row_condition(condition: Condition) -> Any:
    column = RowColumn(condition.column)
    if condition.equals is None:
        return column.is_not_null()
    # Without the second half pandas would count a null as "not equal"; SQL does not.
    return (column != condition.equals) & column.is_not_null() if condition.negated else column == condition.equals
