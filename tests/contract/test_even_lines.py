"""The mapping of reading.md that leaves no cent over, run as it stands there."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import pytest

from tests.conftest import Database

PAGE = Path("include/sources/reading.md")
TABLES = """
create table orders (id integer, total numeric, tax numeric, shipping numeric);
create table lines (line_id integer, order_id integer, quantity integer, price numeric);
"""


@pytest.fixture
def statement() -> str:
    """The statement of the page that splits what an order comes to over its lines."""
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (found,) = [dedent(block) for block in blocks if "up_to" in block]
    return found


def test_lines_come_to_what_their_order_does(shop_database: Database, statement: str) -> None:
    """The example of the page; a thousand orders of one to seven lines, one of them of an order for nothing."""
    with shop_database.connect("shopkeeper") as shop:
        shop.execute(TABLES.encode())
        shop.execute("insert into orders values (0, 30.00, 4.79, 0)")
        shop.execute("insert into lines select number, 0, 1, 10.00 from generate_series(1, 3) as number")
        shop.execute(
            """
            insert into lines
            select 10 * id + number, id, 1 + mod(id * number, 5), mod(id * 7919 + number * 104729, 5000) / 100.0
            from generate_series(1, 1000) as id, generate_series(0, mod(id, 7)) as number
            """
        )
        shop.execute("update lines set price = 0 where order_id = 500")
        shop.execute(
            """
            insert into orders
            select order_id, gross + 4.90, round(gross * 19 / 119, 2) + 0.78, 4.12
            from (select order_id, sum(quantity * price) as gross from lines where order_id > 0 group by order_id)
                as summed
            """
        )
        rows = shop.execute(statement.encode()).fetchall()
        goods: dict[int, Decimal] = dict(shop.execute("select id, total - tax - shipping from orders").fetchall())
    assert sorted(subtotal for _, order, _, subtotal, _ in rows if order == 0) == [
        Decimal("8.40"),
        Decimal("8.40"),
        Decimal("8.41"),
    ]
    sums = dict.fromkeys(goods, Decimal(0))
    for _, order, quantity, subtotal, unit_price in rows:
        sums[order] += subtotal
        assert abs(subtotal - quantity * unit_price) <= quantity * Decimal("0.005")
    assert sums == goods
