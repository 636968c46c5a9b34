"""A lake in an object store: every kind of run does what it does with a lake in a folder, and gives the same rows."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from include.lake import storage
from include.ledger import runs
from include.pipeline import housekeeping, training_set
from include.pipeline.housekeeping import Limits
from include.serve import page
from include.settings import settings
from tests.conftest import Done, move_lake, nights_between
from tests.nights import FEW, LAST_DAY, Nights, of_a_copied_shop
from tests.object_server import ObjectServer, without_a_key_of_ours
from tests.pipeline.test_republish import let_a_day_pass, put_back, reporting
from tests.training.test_form import EMPTY
from transforms.registry import TABLES

ALL = [one.table for one in TABLES.values()]
TOMORROW = LAST_DAY + timedelta(days=1)


@pytest.mark.long
def test_a_lake_that_moved_into_a_bucket_goes_on_as_it_would_have_in_its_folder(
    night_done: Callable[[Collection[str]], Done], object_server: ObjectServer, tmp_path: Path
) -> None:
    before, told = night_done(FEW), {}
    for place in ("folder", "bucket", "role"):
        done = Done(before.shop.copy(), before.warehouse.copy(), tmp_path / place / "lake")
        shutil.copytree(before.lake, done.lake)
        of_a_copied_shop(done.lake)
        with pytest.MonkeyPatch.context() as environment, nights_between(environment, done) as nights:
            if place != "folder":
                move_lake(environment, object_server)
            if place == "role":
                without_a_key_of_ours(environment)
            told[place] = everything_there_is(replace(nights, names=FEW))
        assert done.lake.exists() == (place == "folder")
        done.shop.drop()
        done.warehouse.drop()
    assert told["bucket"] == told["folder"]
    assert told["role"] == told["folder"]


def everything_there_is(nights: Nights) -> dict[str, Any]:
    """Run a night, a replay, a training set, a night put back, a full refresh and housekeeping, and tell of all."""
    told: dict[str, Any] = {"before": nights.published()}
    let_a_day_pass(nights)
    nights.run(TOMORROW)
    told["increment"] = nights.published()
    assert told["increment"] != told["before"]
    nights.replay()
    told["training"] = training(nights)
    put_back(nights)
    assert reporting(nights).items() <= told["before"].items()
    run = nights.run(TOMORROW, full_refresh=True)
    told["refresh"] = nights.published()
    assert told["refresh"] == told["increment"]
    told["page"] = b"Published:" in storage.read(page.write(runs.find_run(run)))
    limits = Limits(keep_since=datetime.now(UTC), safe_since=datetime.now(UTC) + timedelta(hours=1))
    told["compacted"] = housekeeping.compact(ALL, dry_run=False, most_small=1)
    housekeeping.forget_runs(limits, dry_run=False)
    told["removed"] = sorted(housekeeping.remove_files(limits, ALL, dry_run=False))
    nights.run(TOMORROW)
    told["after"] = nights.published()
    told["builds"] = nights.ask(
        "select night, schema_name, table_name, rows, digest from audit.builds join audit.runs using (run_id)"
        " order by started_at, schema_name, table_name"
    )
    told["left"] = [file.path for place in ("scratch", "gate") for file in storage.files(storage.in_lake(place))]
    return told


def training(nights: Nights) -> tuple[Any, ...]:
    """Make a training set, and say what is in it."""
    form = EMPTY | {"name": "churn", "entities_of": "customer_activity", "dates": [LAST_DAY.isoformat()]}
    form |= {"known_only": False}
    note = training_set.make("manual__1", form, training_set.check(form, form))
    rows = parquet.read_table(io.BytesIO(storage.read(note.replace(".json", ".parquet"))))
    [(customers,)] = nights.ask("select count(distinct customer_id) from features.customer_activity")
    assert note == f"{settings().lake}/training_sets/churn.json"
    assert json.loads(storage.read(note))["rows"] == rows.num_rows
    assert 0 < rows.num_rows <= customers
    return rows.num_rows, sorted(rows.column_names)
