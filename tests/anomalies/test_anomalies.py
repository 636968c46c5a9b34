"""Anomalies on days that the limits were not chosen on: quiet nights are quiet, incidents found the first night."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.local.embedded_postgres import Cluster
from tests.anomalies.incidents import IN_DEMO_SHOP, IN_REAL_PURCHASES
from tests.anomalies.report import PARTS, Outcome, measured

REPORTED = [part for part in PARTS if part.reported]


def test_forty_incidents_of_many_kinds_are_planted_where_nothing_was_chosen() -> None:
    planted = [incident for part in REPORTED for incident in part.incidents]
    assert planted == [*IN_DEMO_SHOP, *IN_REAL_PURCHASES]
    assert len(planted) == 40
    assert len({incident.name for incident in planted}) >= 30
    chosen = [part for part in PARTS if not part.reported]
    assert not [
        (part.shop, other.shop)
        for part in REPORTED
        for other in chosen
        if part.shop == other.shop and part.first <= other.last and other.first <= part.last
    ]


@pytest.mark.long
def test_incidents_are_found_the_first_night_and_quiet_nights_are_quiet(cluster: Cluster, tmp_path: Path) -> None:
    outcomes = [measured(part, tmp_path, lambda: cluster) for part in REPORTED]
    said = "".join(one.page() for one in outcomes)
    assert all(len(one.quiet) > 150 for one in outcomes), said
    assert max(one.per_fortnight for one in outcomes) <= 1, said
    assert sum(one.found for one in outcomes) >= 36, said
    assert Outcome.summary(outcomes).startswith(f"{sum(one.found for one in outcomes)} of 40 incidents")
