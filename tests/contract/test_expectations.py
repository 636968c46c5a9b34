"""A suite holds one expectation per rule, and each says which and how grave."""

from __future__ import annotations

from typing import Any

import pytest

from include.contract import Severity, Table
from include.contract.expectations import suite
from include.sources import SOURCES
from transforms.registry import TABLES

EVERY = {table.qualified_name: table for table in (*SOURCES.values(), *(one.table for one in TABLES.values()))}
GRAVITY = {Severity.STOP: "critical", Severity.QUARANTINE: "warning", Severity.WARN: "info"}


def test_there_are_tables_to_ask() -> None:
    assert len(EVERY) == len(SOURCES) + len(TABLES) > len(SOURCES) > 0


def expectations(table: Table) -> dict[str, Any]:
    """Its expectations, by the name of the rule that each stands for."""
    return {(one.meta or {})["rule"]: one for one in suite(table).expectations}


@pytest.mark.parametrize("table", EVERY.values(), ids=EVERY)
def test_one_expectation_per_rule(table: Table) -> None:
    found = expectations(table)
    assert len(suite(table).expectations) == len(found)
    assert {name: (type(one).__name__, one.severity, one.notes) for name, one in found.items()} == {
        rule.name: (rule.expectation, GRAVITY[rule.severity], rule.meaning) for rule in table.all_rules
    }


@pytest.mark.parametrize("table", EVERY.values(), ids=EVERY)
def test_a_rule_speaks_of_some_rows_exactly_when_it_says_so(table: Table) -> None:
    assert {name for name, one in expectations(table).items() if one.row_condition is not None} == {
        rule.name for rule in table.all_rules if rule.when
    }


def test_every_severity_has_its_word() -> None:
    assert set(GRAVITY) == set(Severity)
