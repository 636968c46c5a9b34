"""Attributes have a history: a change moves no past day, nothing of it is lost, and an earlier release had none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.gate import versions
from include.lake import tables as lake
from include.pipeline import nightly
from include.pipeline.run_request import WrongRequest
from tests.nights import FEW, LAST_DAY, Nights

BEGINNING, NEXT_DAY = date(1970, 1, 1), LAST_DAY + timedelta(days=1)
EARLIER = LAST_DAY - timedelta(days=7)
HISTORIES = ("products_history", "customers_history", "warehouses_history")
SLICE = """
select md5(string_agg((to_jsonb(one) - '_publication_id' - 'known_at')::text, chr(10) order by customer_id))
from features.customer_activity as one where as_of = %s
"""
MOST_CATEGORIES = "select max(distinct_categories_365d) from features.customer_activity where as_of = %s"
COLUMNS = "select column_name from information_schema.columns where table_schema = 'reporting' and table_name = %s"
OF_NEW = "select valid_from, valid_to, name from reporting.warehouses_history where code = 'NEW'"


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """The slices that know a category, and the histories."""
    return (*FEW, *HISTORIES)


def rename(nights: Nights, category: str) -> None:
    """Give every product another category."""
    nights.shop.execute("update products set category = %s, updated_at = now()", [category])


def history(nights: Nights) -> list[tuple[Any, ...]]:
    """The days and categories of all versions of products, with how many products have them."""
    return nights.ask(
        """
        select valid_from, valid_to, count(*), count(distinct category) > 1, min(category)
        from reporting.products_history group by 1, 2 order by 1, 2
        """
    )


@pytest.mark.long
def test_a_category_that_changes_moves_no_row_of_a_past_day(nights: Nights, at: Callable[..., None]) -> None:
    """Not when that day is run again, first or last of those published, nor an earlier one; the next day has it."""
    at(LAST_DAY)
    nights.run(LAST_DAY)
    nights.feature(EARLIER)
    first = {day: nights.ask(SLICE, day) for day in (EARLIER, LAST_DAY)}
    [(products,)] = nights.shop.execute("select count(*) from products").fetchall()
    rename(nights, "all in one")
    at(LAST_DAY, hour=6)
    nights.run(LAST_DAY)
    nights.feature(EARLIER)
    assert {day: nights.ask(SLICE, day) for day in (EARLIER, LAST_DAY)} == first
    assert history(nights) == [(BEGINNING, None, products, True, *_least(nights))]

    at(NEXT_DAY)
    nights.run(NEXT_DAY)
    assert nights.ask(MOST_CATEGORIES, NEXT_DAY) == [(1,)]
    assert history(nights) == [
        (BEGINNING, NEXT_DAY, products, True, *_least(nights)),
        (NEXT_DAY, None, products, False, "all in one"),
    ]
    nights.run(LAST_DAY)
    nights.feature(EARLIER)
    assert {day: nights.ask(SLICE, day) for day in (EARLIER, LAST_DAY)} == first


@pytest.mark.long
def test_a_night_that_runs_late_leaves_its_day_the_category_that_was_known(
    nights: Nights, at: Callable[..., None]
) -> None:
    """The run of the next day comes four days after it, when every category has changed."""
    at(LAST_DAY)
    nights.run(LAST_DAY)
    known = nights.ask(MOST_CATEGORIES, LAST_DAY)
    late = NEXT_DAY + timedelta(days=4)
    rename(nights, "all in one")
    at(late)
    nights.run(NEXT_DAY)
    assert nights.ask(MOST_CATEGORIES, NEXT_DAY) == known != [(1,)]
    assert [one[:2] for one in history(nights)] == [(BEGINNING, None)]
    at(late, hour=6)
    nights.run(late)
    assert [one[:2] for one in history(nights)] == [(BEGINNING, late), (late, None)]
    assert nights.ask(MOST_CATEGORIES, late) == [(1,)]


@pytest.mark.long
def test_a_lake_of_an_earlier_release_begins_its_history_and_a_full_refresh_keeps_it(
    nights: Nights, at: Callable[..., None]
) -> None:
    """What the lake held is the first version; the shop does not have it, and what was deleted there has ended."""
    at(LAST_DAY)
    nights.run(LAST_DAY)
    before = nights.ask(SLICE, LAST_DAY)
    least = _least(nights)
    forget(nights)
    with pytest.raises(WrongRequest, match="the lake has no products_versions yet: run nightly first"):
        nights.feature()
    rename(nights, "renamed")
    nights.shop.execute("insert into warehouses (code, name, country) values ('NEW', 'Depot', 'DE')")
    at(NEXT_DAY)
    nights.run(NEXT_DAY)
    assert nights.ask(OF_NEW) == [(NEXT_DAY, None, "Depot")]
    assert (
        nights.ask("select count(*) from reporting.customers_history")
        == nights.shop.execute("select count(*) from customers").fetchall()
    )
    published = history(nights)
    assert [(one[:2], *one[3:]) for one in published] == [
        ((BEGINNING, NEXT_DAY), True, *least), ((NEXT_DAY, None), False, "renamed"),
    ]  # fmt: skip
    assert "country" in {name for (name,) in nights.ask(COLUMNS, "customers_history")}
    assert not {"name", "email"} & {name for (name,) in nights.ask(COLUMNS, "customers_history")}
    nights.run(LAST_DAY)
    assert nights.ask(SLICE, LAST_DAY) == before

    later = NEXT_DAY + timedelta(days=1)
    nights.shop.execute("delete from warehouses where code = 'NEW'")
    at(later)
    nights.run(later, full_refresh=True)
    assert history(nights) == published
    assert nights.ask(OF_NEW) == [(NEXT_DAY, later, "Depot")]


def forget(nights: Nights) -> None:
    """Take from lake and warehouse what an earlier release did not have."""
    for name in ("products", "customers", "warehouses"):
        shutil.rmtree(Path(lake.folder("clean", f"{name}_versions")))
        shutil.rmtree(Path(lake.folder("reporting", f"{name}_history")))
        nights.warehouse.execute(f"drop table reporting.{name}_history".encode())


def _least(nights: Nights) -> tuple[str]:
    [(least,)] = nights.ask("select min(category) from reporting.products_history where valid_from = %s", BEGINNING)
    return (least,)


@pytest.mark.after_a_night
def test_a_night_that_dies_before_the_versions_are_written_is_retried(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are accepted already; the retry finds what began and ended all the same."""
    rename(nights, "renamed")
    run = nights.begin(NEXT_DAY)
    nightly.extract(run)
    nights.judge(run)
    version = lake.version("clean", "products_versions")
    with monkeypatch.context() as patch:
        patch.setattr(versions, "keep", _dies)
        with pytest.raises(RuntimeError, match="killed"):
            nightly.accept(run)
    assert lake.version("clean", "products_versions") == version
    nightly.accept(run)
    written = lake.version("clean", "products_versions")
    assert written == (version or 0) + 1
    nightly.accept(run)
    assert lake.version("clean", "products_versions") == written


def _dies(*_: object) -> None:
    raise RuntimeError("killed")
