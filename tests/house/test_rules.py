"""Every house rule is kept, and each is shown violations that it must find."""

from __future__ import annotations

import pytest

from tests.house import test_imports, test_layout, test_writers
from tests.house.reading import Check, Planted, Rules, read_files, violations

RULES: Rules = {**test_imports.RULES, **test_writers.RULES, **test_layout.RULES}
FILES = read_files()


@pytest.mark.parametrize("check", [check for check, _ in RULES.values()], ids=RULES)
def test_the_rule_is_kept(check: Check) -> None:
    assert check(FILES) == set()


@pytest.mark.parametrize(("check", "planted"), violations(RULES).values(), ids=violations(RULES))
def test_a_violation_would_be_found(check: Check, planted: Planted) -> None:
    path, text, finding = planted
    found = check({**FILES, path: text})
    assert any(finding in one for one in found), found
