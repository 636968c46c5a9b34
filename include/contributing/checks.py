"""``make check``: format, lint, types, stale pages and the tests of what changed, all findings at once.

What changed is what git says: against the last commit, and files that git does not know yet. ``affected_tests`` says
which tests that asks for, by room. What starts servers for minutes is never run here; ``make test`` runs it, or ``make
test-long``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from include.settings import ROOT
from transforms.registry import TABLES

# These follow from no file: what they check may be broken by any. The pages have a step of their own.
ALWAYS: Final = ("tests/house", "tests/test_nothing_left_out.py")
PAGES: Final = "tests/test_generated_docs.py"
# Whole nights on servers, kills, histories and measurements; and the recipes, each in a copy of the project.
NEVER: Final = (
    "tests/end_to_end", "tests/deployments", "tests/faults", "tests/kills", "tests/histories", "tests/bench",
    "tests/contributing/test_recipes.py",
)  # fmt: skip
# Where a file's tests are not those of its room.
_ELSEWHERE: Final[Mapping[str, tuple[str, ...]]] = {
    "include/settings/": ("tests/test_settings.py", "tests/test_compose.py"),
    "include/sources/": ("tests/contract",),
    "include/demo_shop/defects/": ("tests/demo_shop/test_defects.py",),
    "transforms/registry.py": ("tests/transforms/test_registry.py",),
    "transforms/engines/": ("tests/transforms/test_arithmetic.py", "tests/transforms/test_build.py"),
    "dags/": ("tests/dags",),
    "plugins/": ("tests/ledger",),
    "docker-compose.yaml": ("tests/test_compose.py",),
    ".env.example": ("tests/test_settings.py", "tests/test_compose.py"),
}


@dataclass(frozen=True)
class Done:
    """What came of one step.

    Attributes:
        name: what was checked.
        passed: whether nothing was found.
        seconds: how long it took.
        said: what it printed.
    """

    name: str
    passed: bool
    seconds: float
    said: str


def steps(tests: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What is checked, by name: a Python module and its arguments. The longest begin."""
    return {
        "types": ("mypy",),
        "tests": ("pytest", "-m", "not long", *tests),
        "pages": ("pytest", PAGES),
        "lint": ("ruff", "check"),
        "format": ("ruff", "format", "--check"),
    }


def run(asked: Mapping[str, Sequence[str]], say: Callable[[str], None]) -> int:
    """Run every step, two at a time, and show what each found.

    Args:
        asked: the steps.
        say: prints a line.

    Returns:
        The exit code: 0 when nothing was found.
    """
    started = perf_counter()
    found: list[Done] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for step in as_completed([pool.submit(_step, name, command) for name, command in asked.items()]):
            done = step.result()
            found.append(done)
            say(f"{'ok' if done.passed else 'FAILED':6}  {done.name:8}{done.seconds:6.1f} s")
    failed = [done for done in found if not done.passed]
    for done in failed:
        say(f"\n--- {done.name}\n{done.said.strip()}")
    outcome = f"failed: {', '.join(done.name for done in failed)}" if failed else "all passed"
    say(f"\n{len(found)} steps in {perf_counter() - started:.0f} s, {outcome}")
    return int(bool(failed))


def _step(name: str, command: Sequence[str]) -> Done:
    started = perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return Done(name, done.returncode == 0, perf_counter() - started, done.stdout)


def changed() -> list[str]:
    """The files that differ from the last commit, new and deleted ones too, by their path below the root."""
    listed = subprocess.run(
        ["git", "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return sorted(entry[3:] for entry in listed.split("\0") if entry)


def affected_tests(files: Iterable[str]) -> list[str]:
    """The test files and folders that some changed files ask for, and those that any change does.

    - ``include/<room>/…`` asks for ``tests/<room>``, a test file for itself, and what tests share for their folder;
    - ``transforms/<layer>/<table>.py`` asks for the table's test and for those of all tables made from it;
    - ``transforms/<module>.py`` asks for its test and for those of the tables that import it.
    """
    asked = {test for file in files for test in _asked(file) if (ROOT / test).exists()}
    whole = {test for test in asked if not test.endswith(".py")}
    single = {test for test in asked - whole if not any(test.startswith(f"{folder}/") for folder in whole)}
    return [*ALWAYS, *sorted(test for test in whole | single if not test.startswith((*NEVER, PAGES, *ALWAYS)))]


def _asked(file: str) -> Iterable[str]:
    if file.endswith(".md"):
        return []
    elsewhere = [tests for prefix, tests in _ELSEWHERE.items() if file.startswith(prefix)]
    if elsewhere:
        return [test for tests in elsewhere for test in tests]
    if match := re.fullmatch(r"tests/(?:\w+/)*test_\w+\.py", file):
        return [match[0]]
    if match := re.fullmatch(r"(tests/\w+)/.+", file):
        return [match[1]]
    if match := re.fullmatch(r"include/(\w+)/.+", file):
        return [f"tests/{match[1]}"]
    if match := re.fullmatch(r"transforms/(?:\w+/)?(\w+)\.py", file):
        return [f"tests/transforms/test_{name}.py" for name in _with_what_follows(match[1])]
    return []


def _with_what_follows(module: str) -> set[str]:
    """A module of ``transforms`` by its last name, the tables that import it, and all that are made from those."""
    found = {module} | {
        name for name, text in _texts().items() if re.search(rf"^from transforms\.{module} ", text, re.M)
    }
    while more := {
        name
        for name, one in TABLES.items()
        if name not in found and any(entry.is_published and entry.name in found for entry in one.inputs)
    }:
        found |= more
    return found


def _texts() -> dict[str, str]:
    return {name: Path(ROOT, "transforms", one.table.schema, f"{name}.py").read_text() for name, one in TABLES.items()}
