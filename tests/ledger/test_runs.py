"""What a run is called where its id cannot stand."""

from __future__ import annotations

from itertools import combinations

import pytest

from include.ledger.runs import slug


@pytest.mark.parametrize(
    ("one", "other"), [*combinations(["x.1", "x-1", "x:1", "x~1", "x~2e~1", "x_1", "x/1", "x\u00f61", "x1", "x 1"], 2)]
)
def test_no_two_runs_share_a_folder(one: str, other: str) -> None:
    assert slug(one) != slug(other)


def test_it_is_a_name_that_any_file_system_and_delta_take_as_it_is() -> None:
    assert slug("manual__2026-11-21T03:00:00+00:00__aB_-") == "manual__2026-11-21T03~3a~00~3a~00~2b~00~3a~00__aB_-"


def test_a_long_name_is_one_that_a_file_system_takes() -> None:
    one, other = "é" * 250, "é" * 249 + "e"
    assert slug(one) != slug(other)
    assert max(len(slug(one)), len(slug(other))) < 200
