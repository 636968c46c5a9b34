"""``make check``: which tests a change asks for, and that everything that is wrong is shown at once."""

from __future__ import annotations

import re

import pytest
import yaml

from include.contributing.checks import ALWAYS, NEVER, affected_tests, steps
from include.settings import ROOT
from tests.contributing.conftest import Copy


@pytest.mark.parametrize(
    ("file", "asked"),
    [
        ("include/lake/merge.py", {"tests/lake"}),
        ("include/audit/sales.py", {"tests/audit"}),
        ("include/sources/orders.py", {"tests/contract"}),
        ("include/sources/demo_shop/orders.sql", {"tests/contract"}),
        ("include/settings/lake.py", {"tests/test_settings.py", "tests/test_compose.py"}),
        ("transforms/reporting/product_abc_xyz.py", {"tests/transforms/test_product_abc_xyz.py"}),
        (
            "transforms/reporting/customers.py",
            {f"tests/transforms/test_{name}.py" for name in ("customers", "customer_rfm", "customer_activity")},
        ),
        (
            "transforms/demand.py",
            {
                f"tests/transforms/test_{name}.py"
                for name in (
                    "component_demand_daily",
                    "stockouts",
                    "inventory_health",
                    "inventory_risk",
                    "product_demand",
                    "demand_labels",
                )
            },
        ),
        ("dags/nightly.py", {"tests/dags"}),
        ("tests/lake/test_tables.py", {"tests/lake/test_tables.py"}),
        ("tests/transforms/shelves.py", {"tests/transforms"}),
        ("tests/end_to_end/test_nightly.py", set()),
        ("tests/bench/jobs.py", set()),
        ("tests/house/test_layout.py", set()),
        ("include/gone/long.py", set()),
        ("README.md", set()),
        ("include/sources/README.md", set()),
    ],
)
def test_a_change_asks_for_the_tests_of_its_room(file: str, asked: set[str]) -> None:
    assert affected_tests([file]) == [*ALWAYS, *sorted(asked)]


def test_a_folder_holds_its_files_once() -> None:
    both = affected_tests(["include/lake/merge.py", "tests/lake/test_tables.py"])
    assert both == [*ALWAYS, "tests/lake"]
    assert not [test for test in both if test.startswith(NEVER)]


WRONG = '''\
"""Sums."""

import os

def test_sum( ) -> None:
    assert 1 + 1 == 3
'''


def test_the_check_is_of_format_lint_types_pages_and_tests() -> None:
    assert set(steps(["tests/lake"])) == {"format", "lint", "types", "pages", "tests"}
    assert steps(["tests/lake"])["tests"] == ("pytest", "-m", "not long", "tests/lake")


def test_everything_that_is_wrong_is_shown_at_once(copy: Copy) -> None:
    """All steps but the types, which take a minute in a copy and are a step like the others."""
    copy.edit("transforms/reporting/stockouts.py", '"Business days in the episode so far."', '"Days of it."')
    copy.edit("tests/test_sums.py", "", WRONG)
    program = """
from include.contributing.checks import changed, run, steps, affected_tests
asked = steps([test for test in affected_tests(changed()) if "sums" in test])
del asked["types"]
print(*changed())
raise SystemExit(run(asked, print))
"""
    ran = copy.python("-c", program)
    assert ran.returncode == 1, ran.stdout
    assert ran.stdout.splitlines()[0] == "tests/test_sums.py transforms/reporting/stockouts.py"
    for step in ("tests", "pages", "lint", "format"):
        assert f"FAILED  {step}" in ran.stdout
        assert f"\n--- {step}\n" in ran.stdout
    for said in ("assert (1 + 1) == 3", "+| `days` | bigint | Days of it. |", "F401", "tests/test_sums.py"):
        assert said in ran.stdout
    assert ran.stdout.strip().splitlines()[-1].startswith("4 steps in ")


def test_the_hooks_are_local_and_run_what_there_is() -> None:
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in repos] == ["local"]
    hooks = {hook["id"]: hook for repo in repos for hook in repo["hooks"]}
    assert set(hooks) == {"format", "lint", "check"}
    assert {hook["language"] for hook in hooks.values()} == {"system"}
    assert {hook["entry"].split()[0] for hook in hooks.values()} == {".venv/bin/ruff", "make"}
    assert re.search(r"^check:", (ROOT / "Makefile").read_text(), re.MULTILINE)
