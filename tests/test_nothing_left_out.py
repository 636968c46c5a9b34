"""What a change may not leave out: a balance, a planted defect, a line of README; each check is shown what to find."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import pytest

from include.audit.not_reconciled import NOT_RECONCILED
from include.audit.reconciliation import balances
from include.contract import Source
from include.contract.rules import between
from include.contributing.scaffold import unfilled
from include.demo_shop.defects import DEFECTS
from include.settings import ROOT
from include.sources import SOURCES
from tests.gate.defects import CAUGHT_BY, NOT_PLANTED, WARNED_BY
from transforms.registry import TABLES

README = (ROOT / "README.md").read_text()
RESTATEMENTS = (ROOT / "transforms" / "restatements.md").read_text()
REPORTING = {name for name, one in TABLES.items() if one.table.schema == "reporting"}
RECONCILED = {
    read.partition(".")[2] for one in balances(SOURCES) for read in one.needs if read.startswith("reporting.")
}
BROKEN = {f"{DEFECTS[name].source}.{rule}" for name, rules in CAUGHT_BY.items() for rule in rules} | {
    f"{DEFECTS[name].source}.{rule}" for name, rule in WARNED_BY.items()
}


def undecided(tables: Collection[str], reconciled: Collection[str], exempt: Mapping[str, str]) -> set[str]:
    """Reporting tables that neither a balance reads nor a reason excuses; and reasons that excuse nothing."""
    found = {f"{name}: no balance reads it, and NOT_RECONCILED does not say why" for name in tables}
    found -= {f"{name}: no balance reads it, and NOT_RECONCILED does not say why" for name in {*reconciled, *exempt}}
    found |= {f"{name}: a balance reads it, yet NOT_RECONCILED names it" for name in {*reconciled} & {*exempt}}
    found |= {f"{name}: NOT_RECONCILED names it, and there is no such table" for name in {*exempt} - {*tables}}
    return found | {f"{name}: NOT_RECONCILED gives no reason" for name, reason in exempt.items() if len(reason) < 20}


def never_broken(sources: Iterable[Source], broken: Collection[str], exempt: Mapping[str, str]) -> set[str]:
    """Rules of sources that no planted defect breaks and no reason excuses; and reasons that excuse nothing."""
    rules = {f"{one.name}.{rule.name}" for one in sources for rule in one.rules}
    rules |= {f"{one.name}.{one.whole.rule}" for one in sources if one.whole}
    found = {f"{rule}: no defect breaks it, and NOT_PLANTED does not say why" for rule in rules - {*broken, *exempt}}
    found |= {f"{rule}: a defect breaks it, yet NOT_PLANTED names it" for rule in {*broken} & {*exempt}}
    return found | {f"{rule}: NOT_PLANTED names it, and there is no such rule" for rule in {*exempt} - rules}


def strangers(text: str) -> set[str]:
    """Tables that a page names and that are not there: ``reporting.x``, ``features.x``, or a name in backticks."""
    known = {one.table.qualified_name for one in TABLES.values()} | {"reporting.data_status"}
    found = set(re.findall(r"\b(?:reporting|features)\.[a-z]\w*", text)) - known
    words = {*TABLES, *SOURCES, *(file.stem for file in (ROOT / "dags").glob("*.py"))}
    words |= {rule.name for one in SOURCES.values() for rule in one.rules} | {"to_sql"}
    return found | {name for name in re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)`", text) if name not in words}


def lasting(text: str) -> set[str]:
    """The tables of which a page of restatements says whether their past may change: in its last list."""
    lines = text.partition("| may the past change? |")[2].splitlines()
    return {name for line in lines if line.startswith("| ") for name in re.findall(r"`(\w+)`", line.split("|")[1])}


def counted(text: str) -> set[str]:
    """How many defects a page says that the demo shop knows."""
    return set(re.findall(r"each of the (\d+) defects", text))


def listed(text: str) -> set[str]:
    """The tables in README's first list of what a night published."""
    block = text.split("published table ", 1)[1].split("\n\n")[0]
    return set(re.findall(r"^(\w+\.\w+) ", block, re.MULTILINE))


def test_every_reporting_table_is_reconciled_or_says_why_not() -> None:
    tables = REPORTING - unfilled(REPORTING)
    assert RECONCILED
    assert undecided(tables, RECONCILED, NOT_RECONCILED) == set()
    assert undecided({*tables, "moods"}, RECONCILED, NOT_RECONCILED) == {
        "moods: no balance reads it, and NOT_RECONCILED does not say why"
    }
    assert undecided(tables, RECONCILED, {**NOT_RECONCILED, "orders": "It is not worth the while."}) == {
        "orders: a balance reads it, yet NOT_RECONCILED names it"
    }
    assert undecided(tables, RECONCILED, {**NOT_RECONCILED, "moods": "Nobody can add up moods."}) == {
        "moods: NOT_RECONCILED names it, and there is no such table"
    }
    assert undecided(tables, RECONCILED, {**NOT_RECONCILED, "customers": ""}) == {
        "customers: NOT_RECONCILED gives no reason"
    }


def test_every_rule_of_a_source_has_a_defect_or_says_why_not() -> None:
    assert BROKEN
    assert never_broken(SOURCES.values(), BROKEN, NOT_PLANTED) == set()
    small = between("quantity", "quantity_small", "A line has at most ten units.", most=10)
    stricter = replace(SOURCES["order_items"], rules=(*SOURCES["order_items"].rules, small))
    assert never_broken([*SOURCES.values(), stricter], BROKEN, NOT_PLANTED) == {
        "order_items.quantity_small: no defect breaks it, and NOT_PLANTED does not say why"
    }
    assert never_broken(SOURCES.values(), BROKEN - {"orders.tax_at_rate"}, NOT_PLANTED) == {
        "orders.tax_at_rate: no defect breaks it, and NOT_PLANTED does not say why"
    }
    assert never_broken(SOURCES.values(), BROKEN, {**NOT_PLANTED, "orders.tax_at_rate": "-", "orders.mood": "-"}) == {
        "orders.tax_at_rate: a defect breaks it, yet NOT_PLANTED names it",
        "orders.mood: NOT_PLANTED names it, and there is no such rule",
    }


def test_readme_names_no_table_that_there_is_not() -> None:
    assert strangers(README) == set()
    planted = README.replace("reporting.stockouts", "reporting.empty_shelves").replace(
        "`customer_rfm`", "`customer_mood`"
    )
    assert strangers(planted) == {"reporting.empty_shelves", "customer_mood"}


def test_readme_lists_every_table_that_a_night_publishes() -> None:
    tables = {one.table.qualified_name for name, one in TABLES.items() if name not in unfilled(TABLES)}
    assert listed(README) == tables, "README lists what `make nightly` printed: run it, and put its lines there"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_readme_does_not_list_would_be_found(name: str) -> None:
    line = rf"^{TABLES[name].table.qualified_name} .*\n"
    assert TABLES[name].table.qualified_name not in listed(re.sub(line, "", README, flags=re.MULTILINE))


def test_every_reporting_table_says_which_of_its_rows_may_change() -> None:
    assert REPORTING - unfilled(REPORTING) - lasting(RESTATEMENTS) == set()
    assert lasting(RESTATEMENTS.replace("`incoming_stock`, ", "")) == lasting(RESTATEMENTS) - {"incoming_stock"}


def test_readme_counts_the_defects() -> None:
    assert counted(README) == {f"{len(DEFECTS)}"}
    assert counted("Plant each of the 7 defects") == {"7"}
