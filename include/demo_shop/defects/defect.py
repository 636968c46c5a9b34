"""What a defect is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

MISSING_KEY: Final = "{missing}"
"""In a change: a key, of the shop's type, that no row has."""

NEVER_REFUNDED = """not exists (
    select from refunds join order_items using (order_item_id) where order_items.order_id = victim.order_id
    union all
    select from order_refunds where order_refunds.order_id = victim.order_id
)"""
"""In a condition: nothing of the victim's order was refunded."""

Source = Literal[
    "customers",
    "products",
    "orders",
    "order_items",
    "refunds",
    "order_refunds",
    "payments",
    "shipment_items",
    "inventory",
    "inventory_movements",
    "purchase_order_lines",
    "kit_components",
]


@dataclass(frozen=True)
class Defect:
    """One kind of defect.

    Attributes:
        name: what it is called.
        source: the table whose row is wrong.
        description: what is wrong, for a person.
        rule: what is true of a healthy row and not of this one.
        change: SQL expressions over the row, by column: what it is set to.
        extra: the same, of a row that is added; empty if the row itself is changed.
        where: SQL condition that the victim (alias ``victim``; its order, if any: ``parent``) fulfils before.
        drops: constraints of the table that are in the way.
        nullable: columns of the table that must be able to be null.
        keeps_key: an extra row has its victim's key instead of a new one.
        is_warning: suspicious rather than wrong: nothing is to be held back for it.
    """

    name: str
    source: Source
    description: str
    rule: str
    change: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)
    where: str = "true"
    drops: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    keeps_key: bool = False
    is_warning: bool = False

    def __post_init__(self) -> None:
        if bool(self.change) == bool(self.extra):
            raise ValueError(f"{self.name} either changes a row or adds one")
