"""The views of a night: how a row's key is written."""

from __future__ import annotations

import duckdb
import pytest

from include.lake.night_views import row_key
from include.sources import SOURCES


@pytest.mark.parametrize(
    ("source", "values", "shown"),
    [
        ("orders", "'222682/-' as order_id", "222682/-"),
        ("orders", "222682 as order_id", "222682"),
        ("orders", "null as order_id", "∅"),
        ("inventory", "'a/b' as product_id, 'c' as warehouse_id", "a//b/c"),
        ("inventory", "'a' as product_id, '/b/c' as warehouse_id", "a///b//c"),
    ],
)
def test_only_what_must_be_escaped_in_a_key_is(source: str, values: str, shown: str) -> None:
    with duckdb.connect() as connection:
        assert connection.execute(f"select {row_key(SOURCES[source])} from (select {values})").fetchone() == (shown,)
