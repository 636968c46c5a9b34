"""A number that 64 bits do not hold: no engine publishes another one, and the column and the row are named."""

from __future__ import annotations

from typing import Any

import pytest

from include.contract import ContractError
from tests.transforms.conftest import Report


def _hoard(receipts: int, cost: int) -> dict[str, Any]:
    """A shelf that ten million units come to, again and again: each a movement that the gate takes for credible."""
    return {
        "products": f"""
            product_id sku name unit_cost_cents unit_price_cents is_active
            4          D   d    100             200              yes
            5          E   e    {cost}          {cost}           yes
        """,
        "warehouses": """
            warehouse_id code name
            1            A    a
        """,
        "inventory_movements": [
            {
                "movement_id": number,
                "product_id": 4 if number == 1 else 5,
                "warehouse_id": 1,
                "kind": "receipt",
                "quantity": 10_000_000,
                "moved_on": 20454 + number // 100,  # from 2026-01-01
            }
            for number in range(1, receipts + 1)
        ],
        "inventory": f"""
            product_id warehouse_id on_hand                      reserved reorder_point unexplained_units unexplained_reserved
            4          1            10000000                     0        0             0                 0
            5          1            {(receipts - 1) * 10_000_000} 0       0             0                 0
        """,
    }


def test_the_column_the_row_and_the_greatest_values_are_named(report: Report) -> None:
    """4 billion units at 30 million: the first day of the shelf on which its value does not fit is the fourth."""
    with pytest.raises(ContractError) as refused:
        report(_hoard(401, 3_000_000_000), as_of="2026-01-10").rows("inventory_daily")
    assert str(refused.value) == (
        "reporting.inventory_daily cannot be built, a number has more than 64 bits: closing_value of day 2026-01-04,"
        " product_id 5, warehouse_id 1 is about 119,000,000,000,000,000.00. The greatest values that it reads:"
        " inventory.on_hand 4,000,000,000 of product_id 5, warehouse_id 1; inventory_movements.quantity 10,000,000 of"
        " movement_id 1; products.unit_cost 30,000,000.00 of product_id 5"
    )


def test_what_just_fits_is_built(report: Report) -> None:
    made = report(_hoard(301, 3_000_000_000), as_of="2026-01-10").rows("inventory_daily")
    assert max(row["closing_value_cents"] for row in made) == 3_000_000_000 * 3_000_000_000


def test_what_overflows_on_the_way_is_named_by_what_the_table_reads(pandas_report: Report) -> None:
    """Twenty thousand tonnes in a day, in a shop of grams: DuckDB adds up their squares in 128 bits, pandas does not."""
    lines = [
        {"order_item_id": number, "order_id": 1, "product_id": 5, "warehouse_id": 1, "quantity": 10_000_000_000,
         "unit_price_cents": 1, "unit_cost_cents": 1, "sold_on": 20455}
        for number in (1, 2)
    ]  # fmt: skip
    shop = _hoard(2, 100) | {
        "orders": """
            order_id customer_id status  currency subtotal_cents discount_cents tax_cents total_cents ordered_at
            1        1           pending EUR      20000000       0              0         20000000    2026-01-02
        """,
        "order_items": lines,
    }
    with pytest.raises(ContractError) as refused:
        pandas_report(shop, as_of="2026-01-10", unit_decimals=3).rows("product_demand")
    said = str(refused.value)
    assert said.startswith("features.product_demand cannot be built, a number has more than 64 bits: ")
    assert "10,000,000.000 of order_item_id 1" in said or "20,000,000.000 of" in said
