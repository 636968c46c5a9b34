"""Which versions of what kits are made of a night begins and ends: drawn rows in a real lake."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from include.gate import versions
from include.lake import duckdb_session as duck
from include.lake import merge
from include.lake.rows import rows
from include.sources import SOURCES
from tests.gate.test_versions import BEGINNING, MONDAY, THURSDAY, TUESDAY, WEDNESDAY, found_on

KITS = SOURCES["kit_components"]
FRIDAY = THURSDAY + timedelta(days=1)

Row = tuple[int, int, int]  # kit, component, units
Version = tuple[int, int, date, date | None, int]


def night(accepted: Sequence[Row], found: versions.FoundOn, *, absent: bool = False) -> list[Version]:
    """Accept a night's rows as the gate does; gives all versions after it."""
    versions_of, columns = KITS.versions.name, KITS.lake_columns
    with duck.session() as connection:
        connection.execute(f"create temp view clean_kit_components as from {rows('clean', KITS.name, columns)}")
        _draw(connection, "held", [])
        versions.start(connection, [KITS])
        connection.execute("drop view clean_kit_components")
        _draw(connection, "clean", accepted)
        merge.commit(connection, "clean", KITS.name, columns, KITS.primary_key, "clean_kit_components")
        versions.keep(connection, [KITS], found, {KITS.name} if absent else ())
        return connection.execute(
            f"""
            select product_id, component_id, date '1970-01-01' + valid_from::int, date '1970-01-01' + valid_to::int,
                units_per_kit
            from {rows("clean", versions_of, KITS.versions.lake_columns)}
            order by all
            """
        ).fetchall()


def _draw(connection: duckdb.DuckDBPyConnection, layer: str, drawn: Sequence[Row]) -> None:
    connection.execute("create or replace temp table drawn (product_id bigint, component_id bigint, units bigint)")
    if drawn:
        connection.executemany("insert into drawn values (?, ?, ?)", drawn)
    given = {"product_id": "product_id", "component_id": "component_id", "units_per_kit": "units"}
    columns = ", ".join(
        f"{given.get(one.lake_name, f'null::{one.type.duckdb}')} as {one.lake_name}" for one in KITS.lake_columns
    )
    connection.execute(f"create temp table {layer}_{KITS.name} as select {columns} from drawn")


@pytest.fixture(autouse=True)
def _lake(own_lake: Path) -> None:
    """A lake of the test's own."""


def test_no_day_has_the_old_and_the_new_component_of_a_kit() -> None:
    """Nights were missed: one recipe ends and the other begins on the same day; a kit that is new is older."""
    night([(1, 10, 2), (1, 12, 1)], found_on(MONDAY, None))
    swapped = [
        (1, 10, BEGINNING, THURSDAY, 2),
        (1, 11, THURSDAY, None, 2),
        (1, 12, BEGINNING, None, 1),
        (2, 10, TUESDAY, None, 1),
        (2, 11, TUESDAY, None, 1),
    ]
    for _ in range(2):
        assert night([(1, 11, 2), (1, 12, 1), (2, 10, 1), (2, 11, 1)], found_on(THURSDAY, MONDAY)) == swapped
    assert night([(2, 11, 1), (1, 12, 1)], found_on(FRIDAY, THURSDAY))[-1] == (2, 11, TUESDAY, None, 1)


def test_the_first_kit_of_a_shop_is_one_from_its_night_on() -> None:
    """That there was none was read before, as it is of the second kit."""
    assert night([], found_on(MONDAY, None)) == []
    first = (1, 10, WEDNESDAY, None, 1)
    for _ in range(2):  # again, as after a crash
        assert night([(1, 10, 1)], found_on(WEDNESDAY, TUESDAY)) == [first]
    assert night([(1, 10, 1), (2, 10, 1)], found_on(THURSDAY, WEDNESDAY)) == [first, (2, 10, THURSDAY, None, 1)]


def test_kits_that_are_read_for_the_first_time_always_were() -> None:
    """As long as the shop's folder had no file of them, nobody knew."""
    for _ in range(2):
        assert night([], found_on(MONDAY, None), absent=True) == []
    assert night([(1, 10, 1)], found_on(TUESDAY, MONDAY)) == [(1, 10, BEGINNING, None, 1)]


def test_lost_versions_begin_with_the_rows_accepted_before() -> None:
    night([(1, 10, 1)], found_on(MONDAY, None))
    with duck.session() as connection:
        connection.execute(f"create table none as from {duck.relation([], KITS.versions.lake_columns)}")
        name, columns, key = KITS.versions.name, KITS.versions.lake_columns, KITS.versions.primary_key
        merge.commit(connection, "clean", name, columns, key, "none", overwrite=True)
    assert night([(1, 10, 1)], found_on(TUESDAY, MONDAY)) == [(1, 10, BEGINNING, None, 1)]
