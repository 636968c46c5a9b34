"""The Arrow schema that follows from a declaration, and the asset."""

from __future__ import annotations

import pyarrow as pa
import pytest

from include.contract import Table, Type
from include.contract.arrow import arrow_schema, arrow_type
from include.pipeline.assets import asset
from include.sources import SOURCES
from transforms.registry import TABLES

EVERY = {table.qualified_name: table for table in (*SOURCES.values(), *(one.table for one in TABLES.values()))}


def test_money_days_and_counts_are_whole_numbers_in_the_lake() -> None:
    assert {kind: str(arrow_type(kind)) for kind in Type} == {
        Type.INTEGER: "int64",
        Type.TEXT: "string",
        Type.UUID: "string",
        Type.BOOLEAN: "bool",
        Type.JSON: "string",
        Type.CENTS: "int64",
        Type.UNITS: "int64",
        Type.DAY: "int64",
        Type.MONTH: "int64",
        Type.AT: "timestamp[us, tz=UTC]",
        Type.RATIO: "double",
    }


@pytest.mark.parametrize("table", EVERY.values(), ids=EVERY)
def test_the_lake_holds_the_columns_in_order_under_their_lake_names(table: Table) -> None:
    schema = arrow_schema(table)
    assert schema.names == [column.lake_name for column in table.lake_columns]
    assert schema.types == [arrow_type(column.type) for column in table.lake_columns]
    assert all(field.nullable for field in schema)
    assert isinstance(schema, pa.Schema)


def test_floats_are_ratios_and_nothing_else() -> None:
    floats = {kind for kind in Type if pa.types.is_floating(arrow_type(kind))}
    assert floats == {Type.RATIO}


def test_an_asset_is_called_like_its_table() -> None:
    one = asset(TABLES["daily_sales"].table)
    assert (one.name, one.uri) == ("reporting.daily_sales", "stocktake://warehouse/reporting/daily_sales")


def test_no_two_tables_share_an_asset() -> None:
    assets = [asset(one.table) for one in TABLES.values()]
    assert len({one.name for one in assets}) == len({one.uri for one in assets}) == len(assets) > 1
