"""Live mode: many customers trade through the order service at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from include.demo_shop.commands import (
    CancelOrder,
    ChangePrice,
    CloseDay,
    ExchangeLine,
    Key,
    OrderLine,
    PlaceOrder,
    ReceiveStock,
    RefundLine,
    RegisterCustomer,
)
from include.demo_shop.errors import DayClosed, InvalidCommand, OutOfStock, ShopError
from include.demo_shop.exchanges import ExchangeDesk
from include.demo_shop.history.names import CHANNELS, GUESTS
from include.demo_shop.money import CURRENCIES
from include.demo_shop.office import Office
from include.demo_shop.service import OrderService, open_engine

_STAGES: Final = ("pending", "processing", "shipped")
_REASONS: Final = ("changed_mind", "ordered_by_mistake", "out_of_stock", "payment_failed")
_CELLS = """
select product_id, warehouse_id from inventory join products using (product_id)
where is_active
order by product_id, warehouse_id
"""
_CUSTOMERS = "select customer_id from customers order by updated_at desc limit 5000"
_OPEN_ORDERS = "select order_id from orders where status = :status order by updated_at desc limit 2000"
_ITEMS = "select order_item_id, quantity from order_items where order_id = :order_id and removed_at is null"


class EmptyShop(Exception):
    """There is nothing to sell or nobody to sell it to."""


@dataclass(frozen=True)
class Traffic:
    """How much is going on.

    Attributes:
        customers: how many trade at once.
        per_second: how many commands they give together, on average.
        seconds: for how long.
        seed: of their choices; the database decides who comes first.
    """

    customers: int = 20
    per_second: float = 50.0
    seconds: float = 10.0
    seed: int = 1


@dataclass
class _Floor:
    """What the traders know of the shop."""

    service: OrderService
    office: Office
    desk: ExchangeDesk
    cells: list[tuple[Key, Key]]
    customers: list[Key]
    open_orders: dict[str, list[Key]]
    sold_items: list[tuple[Key, int]] = field(default_factory=list)
    to_send: list[Key] = field(default_factory=list)
    on_their_way: list[Key] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)


async def trade(url: str, traffic: Traffic, timezone: tzinfo = UTC) -> Counter[str]:
    """Let customers trade for a while; the office closes a day that ends meanwhile.

    Args:
        url: the shop, as its owner.
        traffic: how much is going on.
        timezone: the shop's, which decides when a day ends.

    Returns:
        Counts by event: ``created``, ``shipped``, …, ``day closed``, ``refused: OutOfStock``, …

    Raises:
        EmptyShop: when there is nothing to trade with.
    """
    engine = open_engine(url, connections=min(traffic.customers, 20))
    try:
        floor = await _look_around(engine)
        traders = (_customer(engine, floor, traffic, number) for number in range(traffic.customers))
        await asyncio.gather(*traders, _close_days(floor, timezone, traffic.seconds))
        return floor.happened
    finally:
        await engine.dispose()


async def _look_around(engine: AsyncEngine) -> _Floor:
    async with engine.connect() as connection:
        cells = [(row[0], row[1]) for row in await connection.execute(text(_CELLS))]
        customers = [row[0] for row in await connection.execute(text(_CUSTOMERS))]
        open_orders = {
            status: [row[0] for row in await connection.execute(text(_OPEN_ORDERS), {"status": status})]
            for status in _STAGES
        }
    if not cells or not customers:
        raise EmptyShop("the shop has no stock or no customers: fill it first")
    return _Floor(OrderService(engine), Office(engine), ExchangeDesk(engine), cells, customers, open_orders)


async def _customer(engine: AsyncEngine, floor: _Floor, traffic: Traffic, number: int) -> None:
    dice = random.Random(traffic.seed * 1_000_003 + number)  # noqa: S311 -- a simulation, not a secret
    clock = asyncio.get_running_loop().time
    end = clock() + traffic.seconds
    pause = traffic.customers / traffic.per_second
    while True:
        wait = dice.expovariate(1.0) * pause
        if clock() + wait >= end:
            return
        await asyncio.sleep(wait)
        try:
            floor.happened[await _act(engine, floor, dice)] += 1
        except OutOfStock as refusal:
            floor.happened["refused: OutOfStock"] += 1
            await floor.service.receive(ReceiveStock(refusal.product_id, refusal.warehouse_id, 24))
            floor.happened["received"] += 1
        except ShopError as refusal:
            floor.happened[f"refused: {type(refusal).__name__}"] += 1


async def _close_days(floor: _Floor, timezone: tzinfo, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    end, day = clock() + seconds, datetime.now(timezone).date()
    while (left := end - clock()) > 0:
        await asyncio.sleep(min(left, 0.2))
        if day >= datetime.now(timezone).date():
            continue
        try:
            await floor.office.close_day(CloseDay(day, timezone))
            floor.happened["day closed"] += 1
        except InvalidCommand:
            continue  # the database's clock is behind ours
        except DayClosed:
            pass  # by somebody else
        day += timedelta(days=1)


async def _act(engine: AsyncEngine, floor: _Floor, dice: random.Random) -> str:
    choice = dice.random()
    if choice < 0.45:
        return await _create(floor, dice)
    if choice < 0.50:
        product_id, warehouse_id = dice.choice(floor.cells)
        await floor.service.receive(ReceiveStock(product_id, warehouse_id, dice.randint(6, 48)))
        return "received"
    if choice < 0.54:
        return await _visit_office(floor, dice)
    if choice < 0.56 and floor.sold_items:
        return await _exchange(floor, dice)
    if choice < 0.60 and floor.sold_items:
        item, quantity = floor.sold_items.pop(dice.randrange(len(floor.sold_items)))
        await floor.service.refund(RefundLine(item, dice.randint(1, quantity), dice.random() < 0.7))
        return "refunded"
    stage = dice.choice(_STAGES)
    if not floor.open_orders[stage]:
        return await _create(floor, dice)
    orders = floor.open_orders[stage]
    return await _advance(engine, floor, dice, stage, orders.pop(dice.randrange(len(orders))))


async def _exchange(floor: _Floor, dice: random.Random) -> str:
    """The next step of an exchange, or another one."""
    if floor.on_their_way and dice.random() < 0.3:
        await floor.desk.hand_over(floor.on_their_way.pop())
        return "replacement delivered"
    if floor.to_send and dice.random() < 0.6:
        replacement = floor.to_send.pop()
        await floor.desk.send(replacement)
        floor.on_their_way.append(replacement)
        return "replacement shipped"
    item, _ = floor.sold_items.pop(dice.randrange(len(floor.sold_items)))
    done = await floor.desk.exchange(ExchangeLine(item, *dice.choice(floor.cells)))
    floor.to_send.append(done.order_item_id)
    return "exchanged"


async def _visit_office(floor: _Floor, dice: random.Random) -> str:
    if dice.random() < 0.7:
        name = f"Live {dice.getrandbits(64):016x}"
        email = f"{name.replace(' ', '.').lower()}@example.com"
        floor.customers.append(await floor.office.register(RegisterCustomer(email, name, "DE")))
        return "registered"
    product_id, _ = dice.choice(floor.cells)
    await floor.office.change_price(ChangePrice(product_id, Decimal(dice.randint(250, 9_000)) / 100))
    return "repriced"


async def _create(floor: _Floor, dice: random.Random) -> str:
    cells = dice.sample(floor.cells, min(len(floor.cells), dice.randint(1, 6)))
    currency = dice.choices(list(CURRENCIES), [92, 5, 2, 1])[0]
    step = CURRENCIES[currency].step
    lines = tuple(
        OrderLine(product, warehouse, dice.choice((1, 1, 1, 2, 3)), dice.choices((None, 25 * step), (9, 1))[0])
        for product, warehouse in cells
    )
    command = PlaceOrder(
        customer_id=None if dice.random() < GUESTS else dice.choice(floor.customers),
        lines=lines,
        discount=(discount := Decimal(dice.choice((0, 0, 0, 150))) * step),
        currency=currency,
        shipping_address={"street": "1 Live Street", "city": "Berlin", "postcode": "10115", "country": "DE"},
        payment_id=f"pay-{dice.getrandbits(40)}",
        channel=dice.choices(list(CHANNELS), list(CHANNELS.values()))[0],
        free_shipping=dice.random() < 0.06,
        discount_code="LIVE" if discount else None,
        paid_by=dice.choices(("card", "gift_card", "store_credit", "on_account"), (88, 5, 2, 5))[0],
    )
    order = await floor.service.create(command)
    floor.open_orders["pending"].append(order.order_id)
    return "created"


async def _advance(engine: AsyncEngine, floor: _Floor, dice: random.Random, stage: str, order_id: Key) -> str:
    """The next step of an order; no other trader has it meanwhile."""
    if stage != "shipped" and dice.random() < 0.08:
        await floor.service.cancel(CancelOrder(order_id, "customer", dice.choice(_REASONS)))
        return "cancelled"
    if stage == "pending":
        await floor.service.start_processing(order_id)
        floor.open_orders["processing"].append(order_id)
        return "started"
    if stage == "processing":
        await floor.service.ship(order_id)
        floor.open_orders["shipped"].append(order_id)
        return "shipped"
    await floor.service.deliver(order_id)
    async with engine.connect() as connection:
        floor.sold_items += [(row[0], row[1]) for row in await connection.execute(text(_ITEMS), {"order_id": order_id})]
    return "delivered"
