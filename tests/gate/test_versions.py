"""Which versions a night begins and ends: drawn rows in a real lake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from include.contract import ContractError, Source, Type
from include.contract.types import day_number
from include.gate import versions
from include.gate.acceptance import empty_damaged
from include.gate.versions import FoundOn
from include.lake import duckdb_session as duck
from include.lake import merge
from include.lake import tables as lake
from include.lake.rows import rows
from include.sources import SOURCES

WAREHOUSES = SOURCES["warehouses"]
BEGINNING, MONDAY = date(1970, 1, 1), date(2026, 3, 2)
TUESDAY, WEDNESDAY, THURSDAY = (MONDAY + timedelta(days=number) for number in (1, 2, 3))

Row = tuple[int, str, str | None]  # warehouse, name, country
Version = tuple[int, date, date | None, str | None, str | None]  # warehouse, valid_from, valid_to, name, country


def found_on(night: date, published: date | None, whole_day: date | None = None) -> FoundOn:
    """What a night finds; the last day that was over at its snapshot is its own, unless given."""
    return FoundOn.night(night, published, day_number(whole_day or night))


def night(
    accepted: Sequence[Row],
    found: FoundOn,
    held: Sequence[Row] = (),
    source: Source = WAREHOUSES,
    before: Sequence[Row] | None = None,
) -> list[Version]:
    """Keep the versions of a night's accepted rows, of which others are in quarantine; gives all versions after it.

    With ``before``, the rows that were accepted earlier, they are begun with first, as a night does.
    """
    with duck.session() as connection:
        if before is not None:
            _accept(connection, source, before)
            _accept(connection, source, [], "held")
            merge.commit(
                connection, "clean", source.name, source.lake_columns, source.primary_key, f"clean_{source.name}"
            )
            versions.start(connection, [source])
        _accept(connection, source, accepted)
        _accept(connection, source, held, "held")
        versions.keep(connection, [source], found)
    return kept(source)


def _accept(connection: duckdb.DuckDBPyConnection, source: Source, drawn: Sequence[Row], layer: str = "clean") -> None:
    connection.execute("create or replace temp table drawn (warehouse_id bigint, name text, country text)")
    if drawn:
        connection.executemany("insert into drawn values (?, ?, ?)", drawn)
    given = ("warehouse_id", "name", "country")
    columns = ", ".join(
        one.lake_name if one.lake_name in given else f"null::{one.type.duckdb} as {one.lake_name}"
        for one in source.lake_columns
    )
    connection.execute(f"create or replace temp table {layer}_{source.name} as select {columns} from drawn")


def kept(source: Source = WAREHOUSES) -> list[Version]:
    """All versions in the lake, by warehouse and day."""
    name, columns = source.versions.name, source.versions.lake_columns
    with duck.session() as connection:
        return connection.execute(
            f"""
            select
                warehouse_id,
                date '1970-01-01' + valid_from::int,
                date '1970-01-01' + valid_to::int,
                name,
                {"country" if "country" in source.history else "null"}
            from {rows("clean", name, columns)}
            order by 1, 2
            """
        ).fetchall()


@pytest.fixture(autouse=True)
def _lake(own_lake: Path) -> None:
    """A lake of the test's own."""


def test_what_the_first_night_finds_was_always_so() -> None:
    assert night([(1, "north", "DE"), (2, "south", None)], found_on(MONDAY, None)) == [
        (1, BEGINNING, None, "north", "DE"),
        (2, BEGINNING, None, "south", None),
    ]


def test_a_change_begins_a_version_with_the_night_that_found_it() -> None:
    """Also one from null or to null; a row that says the same begins none."""
    night([(1, "north", "DE"), (2, "south", None), (3, "east", "FR")], found_on(MONDAY, None))
    assert night([(1, "north", "AT"), (2, "south", "IT"), (3, "east", "FR")], found_on(TUESDAY, MONDAY)) == [
        (1, BEGINNING, TUESDAY, "north", "DE"),
        (1, TUESDAY, None, "north", "AT"),
        (2, BEGINNING, TUESDAY, "south", None),
        (2, TUESDAY, None, "south", "IT"),
        (3, BEGINNING, None, "east", "FR"),
    ]


def test_a_night_run_again_changes_nothing() -> None:
    """Neither as long as it is not published, nor after; and no commit is made for it."""
    changed = [(1, "north", "AT")]
    night([(1, "north", "DE")], found_on(MONDAY, None))
    once = night(changed, found_on(TUESDAY, MONDAY))
    version = lake.version("clean", "warehouses_versions")
    assert night(changed, found_on(TUESDAY, MONDAY)) == once
    assert night(changed, found_on(TUESDAY, TUESDAY)) == once
    assert night(changed, found_on(MONDAY, TUESDAY)) == once
    assert lake.version("clean", "warehouses_versions") == version


def test_what_a_published_night_finds_later_holds_from_the_next_day_on() -> None:
    """Whichever night finds it: the same again, or one of an earlier day."""
    night([(1, "north", "DE")], found_on(MONDAY, None))
    for day in (MONDAY, BEGINNING):
        assert night([(1, "north", "AT"), (2, "new", None)], found_on(day, MONDAY)) == [
            (1, BEGINNING, TUESDAY, "north", "DE"),
            (1, TUESDAY, None, "north", "AT"),
            (2, TUESDAY, None, "new", None),
        ]


def test_what_no_night_has_published_is_worked_out_anew() -> None:
    """A night that failed had found a change that the shop took back, a deletion, and another change."""
    night([(1, "north", "DE"), (2, "south", "IT"), (3, "east", "FR")], found_on(MONDAY, None))
    night([(1, "wrong", "DE"), (3, "east", "BE"), (4, "new", None)], found_on(TUESDAY, MONDAY))
    assert night([(1, "north", "DE"), (2, "south", "IT"), (3, "east", "NL")], found_on(TUESDAY, MONDAY)) == [
        (1, BEGINNING, None, "north", "DE"),
        (2, BEGINNING, None, "south", "IT"),
        (3, BEGINNING, TUESDAY, "east", "FR"),
        (3, TUESDAY, None, "east", "NL"),
    ]


def test_after_nights_that_were_missed_a_new_row_is_as_old_as_it_may_be() -> None:
    """It may have been there since the day after the last night; a change holds from its own night on."""
    night([(1, "north", "DE")], found_on(MONDAY, None))
    assert night([(1, "north", "AT"), (2, "new", None)], found_on(THURSDAY, MONDAY)) == [
        (1, BEGINNING, THURSDAY, "north", "DE"),
        (1, THURSDAY, None, "north", "AT"),
        (2, TUESDAY, None, "new", None),
    ]


def test_a_night_that_runs_days_late_leaves_its_own_day_what_it_was() -> None:
    """It reads the shop as it was when Wednesday ended; a row that is gone by then was there on Tuesday."""
    night([(1, "north", "DE"), (2, "south", None)], found_on(MONDAY, None))
    late = [(1, BEGINNING, WEDNESDAY, "north", "DE"), (1, WEDNESDAY, None, "north", "AT"),
            (2, BEGINNING, WEDNESDAY, "south", None)]  # fmt: skip
    assert night([(1, "north", "AT")], found_on(TUESDAY, MONDAY, whole_day=WEDNESDAY)) == late


def test_what_a_late_snapshot_found_stays_on_its_day_when_later_ones_find_it_again() -> None:
    """Nights that always run late would move it on for ever; and what was found in between is not forgotten."""
    night([(1, "north", "DE")], found_on(MONDAY, None))
    night([(1, "north", "AT"), (2, "new", None)], found_on(TUESDAY, MONDAY, whole_day=WEDNESDAY))
    late = [
        (1, BEGINNING, WEDNESDAY, "north", "DE"),
        (1, WEDNESDAY, None, "north", "AT"),
        (2, TUESDAY, None, "new", None),
    ]
    assert night([(1, "north", "AT"), (2, "new", None)], found_on(WEDNESDAY, TUESDAY, whole_day=THURSDAY)) == late
    assert night([(1, "north", "FR"), (2, "new", None)], found_on(WEDNESDAY, TUESDAY, whole_day=THURSDAY)) == [
        late[0], (1, WEDNESDAY, THURSDAY, "north", "AT"), (1, THURSDAY, None, "north", "FR"), late[2],
    ]  # fmt: skip


def test_a_deleted_row_keeps_its_history_and_may_come_back() -> None:
    night([(1, "north", "DE"), (2, "south", None)], found_on(MONDAY, None))
    assert night([(2, "south", None)], found_on(TUESDAY, MONDAY)) == [
        (1, BEGINNING, TUESDAY, "north", "DE"),
        (2, BEGINNING, None, "south", None),
    ]
    assert night([(1, "north", "DE"), (2, "south", None)], found_on(THURSDAY, TUESDAY)) == [
        (1, BEGINNING, TUESDAY, "north", "DE"),
        (1, THURSDAY, None, "north", "DE"),
        (2, BEGINNING, None, "south", None),
    ]


def test_a_row_in_quarantine_leaves_its_version_until_another_is_accepted() -> None:
    night([(1, "north", "DE")], found_on(MONDAY, None))
    waiting = [(1, BEGINNING, None, "north", "DE")]
    assert night([], found_on(TUESDAY, MONDAY), held=[(1, "?", "??")]) == waiting
    assert night([(1, "north", "AT")], found_on(WEDNESDAY, TUESDAY)) == [
        (1, BEGINNING, WEDNESDAY, "north", "DE"),
        (1, WEDNESDAY, None, "north", "AT"),
    ]


def test_a_lake_of_an_earlier_release_begins_with_what_it_holds() -> None:
    """What tonight changes is the second version already."""
    assert night([(1, "north", "AT")], found_on(TUESDAY, MONDAY), before=[(1, "north", "DE")]) == [
        (1, BEGINNING, TUESDAY, "north", "DE"),
        (1, TUESDAY, None, "north", "AT"),
    ]


def test_a_lake_that_lacks_a_column_of_the_history_begins_with_tonights_rows() -> None:
    with duck.session() as connection:
        _accept(connection, WAREHOUSES, [(1, "north", "DE")])
        columns = [one for one in WAREHOUSES.lake_columns if one.name != "country"]
        merge.commit(connection, "clean", "warehouses", columns, ["warehouse_id"], "clean_warehouses")
        versions.start(connection, [WAREHOUSES])
    assert lake.version("clean", "warehouses_versions") is None
    assert night([(1, "south", "DE")], found_on(TUESDAY, MONDAY)) == [(1, BEGINNING, None, "south", "DE")]


def test_a_column_that_is_new_in_the_history_was_always_what_it_is() -> None:
    """It begins no version; the last ones get its value, and so do those before."""
    earlier = replace(WAREHOUSES, history=("code", "name"))
    night([(1, "north", "DE")], found_on(MONDAY, None), source=earlier)
    night([(1, "south", "DE"), (2, "new", "FR")], found_on(TUESDAY, MONDAY), source=earlier)
    assert night([(1, "south", "DE")], found_on(WEDNESDAY, TUESDAY)) == [
        (1, BEGINNING, TUESDAY, "north", "DE"),
        (1, TUESDAY, None, "south", "DE"),
        (2, TUESDAY, WEDNESDAY, "new", None),
    ]


def test_a_shop_that_begins_without_rows() -> None:
    assert night([], found_on(MONDAY, None)) == []
    assert night([(1, "north", "DE")], found_on(TUESDAY, MONDAY)) == [(1, BEGINNING, None, "north", "DE")]


def test_days_are_counted_from_1970() -> None:
    assert day_number(BEGINNING) == 0
    assert found_on(MONDAY, None) == FoundOn(day_number(MONDAY), day_number(MONDAY))
    assert found_on(THURSDAY, MONDAY) == FoundOn(day_number(TUESDAY), day_number(THURSDAY))
    assert found_on(TUESDAY, MONDAY, whole_day=THURSDAY) == found_on(THURSDAY, MONDAY)
    assert found_on(THURSDAY, MONDAY, whole_day=TUESDAY) == found_on(THURSDAY, MONDAY)


def test_a_history_names_columns_beside_the_key() -> None:
    for wrong in ("warehouse_id", "mood"):
        with pytest.raises(ContractError, match=f"history names .'{wrong}'."):
            replace(WAREHOUSES, history=(wrong,))
    with pytest.raises(ContractError, match="orders: no versions are kept of it"):
        _ = SOURCES["orders"].versions


def test_no_personal_data_is_kept() -> None:
    """What a shop erases of a person must not stay here; and of every other attribute there is a history."""
    assert SOURCES["customers"].history == ("country",)
    left_out = {
        name: {column.name for column in source.columns} - {*source.history, *source.primary_key}
        for name, source in SOURCES.items()
        if source.history
    }
    assert left_out == {
        "customers": {"email", "name", "created_at", "updated_at"},
        "products": {"created_at", "updated_at"},
        "warehouses": {"updated_at"},
        "kit_components": {"updated_at"},
    }


def test_versions_that_cannot_be_read_are_lost_with_a_full_refresh_alone() -> None:
    """The shop does not have them: what is accepted then is the first version."""
    night([(1, "north", "DE")], found_on(MONDAY, None))
    night([(1, "south", "DE")], found_on(TUESDAY, MONDAY))
    for file in lake.files("clean", "warehouses_versions"):
        Path(file).unlink()
    with pytest.raises(lake.Damaged, match=r"clean\.warehouses_versions is damaged: .* from a backup"):
        night([(1, "south", "DE")], found_on(WEDNESDAY, TUESDAY))
    empty_damaged({"warehouses": WAREHOUSES})
    assert night([(1, "south", "DE")], found_on(WEDNESDAY, TUESDAY)) == [(1, BEGINNING, None, "south", "DE")]


def test_keys_that_became_numbers_leave_no_version_without_a_key() -> None:
    """Whose versions those were, nobody can say; two of them would share the key null."""
    text = WAREHOUSES.typed({"warehouses": Type.TEXT}).versions
    given = {"warehouse_id": "key", "valid_from": "0", "name": "key"}
    columns = ", ".join(
        f"{given.get(one.lake_name, 'null')}::{one.type.duckdb} as {one.lake_name}" for one in text.lake_columns
    )
    with duck.session() as connection:
        connection.execute(f"create temp table before as select {columns} from (values ('north'), ('south')) as v(key)")
        merge.commit(connection, "clean", text.name, text.lake_columns, text.primary_key, "before")
    assert night([(1, "north", "DE")], found_on(TUESDAY, MONDAY)) == [(1, TUESDAY, None, "north", "DE")]
