"""Code decides; comments, docstrings and layout do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.contract.code import code_of

CODE = '''
"""A module."""

def total(amounts):
    """Add them up."""
    return sum(amounts)
'''


def written(folder: Path, text: str) -> Path:
    file = folder / f"{abs(hash(text))}.py"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("A module.", "Another sentence."),
        ("Add them up.", "Add up all of them."),
        ("    return", "    # a comment\n    return"),
        ("sum(amounts)", "sum(\n        amounts\n    )"),
    ],
)
def test_what_decides_nothing_does_not_count(tmp_path: Path, old: str, new: str) -> None:
    assert code_of(written(tmp_path, CODE.replace(old, new))) == code_of(written(tmp_path, CODE))


@pytest.mark.parametrize(("old", "new"), [("sum(amounts)", "max(amounts)"), ("amounts", "prices")])
def test_other_code_is_another_text(tmp_path: Path, old: str, new: str) -> None:
    assert code_of(written(tmp_path, CODE.replace(old, new))) != code_of(written(tmp_path, CODE))
