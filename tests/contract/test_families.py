"""What a derived column needs has its row checked again, or the declaration is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.contract import Column, ContractError, Derived, Source, Type
from include.contract.families import check_needs
from include.sources import SOURCES

LAST_SHIPPED = Column("last_shipped_at", Type.AT, "When the last unit was taken off a shelf.", nullable=True)


def declaring(source: str, *needs: str, judged_whole: bool = False, sql: str = "", **through: str) -> dict[str, Source]:
    """The sources, of which one has a derived column that needs others."""
    derived = Derived(LAST_SHIPPED, sql or " + ".join(f"(select 1 from {need})" for need in needs), needs, through)
    declared = replace(SOURCES[source], derived=(*SOURCES[source].derived, derived), judged_whole=judged_whole)
    return {**SOURCES, source: declared}


@pytest.mark.parametrize(
    "sources",
    [
        SOURCES,
        declaring("orders", "refunds", "order_items"),  # its family
        declaring("refunds", "refunds"),  # other parts of the same line
        declaring("orders", "inventory_movements", inventory_movements="order_id@order_items"),
        declaring("inventory_movements", "inventory", inventory="product_id"),
        declaring("customers", "orders", orders="customer_id"),
        declaring("customers", "orders", judged_whole=True),
    ],
)
def test_what_leads_to_the_row_is_accepted(sources: dict[str, Source]) -> None:
    check_needs(sources)


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (
            declaring("orders", "order_items", "inventory_movements"),
            "orders.last_shipped_at needs inventory_movements, and a change there would not have the row checked again",
        ),
        (declaring("orders", "customers"), "needs customers, and a change there"),
        # Its own source need not be named; it is read all the same.
        (
            declaring("customers", sql="(select count(*) from customers as other where other.email = row.email)"),
            "needs customers, and a change there",
        ),
        (declaring("customers", "customers"), "needs customers, and a change there"),  # no row's family but its own
        (
            declaring("orders", "inventory_movements", inventory_movements="order_id"),
            "'order_id' leads from no row of inventory_movements to its own",
        ),
        (
            declaring("orders", "inventory_movements", inventory_movements="order_id@refunds"),
            "'order_id@refunds' leads from no row",
        ),
        (
            declaring("orders", "inventory_movements", inventory_movements="order_id@customers"),
            "'order_id@customers' leads from no row",
        ),
        (declaring("orders", "order_items", refunds="order_id"), "through names refunds, which it does not need"),
    ],
)
def test_what_leads_nowhere_is_refused(sources: dict[str, Source], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_needs(sources)
