"""The datasets of runs that are no night: a replay reads the quarantine, a past night comes back from the lake."""

from __future__ import annotations

import pytest

from include.pipeline import republish
from tests.lineage.events import event_of, names, one
from tests.nights import LAST_DAY, Nights


@pytest.mark.after_a_night
def test_a_replay_checks_the_quarantine_and_a_past_night_is_put_back_from_the_lake(nights: Nights) -> None:
    run_id = nights.begin_replay()
    nights.judge(run_id)
    assert names(event_of(run_id, "validates.orders"), "inputs") == ["quarantine/orders"]
    republish.begin("back", {"night": LAST_DAY.isoformat()})
    republish.publish("back", nights.reporting)
    event = event_of("back", "publish")
    assert "reporting/orders" in names(event, "inputs")
    assert one(event, "outputs", "reporting.orders")["outputFacets"]["outputStatistics"]["rowCount"] == 0
