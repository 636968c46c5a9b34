"""What a value becomes on its way from a shop's Postgres into the lake and on into the warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import duckdb
import psycopg
import pytest

from include.contract import Type
from include.contract.types import Rounding, day_number
from tests.conftest import Database

# What a shop's Postgres may hold, as SQL, and what the lake makes of it; None where it cannot hold it unchanged.
READ: dict[Type, dict[str, Any]] = {
    Type.CENTS: {
        "0.00::numeric": 0,
        "12.34::numeric(10, 2)": 1234,
        "-12.34::numeric": -1234,
        "0.01::numeric": 1,
        "-0.010::numeric": -1,
        "19.990000::numeric": 1999,
        "7::integer": 700,
        "9e15::numeric": 900_000_000_000_000_000,
        "-9e15::numeric": -900_000_000_000_000_000,
        "8999999999999999.99::numeric": 899_999_999_999_999_999,
        "0.005::numeric": None,
        "12.345::numeric": None,
        "9000000000000000.01::numeric": None,
        "1e30::numeric": None,
        "-1e30::numeric": None,
        "'NaN'::numeric": None,
        "'Infinity'::numeric": None,
        "'-Infinity'::numeric": None,
    },
    Type.AT: {
        "timestamptz '2026-11-21 12:00:00.000001+01'": datetime(2026, 11, 21, 11, 0, 0, 1, UTC),
        "timestamptz '1969-12-31 23:59:59.999999+00'": datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
        "timestamp '2026-11-21 12:00:00'": datetime(2026, 11, 21, 12, tzinfo=UTC),
        "'infinity'::timestamptz": None,
        "'-infinity'::timestamptz": None,
        "timestamptz '294276-01-01 00:00:00+00'": None,
        "timestamptz '0999-12-31 00:00:00+00'": None,
        "timestamptz '4713-01-01 00:00:00+00 BC'": None,
    },
    Type.UNITS: {"7::smallint": 7, "-7::numeric": -7, "9223372036854775807": 2**63 - 1},
    Type.INTEGER: {"7::smallint": 7, "-7::integer": -7, "9223372036854775807": 2**63 - 1},
    Type.DAY: {
        "date '1970-01-01'": 0,
        "date '1969-12-31'": -1,
        "date '2026-11-21'": 20778,
        "date '0001-01-01'": -719162,
        "date 'infinity'": None,
        "date '-infinity'": None,
    },
    Type.MONTH: {
        "date '1970-01-31'": 0,
        "date '1969-12-01'": -1,
        "date '2026-11-21'": 682,
        "date 'infinity'": None,
    },
    Type.TEXT: {"'it''s'": "it's", "''": "", "'日本'::varchar(9)": "日本", "'ok '::char(3)": "ok"},
    Type.UUID: {
        "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    },
    Type.JSON: {"""'{"a": [1, null]}'::jsonb""": '{"a": [1, null]}', "'null'::jsonb": "null"},
    Type.BOOLEAN: {"true": True, "false": False},
    Type.RATIO: {"0.1::double precision": 0.1, "0.25::numeric": 0.25, "3": 3.0},
}  # fmt: skip

# What the lake may hold, and what the warehouse's Postgres makes of it.
PUBLISHED: dict[Type, dict[Any, Any]] = {
    Type.CENTS: {
        0: Decimal("0.00"),
        1: Decimal("0.01"),
        -1: Decimal("-0.01"),
        -1234: Decimal("-12.34"),
        2**53 + 1: Decimal("90071992547409.93"),
        900_000_000_000_000_000: Decimal("9000000000000000.00"),
        899_999_999_999_999_999: Decimal("8999999999999999.99"),
        -899_999_999_999_999_999: Decimal("-8999999999999999.99"),
    },
    Type.DAY: {
        0: date(1970, 1, 1),
        -1: date(1969, 12, 31),
        20778: date(2026, 11, 21),
        -719162: date(1, 1, 1),
    },
    Type.MONTH: {0: date(1970, 1, 1), -1: date(1969, 12, 1), -13: date(1968, 12, 1), 682: date(2026, 11, 1)},
    Type.AT: {
        datetime(1969, 12, 31, 23, 59, 59, 999999, UTC): datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(2026, 11, 21, 11, 0, 0, 1, UTC): datetime(2026, 11, 21, 11, 0, 0, 1, UTC),
    },
    Type.UNITS: {2**63 - 1: 2**63 - 1, -(2**63): -(2**63)},
    Type.INTEGER: {2**63 - 1: 2**63 - 1, -(2**63): -(2**63)},
    Type.TEXT: {"it's": "it's", "": "", "日本": "日本"},
    Type.UUID: {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11": UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")},
    Type.JSON: {'{"a": [1, null]}': {"a": [1, None]}},
    Type.BOOLEAN: {True: True, False: False},
    Type.RATIO: {0.1: 0.1, 1 / 3: 1 / 3, -5e-324: -5e-324},
}

# Of a shop with so many decimals: what it writes, and what the lake holds.
OTHER_DECIMALS: list[tuple[int, str, int | None]] = [
    (0, "7::integer", 7),
    (0, "7.5::numeric", None),
    (0, "9e17::numeric", 9 * 10**17),
    (0, "900000000000000001::numeric", None),
    (3, "1.234::numeric", 1234),
    (3, "-0.001::numeric", -1),
    (3, "1.2345::numeric", None),
    (3, "9e14::numeric", 9 * 10**17),
    (3, "900000000000000.001::numeric", None),
]

READINGS = [
    pytest.param(kind, sql, held, id=f"{kind}: {sql}") for kind, one in READ.items() for sql, held in one.items()
]
WRITINGS = [
    pytest.param(kind, held, shown, id=f"{kind}: {held}")
    for kind, one in PUBLISHED.items()
    for held, shown in (one | {None: None}).items()
]


@pytest.fixture(scope="module")
def postgres(cluster: Any) -> Iterator[psycopg.Connection[Any]]:
    with Database(cluster, "warehouse").connect() as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture(scope="module")
def lake() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def test_every_type_is_tried_both_ways() -> None:
    assert set(READ) == set(PUBLISHED) == set(Type)


@pytest.mark.parametrize(("kind", "sql", "held"), READINGS)
def test_a_source_value_is_read_unchanged_or_called_unreadable(
    postgres: psycopg.Connection[Any], kind: Type, sql: str, held: Any
) -> None:
    read = f"case when {kind.readable_sql('value')} then {kind.from_source_sql('value')} end"
    found = postgres.execute(
        f"select {kind.readable_sql('value')}, {read} from (select {sql} as value) as source"
    ).fetchone()
    assert found is not None
    assert found == (held is not None, held)
    assert type(found[1]) is type(held)


@pytest.mark.parametrize("kind", Type)
def test_a_missing_value_is_missing_and_not_unreadable(postgres: psycopg.Connection[Any], kind: Type) -> None:
    """The gate calls a value unreadable where ``not readable`` is true: of null it must not be."""
    given = f"(select null::{kind.postgres()} as value) as source"
    found = postgres.execute(
        f"select (not {kind.readable_sql('value')}) is true, {kind.from_source_sql('value')} from {given}"
    )
    assert found.fetchone() == (False, None)


@pytest.mark.parametrize(("kind", "held", "shown"), WRITINGS)
def test_a_lake_value_is_published_exactly(
    lake: duckdb.DuckDBPyConnection, postgres: psycopg.Connection[Any], kind: Type, held: Any, shown: Any
) -> None:
    given = f"(select cast($held as {kind.duckdb}) as value)"
    written = lake.execute(
        f"select cast({kind.to_warehouse_sql('value')} as varchar) from {given}", {"held": held}
    ).fetchone()
    assert written is not None
    found = postgres.execute(f"select %s::text::{kind.postgres()}", written).fetchone()
    assert found is not None
    assert found == (shown,)
    assert type(found[0]) is type(shown)


@pytest.mark.parametrize("cents", [2**53 + 1, 899_999_999_999_999_999, -7])
def test_an_amount_never_passes_through_a_float(lake: duckdb.DuckDBPyConnection, cents: int) -> None:
    found = lake.execute(f"select {Type.CENTS.to_warehouse_sql('value')} from (select {cents} as value)").fetchone()
    assert found == (Decimal(cents).scaleb(-2),)


@pytest.mark.parametrize(
    ("kind", "decimals", "sql", "held"),
    # Whole units are integers, which may have more digits than a numeric.
    [(kind, *one) for kind in (Type.CENTS, Type.UNITS) for one in OTHER_DECIMALS if kind is Type.CENTS or one[0]],
)
def test_a_shop_of_other_decimals(
    lake: duckdb.DuckDBPyConnection,
    postgres: psycopg.Connection[Any],
    kind: Type,
    decimals: int,
    sql: str,
    held: int | None,
) -> None:
    """Read unchanged or called unreadable; and what was read is published as the shop has it."""
    readable = kind.readable_sql("value", decimals=decimals, fractional=True)
    read = f"case when {readable} then {kind.from_source_sql('value', decimals=decimals)} end"
    found = postgres.execute(f"select {readable}, {read}, value from (select {sql} as value) as source").fetchone()
    assert found is not None
    assert found[:2] == (held is not None, held)
    if held is not None:
        published = lake.execute(
            f"select cast({kind.to_warehouse_sql('value', decimals)} as varchar)"
            f" from (select cast({held} as bigint) as value)"
        ).fetchone()
        back = postgres.execute(f"select %s::text::{kind.postgres(decimals)}", published).fetchone()
        assert back == (found[2],)


@pytest.mark.parametrize(("rounding", "held"), [(Rounding.HALF_UP, 1235), (Rounding.HALF_EVEN, 1234)])
def test_what_is_finer_than_three_decimals_is_rounded(
    postgres: psycopg.Connection[Any], rounding: Rounding, held: int
) -> None:
    read = Type.CENTS.from_source_sql("value", rounding, 3)
    assert postgres.execute(f"select {read} from (select 1.2345::numeric as value) as source").fetchone() == (held,)


def test_a_day_is_counted_from_the_first_of_1970() -> None:
    assert [day_number(day) for day in (date(1970, 1, 1), date(1969, 12, 31), date(2026, 11, 21))] == [0, -1, 20778]
