"""The summary of a night as text."""

from __future__ import annotations

from datetime import date

import pytest

from include.ledger import expectations, runs
from include.ledger.expectations import Outcome
from include.ledger.runs import Run
from include.ledger.summary import summary
from include.sources import SOURCES

pytestmark = pytest.mark.usefixtures("empty_ledger")


def _outcome(source: str, rule: str, broken: int, *examples: str) -> Outcome:
    found = next(one for one in SOURCES[source].all_rules if one.name == rule)
    return Outcome(found, 1000, broken, examples)


def test_rules_that_warn_are_said_where_the_night_ends() -> None:
    runs.open_run(Run("a night", date(2026, 3, 1), date(2026, 3, 1)))
    outcomes = [_outcome("orders", "customer_exists", 41, "A/7", "A/9"), _outcome("orders", "status_known", 2, "A/1")]
    expectations.record_outcomes("a night", "source.orders", [*outcomes, _outcome("orders", "channel_known", 0)])
    said = summary("a night")
    assert "Warnings, of rows that were checked and are published\n" in said
    assert "  orders, customer_exists: 41 rows, such as A/7. customer_id is a row of customers.\n" in said
    assert "status_known" not in said  # which quarantines: it is counted above
    assert "channel_known" not in said


def test_a_night_without_warnings_says_nothing_of_them() -> None:
    runs.open_run(Run("a night", date(2026, 3, 1), date(2026, 3, 1)))
    assert "Warnings" not in summary("a night")
