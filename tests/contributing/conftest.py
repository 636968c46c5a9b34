"""A copy of the project, to change as a contributor does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from include.settings import ROOT

_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".stocktake", ".env", ".*_cache", ".hypothesis")


@dataclass(frozen=True)
class Copy:
    """A copy of the project and its folder."""

    root: Path

    def python(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python in it, without this run's settings; standard error goes where output does."""
        ours = ("STOCKTAKE_", "PYTEST_", "PYTHON")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root, env=environment | variables, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def done(self, *arguments: str, **variables: str) -> str:
        """The same, which must succeed; gives what it printed."""
        ran = self.python(*arguments, **variables)
        assert ran.returncode == 0, ran.stdout
        return ran.stdout.strip()

    def failing(self, *arguments: str) -> set[str]:
        """The tests that fail, of those that some arguments of pytest select; some must be selected."""
        ran = self.python("-m", "pytest", "-rfE", "--tb=short", *arguments)
        assert ran.returncode in (0, 1), ran.stdout
        return set(re.findall(r"^(?:FAILED|ERROR) (\S+)", ran.stdout, re.MULTILINE))

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that a file has once; without an old text the file is new."""
        file = self.root / path
        text = file.read_text() if old else ""
        assert text.count(old) == 1 or not old, f"{path} has {text.count(old)} times: {old}"
        file.write_text(text.replace(old, new) if old else new)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A copy in which everything is committed."""
    root = tmp_path / "stocktake"
    shutil.copytree(ROOT, root, ignore=_LEFT_OUT)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=As it was"]):
        subprocess.run([*git, *command], cwd=root, check=True)
    return Copy(root)
