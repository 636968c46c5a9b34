"""The exchange desk: one product back, another out, in the same order, and the difference settled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio

from include.demo_shop.commands import ExchangeLine, RefundLine
from include.demo_shop.errors import (
    OutOfStock,
    RefundTooLarge,
    ShopError,
    UnknownOrderItem,
    UnknownProduct,
    UnknownStock,
    WrongStatus,
)
from include.demo_shop.exchanges import ExchangeDesk
from include.demo_shop.service import open_engine
from tests.demo_shop.conftest import Stall
from tests.demo_shop.contents import contents
from tests.demo_shop.invariants import broken_invariants

PAID = "select string_agg(kind || ' ' || trim_scale(amount), ', ' order by transaction_id) from payments"


@pytest_asyncio.fixture
async def desk(stall: Stall) -> AsyncIterator[ExchangeDesk]:
    """The desk of the stall, which has five units of each product."""
    for product in range(3):
        await stall.stock(5, product)
    engine = open_engine(stall.database.url("shopkeeper"))
    yield ExchangeDesk(engine)
    await engine.dispose()


@pytest.mark.parametrize(
    ("old", "new", "difference", "subtotal", "tax", "total", "paid"),
    [
        # 10.00 back, 19.99 out: 9.99 and a euro of tax more.
        (0, 2, "10.99", "29.99", "3.49", "38.38", "capture 16.39, capture 10.99"),
        # 19.99 back with 1.99 of tax, 3.33 out with 0.33.
        (2, 1, "-18.32", "23.32", "2.82", "31.04", "capture 27.38, refund 18.32"),
        (0, 0, "0", "20", "2.49", "27.39", "capture 16.39"),
    ],
)
async def test_what_costs_more_is_paid_and_what_costs_less_is_paid_back(
    stall: Stall,
    desk: ExchangeDesk,
    old: int,
    new: int,
    difference: str,
    subtotal: str,
    tax: str,
    total: str,
    paid: str,
) -> None:
    order = await stall.delivered(stall.line(old, 1))
    before = stall.row(order.order_id)

    swap = await desk.exchange(ExchangeLine(order.order_item_ids[0], stall.products[new], stall.warehouses[0]))

    row = stall.row(order.order_id)
    assert swap.difference == Decimal(difference)
    assert [row[name] for name in ("subtotal", "tax", "total")] == [Decimal(one) for one in (subtotal, tax, total)]
    assert [row[name] == before[name] for name in ("status", "shipped_at", "delivered_at", "updated_at")] == [
        True,
        True,
        True,
        False,
    ]
    assert stall.shop.execute(PAID).fetchone() == (paid,)
    assert stall.shelf(old) == (5, int(old == new))
    assert stall.shelf(new) == (5, 1)
    assert broken_invariants(stall.shop) == {}

    await desk.send(swap.order_item_id)
    assert stall.shelf(new) == (4, 0)
    await desk.hand_over(swap.order_item_id)
    arrived = "select count(delivered_at), count(distinct shipment_number) from shipment_items"
    assert stall.shop.execute(arrived).fetchone() == (2, 2)
    assert broken_invariants(stall.shop) == {}


async def test_what_is_left_of_a_line_is_exchanged_and_who_has_not_paid_owes_the_new_total(
    stall: Stall, desk: ExchangeDesk
) -> None:
    order = await stall.delivered(stall.line(0, 3), paid_by="on_account")
    await stall.service.refund(RefundLine(order.order_item_ids[0], 1, restock=False))

    await desk.exchange(ExchangeLine(order.order_item_ids[0], stall.products[1], stall.warehouses[0]))

    lines = "select product_id, quantity, sold_at is not null from order_items order by order_item_id"
    assert stall.shop.execute(lines).fetchall() == [(1, 3, False), (2, 2, True)]
    assert stall.shop.execute("select sum(quantity) from refunds").fetchone() == (3,)
    assert stall.shop.execute("select count(*) from payments").fetchone() == (0,)
    assert broken_invariants(stall.shop) == {}


async def test_an_exchange_that_cannot_be_changes_nothing(stall: Stall, desk: ExchangeDesk) -> None:
    order = await stall.delivered(stall.line(0, 2), stall.line(1, 1))
    underway = await stall.service.create(stall.order(stall.line(0, 1)))
    first, second = order.order_item_ids
    await stall.service.refund(RefundLine(second, 1, restock=False))
    swap = await desk.exchange(ExchangeLine(first, stall.products[1], stall.warehouses[0]))
    await stall.service.create(stall.order(stall.line(2, 5)))
    before = contents(stall.shop)
    attempts: list[tuple[ExchangeLine, type[ShopError]]] = [
        (ExchangeLine(99, stall.products[1], stall.warehouses[0]), UnknownOrderItem),
        (ExchangeLine(first, 99, stall.warehouses[0]), UnknownProduct),
        (ExchangeLine(first, stall.products[1], stall.warehouses[0]), RefundTooLarge),
        (ExchangeLine(second, stall.products[1], stall.warehouses[0]), RefundTooLarge),
        (ExchangeLine(swap.order_item_id, stall.products[1], stall.warehouses[0]), WrongStatus),
        (ExchangeLine(underway.order_item_ids[0], stall.products[1], stall.warehouses[0]), WrongStatus),
    ]
    for command, error in attempts:
        with pytest.raises(error):
            await desk.exchange(command)
    await desk.send(swap.order_item_id)
    with pytest.raises(UnknownOrderItem):
        await desk.send(swap.order_item_id)
    await desk.hand_over(swap.order_item_id)
    with pytest.raises(OutOfStock):
        await desk.exchange(ExchangeLine(swap.order_item_id, stall.products[2], stall.warehouses[0]))
    with pytest.raises(UnknownStock):
        await desk.exchange(ExchangeLine(swap.order_item_id, stall.products[1], stall.warehouses[1]))
    assert {name: len(rows) for name, rows in contents(stall.shop).items()} == {
        name: len(rows) + (1 if name in {"inventory_movements", "shipment_items"} else 0)
        for name, rows in before.items()
    }
    assert broken_invariants(stall.shop) == {}
