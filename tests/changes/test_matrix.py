"""After every kind of change, the next night, by itself, ends in what a shop that starts anew would have."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.ledger import runs
from include.pipeline import republish
from include.pipeline.replay import NotOver
from include.pipeline.republish import NightGone
from include.pipeline.run_request import WrongRequest
from include.settings import settings
from include.training import EveryEntity, training_set
from tests.changes.kinds import Declarations, Kind, settings_folder
from tests.changes.page import PAGE, page
from tests.conftest import Database, Done, nights_between
from tests.nights import LAST_DAY, Nights

FEW = ("order_lines", "orders", "customer_activity")  # a table of each way to be built

SHAPE = """
select
    nspname || '.' || relname,
    array_agg(
        attname || ' ' || format_type(atttypid, atttypmod) || case when attnotnull then ' not null' else '' end
        order by attname
    ),
    (
        select array_agg(attname order by attname) from pg_constraint
        join pg_attribute on attrelid = conrelid and attnum = any(conkey)
        where conrelid = pg_class.oid and contype = 'p'
    )
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
where nspname in ('reporting', 'features') and relkind = 'r'
group by pg_class.oid, 1
order by 1
"""


def state(nights: Nights) -> dict[str, Any]:
    """What readers have: every row but for when it was published, every column, every key."""
    return {"rows": nights.published(), "tables": nights.ask(SHAPE)}


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declarations:
    folder = tmp_path / "shop"
    shutil.copytree(settings_folder(), folder)
    return Declarations(monkeypatch, folder)


@contextmanager
def _elsewhere(cluster: Any, shop: Database, lake: Path, folder: Path, names: tuple[str, ...]) -> Iterator[Nights]:
    """A shop that starts anew beside it: the same rows, an empty lake, an empty warehouse."""
    warehouse = Database(cluster, "warehouse").copy()
    zone = settings().timezone
    with (
        pytest.MonkeyPatch.context() as environment,
        nights_between(environment, Done(shop, warehouse, lake)) as nights,
    ):
        environment.setenv("STOCKTAKE_SOURCES", str(folder))
        environment.setenv("STOCKTAKE_TIMEZONE", zone)
        settings.cache_clear()
        yield replace(nights, names=names)
    settings.cache_clear()
    warehouse.drop()


def test_the_next_night_ends_in_what_a_shop_started_anew_has(
    kind: Kind, nights: Nights, declared: Declarations, cluster: Any, old_shop: Database, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    nights = replace(nights, names=(*FEW, *kind.names))
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(declared.folder))
    settings.cache_clear()
    if kind.before:
        kind.before(declared)
    first = nights.run()
    ((publication,),) = nights.ask("select publication_id from audit.publications where run_id = %s", first)
    before = nights.published()
    kind.make(declared)
    settings.cache_clear()

    if request.config.getoption("--every-change"):
        _may_run(kind, nights.feature)
    _may_run(kind, nights.replay)
    nights.run()
    with _elsewhere(cluster, old_shop, tmp_path / "anew", declared.folder, tuple(nights.names)) as others:
        others.run()
        anew = state(others)
    assert state(nights) == anew
    assert not {name for (name, *_) in nights.ask(SHAPE)} & set(kind.gone)

    _train_as_of_before(nights)
    _put_back(nights, kind, publication, before)
    if request.config.getoption("--every-change"):
        nights.run(full_refresh=True)
        assert state(nights) == anew
        nights.run()
        assert state(nights) == anew


def _may_run(kind: Kind, run: Callable[[], str]) -> None:
    """A run before the night: it waits for the night and says why, or runs."""
    if kind.refused is None:
        run()
        return
    with pytest.raises((NotOver, WrongRequest), match=kind.refused):
        run()


def _train_as_of_before(nights: Nights) -> None:
    """A training set from the features that were published before the change; a feature that is new is null in it."""
    if not nights.features:
        return
    ((first,),) = nights.ask(
        "select min(publication_id) from audit.publication_tables where table_name = 'customer_activity'"
    )
    made = training_set(
        EveryEntity("customer_activity", (LAST_DAY,)),
        features=["customer_activity"],
        ttl=timedelta(days=7),
        known_only=False,
        publication=first,
    )
    assert made.num_rows > 0
    if "customer_activity.mark" in made.column_names:
        assert made["customer_activity.mark"].null_count == made.num_rows


def _put_back(nights: Nights, kind: Kind, publication: int, before: dict[str, str]) -> None:
    """The night before the change, put back: every column that it had is what it was, a new one is null."""
    run_id = f"put-back-{datetime.now(UTC):%f}"
    republish.begin(run_id, {"night": LAST_DAY.isoformat(), "publication": publication})
    if kind.past:
        with pytest.raises(NightGone, match=kind.past):
            republish.publish(run_id, nights.reporting)
        return
    republish.publish(run_id, nights.reporting)
    runs.finish_run(run_id, "success")
    put_back = nights.published()
    for table in nights.reporting:
        name = table.qualified_name
        if name in before and name not in kind.otherwise:
            assert put_back[name] == before[name], name
    if kind.name in ("a table's column is added", "many at once"):
        assert nights.ask("select count(*) > 0, count(mark) from reporting.orders") == [(True, 0)]


def test_the_page_shows_the_matrix() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"
