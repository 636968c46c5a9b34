"""What the form of the DAG may ask for, and what is refused before anything is read."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include import training
from include.pipeline import training_set
from include.settings import settings
from tests.training.conftest import Warehouse
from tests.training.test_training_set import DAY, at, frequency, morning_after, pairs

EMPTY: dict[str, Any] = {
    "name": None,
    "entities_parquet": None,
    "entities_sql": None,
    "entities_of": None,
    "dates": [],
    "timestamp": "timestamp",
    "features": ["customer_activity"],
    "labels": [],
    "ttl_days": 7,
    "known_only": True,
    "publication": None,
}
OF: dict[str, Any] = {"entities_of": "customer_activity", "dates": [DAY.isoformat()]}


def test_a_form_gives_the_same_file_again_when_it_names_the_publication(warehouse: Warehouse, tmp_path: Path) -> None:
    first = warehouse.publish("customer_activity", DAY, [frequency(1, 1), frequency(2, 2)], morning_after(DAY))
    asked = EMPTY | OF | {"known_only": False, "name": "churn"}
    publication = training_set.check(asked, asked)
    assert publication == first
    note = Path(training_set.make("manual__1", asked, publication))
    assert note == Path(settings().lake) / "training_sets" / "churn.json"
    made = note.with_suffix(".parquet").read_bytes()

    warehouse.publish("customer_activity", DAY, [frequency(1, 5)], at(DAY, 60))
    again = asked | {"name": None, "publication": json.loads(note.read_text())["publication"]}
    note = Path(training_set.make("manual__2+00:00", again, training_set.check(again, again)))
    assert note.name == "manual__2~2b~00~3a~00.json"
    assert note.with_suffix(".parquet").read_bytes() == made

    pq.write_table(pairs((2, at(DAY, 61))), tmp_path / "pairs.parquet")
    file = EMPTY | {"entities_parquet": str(tmp_path / "pairs.parquet"), "features": ["customer_activity.frequency"]}
    table = pq.read_table(Path(training_set.make("file", file, training_set.check(file, file))).with_suffix(".parquet"))
    assert table["customer_activity__frequency"].to_pylist() == [None]
    assert table["customer_id"].type == pa.int64()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"feature": []}, "unknown parameter feature; there are name, entities_parquet"),
        ({}, "say where the entities are in one of .*; 0 are given"),
        ({**OF, "entities_sql": "select 1"}, "; 2 are given"),
        ({"entities_sql": "select 1", "dates": ["2026-03-10"]}, "dates go with entities_of"),
        ({"entities_of": "customer_activity"}, "dates go with entities_of"),
        ({**OF, "dates": ["10.3.2026"]}, "dates are written 2026-11-21"),
        ({**OF, "entities_of": "customers"}, "no feature set is called 'customers'"),
        ({**OF, "features": ["moods"]}, "no feature set is called 'moods'"),
        ({**OF, "labels": ["customer_activity"]}, "it holds features, ask for it as such"),
        ({**OF, "name": "../../etc"}, "is no name"),
        ({**OF, "name": "n" * 250}, "is no name: at most 100 letters"),
        ({**OF, "dates": ["200000-01-01"]}, "dates are written 2026-11-21"),
        ({**OF, "publication": 10**30}, "there is no publication 1000000000000000000000000000000 of features"),
        ({**OF, "publication": 99}, "there is no publication 99 of features"),
    ],
)
def test_what_could_not_be_made_is_refused(warehouse: Warehouse, asked: dict[str, Any], message: str) -> None:
    warehouse.publish("customer_activity", date(2026, 3, 10), [frequency(1, 1)], morning_after(DAY))
    with pytest.raises(training.WrongTrainingSet, match=message):
        training_set.check(asked, EMPTY | asked)
