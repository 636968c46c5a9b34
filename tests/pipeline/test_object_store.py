"""A lake in an object store: every kind of run does what it does with a lake in a folder, and gives the same rows."""

from __future__ import annotations

import io
import json
import pydoc
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from include.lake import storage
from include.lake.object_store import UnusableStorage
from include.ledger import runs
from include.pipeline import housekeeping, nightly, table_build, tables_dag, training_set
from include.pipeline.housekeeping import Limits
from include.pipeline.task_defaults import task_defaults
from include.pipeline.troubles import ERRORS_THAT_MAY_PASS
from include.serve import page
from include.settings import settings
from tests.conftest import Done, move_lake, nights_between
from tests.faulty_proxy import Fault, before, faults
from tests.nights import FEW, LAST_DAY, Nights, of_a_copied_shop
from tests.object_server import ObjectServer, without_a_key_of_ours
from tests.pipeline.test_republish import let_a_day_pass, put_back, reporting
from tests.training.test_form import EMPTY
from transforms.registry import TABLES

ALL = [one.table for one in TABLES.values()]
TOMORROW = LAST_DAY + timedelta(days=1)
STEPS = (
    (nightly, "begin"), (nightly, "extract"), (nightly, "validate"), (nightly, "check_tolerance"), (nightly, "accept"),
    (table_build, "build"), (nightly, "audit"), (nightly, "publish"), (tables_dag, "publish"),
)  # fmt: skip
MAY_PASS: Any = tuple(pydoc.locate(error) for error in ERRORS_THAT_MAY_PASS)


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


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("STOCKTAKE_LAKE_SECRET", "wrong", "mend STOCKTAKE_LAKE_KEY_ID and STOCKTAKE_LAKE_SECRET"),
        ("STOCKTAKE_LAKE", "s3://nobucket/lake", "there is no bucket s3://nobucket"),
    ],
)
def test_a_store_that_lets_nobody_in_stops_a_night_before_anything_is_read(
    nights: Nights, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    """The shop is not even asked. It is not tried again: it would fail again."""
    move_lake(monkeypatch, object_server)
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql://nobody@127.0.0.1:9/shop")
    settings.cache_clear()
    run = nights.begin()
    with pytest.raises(UnusableStorage, match=said) as refused:
        nightly.extract(run)
    assert not isinstance(refused.value, MAY_PASS)


@pytest.mark.long
def test_a_store_that_is_overloaded_breaks_off_and_loses_answers_changes_nothing(
    night_done: Callable[[Collection[str]], Done], object_server: ObjectServer, tmp_path: Path
) -> None:
    """Of a hundred requests four fail, in one of four ways; what a step does not get over is tried again."""
    before_it, told = night_done(FEW), {}
    with before(object_server.endpoint) as proxy:
        for place in ("sound", "faulty"):
            done = Done(before_it.shop.copy(), before_it.warehouse.copy(), tmp_path / place / "lake")
            shutil.copytree(before_it.lake, done.lake)
            of_a_copied_shop(done.lake)
            with pytest.MonkeyPatch.context() as environment, nights_between(environment, done) as nights:
                move_lake(environment, object_server)
                let_a_day_pass(nights)
                if place == "faulty":
                    environment.setenv("STOCKTAKE_LAKE_ENDPOINT", proxy)
                    settings.cache_clear()
                    for module, step in STEPS:
                        environment.setattr(module, step, tried_again(getattr(module, step)))
                few = replace(nights, names=FEW)
                few.run(TOMORROW)
                told[place] = few.published()
            done.shop.drop()
            done.warehouse.drop()
        befallen = faults(proxy)
    assert told["faulty"] == told["sound"]
    assert {kind for _, kind in befallen} == {*Fault}
    assert min(sum(n for (method, _), n in befallen.items() if method == one) for one in ("GET", "PUT")) > 2


def test_a_step_that_a_store_failed_is_done_when_it_is_back(
    nights: Nights, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_lake(monkeypatch, object_server)
    run = nights.begin()
    with monkeypatch.context() as environment:
        environment.setenv("STOCKTAKE_LAKE_ENDPOINT", "http://127.0.0.1:9")
        environment.setenv("STOCKTAKE_LAKE_RETRY_SECONDS", "1")
        settings.cache_clear()
        with pytest.raises(MAY_PASS, match="s3://lakes is away"):
            nightly.extract(run)
    settings.cache_clear()
    assert sum(nightly.extract(run).values()) > 0


def tried_again(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step that is tried again after a failure that may pass, as often as Airflow does."""

    def tried(*arguments: Any) -> Any:
        for left in reversed(range(task_defaults()["retries"] + 1)):
            try:
                return step(*arguments)
            except MAY_PASS:
                if not left:
                    raise
        return None

    return tried
