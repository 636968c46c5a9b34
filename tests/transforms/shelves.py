"""A shop drawn by its shelves: what came in and what was sold, day by day."""

from __future__ import annotations

from typing import Any

from tests.transforms.conftest import day

_OF_ORDER = {"customer_id": 1, "status": "pending", "currency": "EUR", "discount_cents": 0, "tax_cents": 0}
_EFFECTS = {"receipt": ("received", 1), "reservation": ("sold", 1), "shipment": ("sold", -1)}


def shelves(drawn: str) -> dict[str, Any]:
    """A shop of these days.

    Args:
        drawn: ``day product_id warehouse_id received sold``, and ``price_cents`` (else 1000). What is sold is one
            order, reserved and shipped the same day.
    """
    header, *lines = [line.split() for line in drawn.strip().splitlines()]
    shop: dict[str, Any] = {"orders": [], "order_items": [], "inventory_movements": []}
    for line in lines:
        drawn_row = dict(zip(header, line, strict=True))
        on = day(drawn_row.pop("day"))
        row = {name: int(word) for name, word in drawn_row.items()}
        shelf = {name: row[name] for name in ("product_id", "warehouse_id")}
        for kind, (column, sign) in _EFFECTS.items():
            if quantity := row[column] * sign:
                number = len(shop["inventory_movements"]) + 1
                movement = {"movement_id": number, "kind": kind, "quantity": quantity, "moved_on": on, **shelf}
                shop["inventory_movements"].append(movement)
        if row["sold"]:
            number, price = len(shop["orders"]) + 1, row.get("price_cents", 1000)
            order = {"order_id": number, "subtotal_cents": row["sold"] * price, "ordered_on": on, **_OF_ORDER}
            item = {"quantity": row["sold"], "unit_price_cents": price, "sold_on": on, **shelf}
            shop["orders"].append(order | {"total_cents": row["sold"] * price})
            shop["order_items"].append({"order_item_id": number, "order_id": number, **item})
    return shop
