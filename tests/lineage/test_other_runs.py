"""The datasets of runs that are no night: a replay reads the quarantine, a past night comes back from the lake, …"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from include.ledger import exports
from include.ledger.exports import Asked
from include.pipeline import republish, training_set
from tests.lineage.events import event_of, names, one, origins
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


@pytest.mark.usefixtures("empty_ledger")
def test_an_export_reads_a_published_table() -> None:
    asked = Asked("reporting.daily_sales", None, [], None, "csv", byte_order_mark=False, publication_id=1)
    export = exports.enter("viewer", asked, 3)
    assert export is not None
    event = event_of(export.run_id, "write", dag="exports", export=str(export.export_id))
    assert [name.partition(".")[2] for name in names(event, "inputs")] == ["reporting.daily_sales"]
    assert event["outputs"] == [], "the file is for whoever asked, and expires"
    assert event_of("run", "write", dag="exports", export=str(uuid4()))["inputs"] == []


@pytest.mark.after_a_night
def test_a_set_of_training_rows_is_made_of_features(nights: Nights) -> None:
    form: dict[str, Any] = {
        "name": "churn", "entities_parquet": None, "entities_sql": None, "entities_of": "customer_activity",
        "dates": [LAST_DAY.isoformat()], "timestamp": "timestamp", "features": ["customer_activity"], "labels": [],
        "ttl_days": 7, "known_only": False, "publication": None,
    }  # fmt: skip
    training_set.make("run", form, training_set.check({}, form))
    event = event_of("run", "write", dag="training_set", **form)
    assert names(event, "inputs") == ["features/customer_activity"]
    [made] = event["outputs"]
    assert made["outputFacets"]["outputStatistics"]["rowCount"] > 100
    assert origins(made)["customer_activity__recency_days"] == ["customer_activity.recency_days"]
    assert nights.names
