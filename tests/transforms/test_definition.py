"""Which code decides the rows of which table: an edit makes just those tables be built in full."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from include.settings import ROOT

Digests = dict[str, str]
_SAY = "import json; from transforms.registry import TABLES; print(json.dumps({n: t.code for n, t in TABLES.items()}))"


@pytest.fixture
def digests(tmp_path: Path) -> Callable[..., Digests]:
    """The digests of all tables, by the code of a copy of the project."""
    for folder in ("transforms", "include"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))

    def say(**variables: str) -> Digests:
        done = subprocess.run(
            [sys.executable, "-c", _SAY], cwd=tmp_path, capture_output=True, text=True, check=True,
            env={**os.environ, **variables},
        )  # fmt: skip
        told: Digests = json.loads(done.stdout)
        return told

    return say


def _changed(before: Digests, after: Digests) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_an_edit_is_another_definition_of_the_tables_that_it_decides(
    digests: Callable[..., Digests], tmp_path: Path
) -> None:
    before = digests()
    assert digests() == before

    def edit(file: str, text: str = "\n_ODD = 1\n") -> set[str]:
        path = tmp_path / file
        kept = path.read_text()
        path.write_text(kept + text)
        changed = _changed(before, digests())
        path.write_text(kept)
        return changed

    assert edit("transforms/reporting/orders.py", "\n# A remark.\n") == set()
    assert edit("transforms/reporting/orders.py") == {"orders"}
    shelves = {
        *("inventory_daily", "inventory_health", "inventory_risk", "stockouts", "product_demand", "demand_labels"),
        *("incoming_stock", "component_demand_daily"),
    }
    by_demand = edit("transforms/demand.py")
    assert by_demand
    assert by_demand <= shelves
    for file in ("transforms/engines/pandas_engine.py", "transforms/build.py", "include/contract/table.py"):
        assert edit(file) == before.keys(), file


def test_a_number_of_the_shop_is_part_of_every_definition(digests: Callable[..., Digests]) -> None:
    assert _changed(digests(), digests(STOCKTAKE_ACTIVE_DAYS="30"))
