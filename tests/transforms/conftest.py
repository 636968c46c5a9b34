"""A shop drawn as small tables, built on every engine.

A table is lines of words under a line of column names, all by lake name. ``-`` is null, ``''`` an empty text, days are dates, months ``2026-01``, instants are
``date`` or ``dateThour:minute`` in UTC, ratios are fractions (``2500/300``), and an ``_on`` column that is not drawn is
the day of its ``_at``.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from include.contract import Source, Table, Type
from include.contract.arrow import arrow_schema
from include.contract.currency import decimals_of
from include.contract.source import BEGINNING
from include.contract.types import DECIMALS, UNIT_DECIMALS
from include.sources import SOURCES
from include.sources.dimensions import with_dimensions
from transforms.build import Built, build
from transforms.engines import ENGINES, Engine, Frame, Local
from transforms.registry import TABLES

EPOCH = datetime.date(1970, 1, 1)
FIRST_DAY = "2026-01-01"

Shop = Mapping[str, str | list[dict[str, Any]]]  # drawn, or rows by lake name


def written(engine: str, make: Callable[[Engine], Frame], schema: pa.Schema, order: list[str], into: Path) -> list[Any]:
    """The rows of a frame as an engine writes them."""
    into.mkdir(parents=True, exist_ok=True)
    with ENGINES[engine](Local()) as runner:
        files = runner.write(make(runner), schema, order, into)
        return list(pa.concat_tables([parquet.read_table(file, schema=schema) for file in files]).to_pylist())


def day(text: str) -> int:
    """The day number of an ISO date."""
    return (datetime.date.fromisoformat(text) - EPOCH).days


def rows(table: Table, drawn: str) -> list[dict[str, Any]]:
    """The rows of a drawn table; only the drawn columns.

    Columns have the names that they have in the lake: money is a whole number of cents, ``<column>_cents``. A null is
    drawn as ``-``, a boolean as ``yes`` or ``no``.

    Raises:
        ValueError: naming the table and the column, or the row, that cannot be read.
    """
    types = {column.lake_name: column.type for column in table.lake_columns}
    header, *lines = [line.split() for line in drawn.strip().splitlines()] if drawn.strip() else [[]]
    if unknown := [name for name in header if name not in types]:
        raise ValueError(f"{table.name} has no column {', '.join(unknown)}; there are {', '.join(types)}")
    found = []
    for line in filter(None, lines):
        if len(line) != len(header):
            raise ValueError(f"{table.name}, row {' '.join(line)!r}: {len(line)} values under {len(header)} columns")
        try:
            found.append({name: _value(types[name], word) for name, word in zip(header, line, strict=True)})
        except (KeyError, ValueError) as error:
            raise ValueError(f"{table.name}, row {' '.join(line)!r}: {error}; a null is drawn as -") from error
    return found


def _value(kind: Type, word: str) -> Any:
    if word == "-":
        return None
    if kind is Type.DAY:
        return day(word)
    if kind is Type.MONTH:
        return (int(word[:4]) - EPOCH.year) * 12 + int(word[5:]) - 1
    if kind is Type.AT:
        return datetime.datetime.fromisoformat(word).replace(tzinfo=datetime.UTC)
    if kind is Type.BOOLEAN:
        return {"yes": True, "no": False}[word]
    if kind is Type.RATIO:
        ratio = Fraction(word)
        return ratio.numerator / ratio.denominator
    if word == "''":
        return ""
    return word if kind in (Type.TEXT, Type.UUID, Type.JSON) else int(word)


def source_table(source: Source, given: str | list[dict[str, Any]]) -> pa.Table:
    """A source's rows in the lake; what is not given is its default, null, the day of a given instant, or said by a movement's kind."""
    drawn = rows(source, given) if isinstance(given, str) else given
    defaults = {column.lake_name: column.default for column in source.columns if column.default is not None}
    complete = [defaults | row | _days(source, row) for row in drawn]
    for row in complete:
        if source.name == "orders":
            finer = source.decimals - decimals_of(row.get("currency", ""))
            row.setdefault("unit_to_spread_cents", 10 ** max(0, finer))
            row.setdefault("voided_on", row.get("cancelled_on"))
        if source.name == "inventory_movements":
            row.setdefault("changes_reserved", row["kind"] in ("reservation", "release", "shipment"))
            row.setdefault("moves_units", row["kind"] not in ("reservation", "release") and row["quantity"] != 0)
    return pa.Table.from_pylist(complete, arrow_schema(source))


def _versions(source: Source, shop: Shop) -> pa.Table:
    """The versions of a source's rows; where they are not given, each row has always been what it is."""
    versions = source.versions
    if versions.name in shop:
        return source_table(versions, shop[versions.name])
    now = source_table(source, shop.get(source.name, "")).to_pylist()
    return pa.Table.from_pylist([{"valid_from": BEGINNING} | row for row in now], arrow_schema(versions))


def _days(source: Source, row: dict[str, Any]) -> dict[str, Any]:
    names = [column.lake_name for column in source.lake_columns if column.type is Type.DAY]
    instants = {name: row.get(name.replace("_on", "_at")) for name in names if name not in row}
    return {name: (instant.date() - EPOCH).days for name, instant in instants.items() if instant}


class Reporting:
    """The published tables of a drawn shop, each built when it is asked for, after its inputs."""

    def __init__(
        self,
        shop: Shop,
        as_of: str,
        engine: str,
        folder: Path,
        keys: Mapping[str, Type],
        dimensions: str = "",
        decimals: int = DECIMALS,
        unit_decimals: int = UNIT_DECIMALS,
    ) -> None:
        self.as_of, self.engine, self.folder = as_of, engine, folder
        self._built: dict[str, Built] = {}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dimensions.toml").write_text(dimensions)
        typed = {name: source.typed(keys, decimals, unit_decimals) for name, source in SOURCES.items()}
        self.sources = with_dimensions(typed, folder)
        for name, source in self.sources.items():
            parquet.write_table(source_table(source, shop.get(name, "")), folder / f"source_{name}.parquet")
            if source.history:
                parquet.write_table(_versions(source, shop), folder / f"source_{source.versions.name}.parquet")

    def files(self, name: str) -> dict[str, list[str]]:
        """The inputs of a table: the drawn sources, and what was built of the others."""
        return {
            entry.parameter: [str(file) for file in self.built(entry.name).files]
            if entry.is_published
            else [str(self.folder / f"source_{entry.name}.parquet")]
            for entry in TABLES[name].inputs
        }

    def built(self, name: str) -> Built:
        """What the build of a table wrote."""
        if name not in self._built:
            self._built[name] = build(
                name,
                self.files(name),
                self.sources,
                as_of=day(self.as_of),
                first_day=lambda: day(FIRST_DAY),
                engine=self.engine,
                into=self.folder / name,
            )
        return self._built[name]

    def arrow(self, name: str) -> pa.Table:
        """A published table's rows as they were written."""
        built = self.built(name)
        return pa.concat_tables([parquet.read_table(file, schema=arrow_schema(built.table)) for file in built.files])

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The same as Python rows."""
        return list(self.arrow(name).to_pylist())

    def check(self, name: str, drawn: str) -> None:
        """The table has exactly these rows, in the order of its key; only the drawn columns are compared."""
        expected = rows(self.built(name).table, drawn)
        names = drawn.split("\n", 2)[1].split()
        found = [{column: row[column] for column in names} for row in self.rows(name)]
        assert found == expected


Report = Callable[..., Reporting]


@pytest.fixture
def engine(request: pytest.FixtureRequest, clusters: Callable[[str], None]) -> str:
    """Every engine of ``--engines`` in turn."""
    clusters(request.param)
    return str(request.param)


@pytest.fixture
def report(engine: str, tmp_path: Path) -> Report:
    """Build the tables of a drawn shop: ``report(shop, as_of="2026-01-10")``; ``dimensions`` is its file of them."""
    return _reporting(engine, tmp_path)


@pytest.fixture
def pandas_report(tmp_path: Path) -> Report:
    """The same on pandas alone, for shops drawn at random: test_parity.py has one of them on every engine."""
    return _reporting("pandas", tmp_path)


def _reporting(engine: str, folder: Path) -> Report:
    count = iter(range(100))

    def reporting(
        shop: Shop,
        as_of: str = "2026-01-10",
        keys: Mapping[str, Type] | None = None,
        dimensions: str = "",
        decimals: int = DECIMALS,
        unit_decimals: int = UNIT_DECIMALS,
    ) -> Reporting:
        into = folder / str(next(count))
        return Reporting(shop, as_of, engine, into, keys or {}, dimensions, decimals, unit_decimals)

    return reporting


@pytest.fixture
def shop() -> dict[str, str]:
    """Five customers over ten days; every order is there for a reason.

    1: two lines, one refunded twice, a discount that does not divide. 2: cancelled on a later day. 3: USD on order 1's
    day. 4: refunded on another day, and cancelled after the 10th. 5: after the 10th. 6: a product the shop no longer
    has, at unknown cost. 7: the second order of customer 2, whose first was cancelled.
    """
    return {
        "customers": """
            customer_id created_at
            1           2026-01-01
            2           2026-01-01
            3           2026-01-01
            4           2026-01-01
            9           2026-01-01
        """,
        "products": """
            product_id sku    category unit_cost_cents
            10         tea    drinks   300
            11         coffee drinks   450
            12         cup    ware     100
        """,
        "orders": """
            order_id customer_id status     currency subtotal_cents discount_cents tax_cents total_cents ordered_at       shipped_at       delivered_at cancelled_at     seconds_to_ship seconds_to_deliver
            1        1           delivered  EUR      3000           100            290       3190        2026-01-02T10:00 2026-01-03T10:00 2026-01-05   -                86400           136800
            2        2           cancelled  EUR      1000           0              100       1100        2026-01-02T11:00 -                -            2026-01-04       -               -
            3        1           processing USD      700            0              70        770         2026-01-02T12:00 -                -            -                -               -
            4        3           cancelled  EUR      2000           0              200       2200        2026-01-05T09:00 2026-01-06T09:00 -            2026-01-12       86400           -
            5        4           pending    EUR      500            0              50        550         2026-01-11T09:00 -                -            -                -               -
            6        4           pending    EUR      999            99             90        990         2026-01-06T09:00 -                -            -                -               -
            7        2           shipped    EUR      1000           0              100       1100        2026-01-06T10:00 2026-01-12       -            -                482400          -
        """,
        "order_items": """
            order_item_id order_id product_id warehouse_id quantity unit_price_cents unit_cost_cents sold_on
            101           1        10         1            2        1000             300             2026-01-02
            102           1        11         1            1        1000             450             2026-01-02
            201           2        10         1            1        1000             300             2026-01-02
            301           3        12         2            7        100              100             2026-01-02
            401           4        10         1            2        1000             300             2026-01-05
            501           5        12         1            5        100              100             2026-01-11
            601           6        99         1            1        333              -               2026-01-06
            602           6        12         1            2        333              100             2026-01-06
            701           7        10         1            1        1000             300             2026-01-06
        """,
        "refunds": """
            refund_id order_item_id quantity amount_cents restocked refunded_at
            1         101           1        1000         yes       2026-01-05
            2         101           1        900          no        2026-01-06
            3         401           1        1000         yes       2026-01-09
            4         102           1        1000         yes       2026-01-12
        """,
    }
