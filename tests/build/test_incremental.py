"""From which build a table may go on: one of the same code, numbers and time zone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.build import definition
from include.settings import ROOT, settings

pytestmark = pytest.mark.usefixtures("own_lake")


@pytest.fixture(autouse=True)
def _own_definition() -> Iterator[None]:
    yield
    definition.definition.cache_clear()


def _definition() -> str:
    settings.cache_clear()
    definition.definition.cache_clear()
    return definition.definition()


@pytest.mark.parametrize(
    "file",
    [
        "transforms/reporting/orders.py",
        "transforms/engines/pandas_engine.py",
        "include/contract/rules.py",
        "include/sources/orders.py",
        "include/build/incremental.py",
    ],
)
def test_other_code_is_another_definition(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("transforms", "include"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.setattr(definition, "ROOT", tmp_path)
    before = _definition()
    assert _definition() == before
    with (tmp_path / file).open("a") as code:
        code.write("# One line more.\n")
    assert _definition() != before


@pytest.mark.parametrize(
    ("variable", "value"), [("STOCKTAKE_TIMEZONE", "Europe/Berlin"), ("STOCKTAKE_ACTIVE_DAYS", "30")]
)
def test_other_numbers_are_another_definition(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _definition()
    monkeypatch.setenv(variable, value)
    assert _definition() != before
