"""A lookup gives a row the same whether its figures are computed for all rows at once or for each row alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from include.contract import Column, ContractError, Derived, Lookup, Rounding, Source, Type
from include.contract.arrow import arrow_schema
from include.contract.currency import SMALLEST_UNIT
from include.sources import SOURCES

ITS_LINES = Lookup(
    "its_lines",
    "lines as line",
    {"line.order_id": "order_id", "line.shop": "shop"},
    {"lines": "nullif(count(*), 0)", "units": "sum(line.units)"},
    where="not line.is_gone",
)
UNITS = Derived(
    Column("units", Type.UNITS, "Units of its lines, and its own for each of them.", nullable=True),
    "coalesce(its_lines.units, 0) + row.units * its_lines.lines",
    lookups=(ITS_LINES,),
)
SHOP = """
    create table lines as select * from (values
        (1, 'a', 2, false), (1, 'a', 3, false), (1, 'a', 50, true), (1, 'b', 7, false), (2, 'a', 70, true),
        (null, 'a', 1, false)
    ) as line (order_id, shop, units, is_gone);
    create table orders as select * from (values
        (1, 'a', 10), (1, 'b', 100), (2, 'a', 1000), (3, 'a', 1), (null, 'a', 1)
    ) as row (order_id, shop, units)
"""


def test_its_figures_are_joined_or_put_in_place() -> None:
    with duckdb.connect() as connection:
        connection.execute(SHOP)
        joined = connection.execute(f"select row.*, {UNITS.sql} from orders as row {ITS_LINES.join} order by 1, 2")
        expected = [(1, "a", 10, 25), (1, "b", 100, 107), (2, "a", 1000, None), (3, "a", 1, None), (None, "a", 1, None)]
        assert joined.fetchall() == expected
        in_place = connection.execute(f"select row.*, {UNITS.whole_sql} from orders as row order by 1, 2")
        assert in_place.fetchall() == expected


def test_what_a_column_is_computed_from_is_known_through_its_lookups() -> None:
    assert UNITS.own_columns == {"order_id", "shop", "units"}


SHOPS = {
    "exact": SOURCES,
    "rounded": {name: source.rounded(Rounding.HALF_UP) for name, source in SOURCES.items()},
    "weighed": {name: source.typed({}, 3, 3) for name, source in SOURCES.items()},
}
DECLARED = [
    pytest.param(shop, source, derived, id=f"{shop}-{source.name}-{derived.column.name}")
    for shop, sources in SHOPS.items()
    for source in sources.values()
    for derived in source.all_derived
    if derived.lookups
]


@pytest.mark.parametrize(("shop", "source", "derived"), DECLARED)
def test_each_that_is_declared_gives_the_same_joined_and_in_place(shop: str, source: Source, derived: Derived) -> None:
    """Of rows at random: keys that are there twice, or not at all, and nulls."""
    with duckdb.connect() as connection:
        connection.execute(f"set timezone = 'UTC'; create macro smallest_unit(currency, decimals) as {SMALLEST_UNIT}")
        connection.execute("create macro business_day(instant) as date_diff('day', date '1970-01-01', instant::date)")
        for name in {source.name, *derived.needs}:
            connection.register(name, at_random(SHOPS[shop][name]))
        joins = " ".join(one.join for one in derived.lookups)
        found = connection.execute(
            f"select {derived.sql} as joined, {derived.whole_sql} as in_place from {source.name} as row {joins}"
        ).fetchall()
        assert len(found) == ROWS
        assert [joined for joined, _ in found] == [in_place for _, in_place in found]
        assert len({joined for joined, _ in found}) > 1


ROWS = 60


def at_random(source: Source) -> pa.Table:
    """Rows of a source, of few different values, of which some are null."""
    chosen = Random(source.name)  # noqa: S311 - the same every time
    fields = [arrow_schema(source).field(column.lake_name) for column in source.columns]
    return pa.table(
        {field.name: pa.array([_value(field.type, chosen) for _ in range(ROWS)], field.type) for field in fields}
    )


def _value(kind: pa.DataType, chosen: Random) -> Any:
    number = chosen.randrange(12)
    if number == 0:
        return None
    if pa.types.is_timestamp(kind):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=7 * number)
    if pa.types.is_boolean(kind):
        return number % 3 == 0
    return ("EUR", "JPY", "KWD")[number % 3] if pa.types.is_string(kind) else number * 37 % 40 + 1


@pytest.mark.parametrize(("shop", "source", "derived"), DECLARED)
def test_of_no_rows_each_figure_is_null(shop: str, source: Source, derived: Derived) -> None:
    """A join gives null there, so a count must."""
    with duckdb.connect() as connection:
        connection.execute("create macro smallest_unit(currency, decimals) as 1")
        for name in {source.name, *derived.needs}:
            connection.register(name, arrow_schema(SHOPS[shop][name]).empty_table())
        for lookup in derived.lookups:
            figures = ", ".join(lookup.figures.values())
            assert set(connection.execute(f"select {figures} from {lookup.rows}").fetchall()[0]) == {None}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"is_late": True}, "units is computed of the row alone, and looks something up"),
        ({"sql": "its_lines.unit"}, "units has the lookup its_lines, and names unit, which it has not"),
        ({"sql": "row.units"}, "units has the lookup its_lines, and names no figure of it"),
    ],
)
def test_a_column_names_figures_that_there_are(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        replace(UNITS, **wrong)


def test_a_source_has_one_lookup_of_a_name() -> None:
    orders = SOURCES["orders"]
    with pytest.raises(ContractError, match="orders: two lookups have the name its_lines"):
        replace(orders, derived=(*orders.derived, UNITS))


def test_what_a_shop_computes_otherwise_looks_nothing_up() -> None:
    orders = SOURCES["orders"].deriving("lines_total", "null").rounded(Rounding.HALF_UP)
    (found,) = (one for one in orders.derived if one.column.name == "lines_total")
    assert (found.sql, found.lookups) == ("null", ())
