"""What a shipment's rows say of it: one thing, where null is the warehouse of the line."""

from __future__ import annotations

import duckdb
import pytest

from include.sources.shipment_items import SHIPMENT_ITEMS

# Lines 11 and 12 of order 1 lie in warehouses 1 and 2, line 21 of order 2 in 1.
_LINES = """
create table order_items as
select * from (values (11, 1, 1), (12, 1, 2), (21, 2, 1)) as line (order_item_id, order_id, warehouse_id)
"""


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["11 A 1 1 - -", "12 A 1 1 - -"], [1, 1]),
        (["11 A 1 1 - -", "12 A 2 1 - -"], [2, 2]),  # it leaves from one place
        (["11 A - 1 - -", "11 A 1 1 - -"], [1, 1]),  # null is the line's
        (["11 A - 1 - -", "12 A 1 1 - -"], [1, 1]),
        (["11 A - 1 - -", "12 A - 1 - -"], [2, 2]),  # and the other line's is another
        (["11 A 1 1 2 -", "12 A 1 1 - -"], [2, 2]),
        (["11 A 1 1 2 -", "12 A 1 1 2 3"], [2, 2]),
        (["11 A 1 1 - -", "12 B 2 2 - -"], [1, 1]),  # two shipments
        (["11 A 1 1 - -", "21 A 1 2 - -"], [1, 1]),  # one number, of two orders
    ],
)
def test_all_rows_of_a_shipment_say_the_same(rows: list[str], said: list[int]) -> None:
    (found,) = [one.whole_sql for one in SHIPMENT_ITEMS.derived if one.column.name == "said_of_shipment"]
    with duckdb.connect() as connection:
        connection.execute(_LINES)
        connection.execute(
            """
            create table shipment_items (
                shipment_item_id integer, order_item_id integer, shipment_id text, warehouse_id integer,
                shipped_at integer, delivered_at integer, cancelled_at integer
            )
            """
        )
        for number, row in enumerate(rows):
            values = [None if word == "-" else word for word in row.split()]
            connection.execute("insert into shipment_items values (?, ?, ?, ?, ?, ?, ?)", [number, *values])
        asked = connection.execute(f"select {found} from shipment_items as row order by shipment_item_id")
        assert [count for (count,) in asked.fetchall()] == said
