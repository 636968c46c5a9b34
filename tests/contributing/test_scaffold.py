"""``make table``: what it writes passes as it is, in a copy of the project; what cannot be a table is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.contributing.scaffold import Refused, registered, write
from include.settings import ROOT
from tests.contributing.conftest import Copy
from transforms.registry import TABLES


def mypy(copy: Copy) -> list[str]:
    """The type checker in a copy; it begins with what it has found here, which saves minutes and changes nothing."""
    cache = copy.root / ".mypy_cache"
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", cache, dirs_exist_ok=True)
    return ["-m", "mypy", "--cache-dir", str(cache)]


@pytest.mark.parametrize("layer", ["reporting", "features"])
@pytest.mark.long
def test_a_skeleton_passes_as_it_is(copy: Copy, layer: str) -> None:
    said = copy.done("-m", "include.contributing", "table", "refunds_by_weekday", layer)
    file, test = f"transforms/{layer}/refunds_by_weekday.py", "tests/transforms/test_refunds_by_weekday.py"
    assert said.startswith(f"Written: {file}, {test}, ")
    copy.done("-m", "ruff", "check")
    copy.done("-m", "ruff", "format", "--check")
    copy.done(*mypy(copy), file, test, "transforms/registry.py")
    checked = (
        test,
        "tests/test_nothing_left_out.py",
        "tests/transforms/test_registry.py",
        "tests/house",
        "tests/test_generated_docs.py",
        "-k=not violation",  # no table changes what they find
    )
    assert copy.failing(*checked) == set()
    assert f"`{layer}.refunds_by_weekday`" in (copy.root / "transforms" / "README.md").read_text()
    copy.edit(file, "To be filled in:", "Filled in:")
    expected = {"tests/test_nothing_left_out.py::test_readme_lists_every_table_that_a_night_publishes"}
    if layer == "reporting":
        expected.add("tests/test_nothing_left_out.py::test_every_reporting_table_is_reconciled_or_says_why_not")
        expected.add("tests/test_nothing_left_out.py::test_every_reporting_table_says_which_of_its_rows_may_change")
    assert copy.failing("tests/test_nothing_left_out.py") == expected


def modules() -> set[Path]:
    """The files that a skeleton might be among."""
    return {file for folder in ("transforms", "tests") for file in (ROOT / folder).rglob("*.py")}


@pytest.mark.parametrize(
    ("name", "layer", "said"),
    [
        ("refunds_daily2", "raw", "There is no layer 'raw': LAYER is one of reporting, features."),
        ("", "reporting", "A table cannot be called '': a name is lower-case words joined by _"),
        ("Refunds", "reporting", "A table cannot be called 'Refunds'"),
        ("../refunds", "reporting", "A table cannot be called '../refunds'"),
        ("refunds-daily", "reporting", "A table cannot be called 'refunds-daily'"),
        ("r" * 51, "reporting", "of at most 50 characters"),
        ("class", "reporting", "A table cannot be called 'class': a build could not name it as a parameter."),
        ("calendar", "reporting", "a build could not name it as a parameter"),
        ("reporting_refunds", "features", "a build could not name it as a parameter"),
        ("daily_sales", "features", "There is a table reporting.daily_sales already."),
        ("refunds", "reporting", "'refunds' is a source: a table of that name would be taken for it in every build."),
        ("build", "reporting", "tests/transforms/test_build.py is there already, and tests something else."),
    ],
)
def test_what_cannot_be_a_table_is_refused(name: str, layer: str, said: str) -> None:
    before = modules()
    with pytest.raises(Refused) as refused:
        write(name, layer)
    assert said in str(refused.value)
    assert modules() == before


def test_a_table_is_the_last_of_its_layer() -> None:
    text = (ROOT / "transforms" / "registry.py").read_text()
    lines = registered(registered(text, "moods", "reporting"), "tempers", "features").splitlines()
    new = lines.index('    "reporting.moods",')
    assert lines[new + 1].startswith('    "features.')
    assert lines[lines.index('    "features.tempers",') + 1] == ")"
    assert len(lines) == len(text.splitlines()) + 2
    assert len(TABLES) > 1
