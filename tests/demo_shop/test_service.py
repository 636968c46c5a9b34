"""The order service: never oversells, never deadlocks, all or nothing, and says what was wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from include.demo_shop.commands import AdjustStock, CancelOrder, PlacedOrder, ReceiveStock, RefundLine
from include.demo_shop.commands import OrderLine as Line
from include.demo_shop.errors import (
    DiscountTooLarge,
    InvalidCommand,
    OutOfStock,
    ProductNotOffered,
    RefundTooLarge,
    ShopError,
    UnknownCustomer,
    UnknownOrder,
    UnknownOrderItem,
    UnknownProduct,
    UnknownStock,
    WrongStatus,
)
from include.demo_shop.schema import KeyType
from tests.demo_shop.conftest import Stall
from tests.demo_shop.contents import contents
from tests.demo_shop.invariants import broken_invariants


async def test_200_buyers_of_50_units_get_50(stall: Stall) -> None:
    await stall.stock(50)

    outcomes = await asyncio.gather(
        *(stall.service.create(stall.order(stall.line(0, 1))) for _ in range(200)), return_exceptions=True
    )

    assert sum(isinstance(outcome, PlacedOrder) for outcome in outcomes) == 50
    assert sum(isinstance(outcome, OutOfStock) for outcome in outcomes) == 150
    assert stall.shelf() == (50, 50)
    assert stall.shop.execute("select sum(quantity) from order_items").fetchone() == (50,)
    assert broken_invariants(stall.shop) == {}


async def test_buyers_of_several_units_never_oversell(stall: Stall) -> None:
    await stall.stock(50)

    outcomes = await asyncio.gather(
        *(stall.service.create(stall.order(stall.line(0, 1 + buyer % 7))) for buyer in range(100)),
        return_exceptions=True,
    )

    refused = [outcome for outcome in outcomes if not isinstance(outcome, PlacedOrder)]
    assert all(isinstance(outcome, OutOfStock) and outcome.available < outcome.wanted for outcome in refused)
    assert stall.shelf() == (50, 50)  # single units are always among the last buyers
    assert broken_invariants(stall.shop) == {}


async def test_crossing_lines_do_not_deadlock(stall: Stall) -> None:
    for product in range(3):
        await stall.stock(1_000, product)
    lines = [stall.line(product, 1) for product in range(3)]
    crossing = [lines, lines[::-1], [lines[1], lines[0], lines[2]], [lines[2], lines[0], lines[1]]]

    placed = await asyncio.gather(*(stall.service.create(stall.order(*crossing[turn % 4])) for turn in range(120)))
    to_cancel, to_ship = placed[:60], placed[60:]
    await asyncio.gather(*(stall.service.start_processing(order.order_id) for order in to_ship))
    await asyncio.gather(
        *(stall.service.cancel(CancelOrder(order.order_id, "customer", "changed_mind")) for order in to_cancel),
        *(stall.service.ship(order.order_id) for order in to_ship),
        *(stall.service.create(stall.order(*crossing[turn % 4])) for turn in range(60)),
        *(stall.service.adjust(AdjustStock(*_cell(stall, turn % 3), -1)) for turn in range(30)),
    )

    assert [stall.shelf(product) for product in range(3)] == [(930, 60)] * 3
    assert broken_invariants(stall.shop) == {}


async def test_an_order_is_placed_whole_or_not_at_all(stall: Stall) -> None:
    await stall.stock(10, 0)
    await stall.stock(2, 1)
    before = contents(stall.shop)

    with pytest.raises(OutOfStock) as refusal:
        await stall.service.create(stall.order(stall.line(0, 1), stall.line(1, 3)))

    assert (refusal.value.wanted, refusal.value.available) == (3, 2)
    assert (refusal.value.product_id, refusal.value.warehouse_id) == _cell(stall, 1)
    assert str(refusal.value) == "warehouse 1 has 2 available of product 2, 3 were wanted"
    assert contents(stall.shop) == before


@pytest.mark.parametrize(
    ("lines", "discount", "currency", "subtotal", "shipping", "tax", "total"),
    [
        ([(0, 1)], "0", "EUR", "10.00", "4.90", "1.49", "16.39"),
        ([(0, 2), (1, 1)], "0", "EUR", "23.33", "4.90", "2.82", "31.05"),
        ([(1, 1)], "0.08", "EUR", "3.33", "4.90", "0.82", "8.97"),  # tax of 0.325 is rounded up
        ([(2, 1)], "19.99", "EUR", "19.99", "4.90", "0.49", "5.39"),
        ([(1, 2)], "0", "USD", "7.32", "5.39", "1.27", "13.98"),  # 3.33 EUR are 3.663 USD, so 3.66 each
        ([(0, 10)], "0", "EUR", "100.00", "0.00", "10.00", "110.00"),  # free from here on
        ([(0, 10)], "0.01", "EUR", "100.00", "4.90", "10.49", "115.38"),
        ([(0, 10)], "0", "USD", "110.00", "0.00", "11.00", "121.00"),
    ],
)
async def test_what_an_order_costs(
    stall: Stall,
    lines: list[tuple[int, int]],
    discount: str,
    currency: str,
    subtotal: str,
    shipping: str,
    tax: str,
    total: str,
) -> None:
    for product, quantity in lines:
        await stall.stock(quantity, product)

    placed = await stall.service.create(
        stall.order(
            *(stall.line(product, quantity) for product, quantity in lines),
            discount=Decimal(discount),
            currency=currency,
        )
    )

    amounts = ("subtotal", "shipping", "tax", "total")
    assert [getattr(placed, name) for name in amounts] == [Decimal(one) for one in (subtotal, shipping, tax, total)]
    row = stall.row(placed.order_id)
    assert [row[name] for name in amounts] == [getattr(placed, name) for name in amounts]
    assert (row["status"], row["currency"]) == ("pending", currency)
    assert broken_invariants(stall.shop) == {}


async def test_a_code_takes_the_price_of_delivery_off_and_its_tax(stall: Stall) -> None:
    await stall.stock(1, 0)

    placed = await stall.service.create(stall.order(stall.line(0, 1), free_shipping=True))

    row = stall.row(placed.order_id)
    amounts = [row[name] for name in ("shipping", "shipping_discount", "shipping_tax", "tax", "total")]
    assert amounts == [Decimal(one) for one in ("4.90", "4.90", "0.00", "1.00", "11.00")]
    assert broken_invariants(stall.shop) == {}


async def test_what_is_off_one_line_is_given_back_with_that_line_alone(stall: Stall) -> None:
    await stall.stock(1, 0)
    await stall.stock(1, 2)
    offer = replace(stall.line(0, 1), discount=Decimal("4.00"))  # 10.00 for 6.00, beside 19.99
    order = await stall.delivered(offer, stall.line(2, 1), discount=Decimal("2.00"))

    assert order.discount == Decimal("6.00")
    back = [(await stall.service.refund(RefundLine(item, 1, restock=False))).amount for item in order.order_item_ids]
    assert back == [Decimal("5.53"), Decimal("18.45")]  # 6.00 and 19.99 less their shares of 2.00, rounded down
    assert broken_invariants(stall.shop) == {}


Attempt = Callable[[Stall], Awaitable[Any]]
NOBODY = 99


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda s: s.service.create(s.order()), InvalidCommand, "at least one line"),
        (lambda s: s.service.create(s.order(s.line(0, 0))), InvalidCommand, "1 unit or more"),
        (lambda s: s.service.create(s.order(s.line(0, 1), s.line(0, 2))), InvalidCommand, "at most once"),
        (
            lambda s: s.service.create(s.order(s.line(0, 1), currency="XYZ")),
            InvalidCommand,
            "EUR, USD, JPY, KWD, not XYZ",
        ),
        (
            lambda s: s.service.create(s.order(s.line(0, 1), discount=Decimal("0.001"))),
            InvalidCommand,
            "multiple of 0.01 EUR",
        ),
        (
            lambda s: s.service.create(s.order(s.line(0, 1), discount=Decimal("NaN"))),
            InvalidCommand,
            "multiple of 0.01 EUR",
        ),
        (
            lambda s: s.service.create(s.order(s.line(0, 1), discount=Decimal(-1))),
            InvalidCommand,
            "multiple of 0.01 EUR",
        ),
        (lambda s: s.service.create(s.order(s.line(0, 1), discount=Decimal(11))), DiscountTooLarge, "11 .* 10.00"),
        (
            lambda s: s.service.create(s.order(replace(s.line(0, 1), discount=Decimal(11)))),
            DiscountTooLarge,
            "11 .* 10.00",
        ),
        (
            lambda s: s.service.create(s.order(replace(s.line(0, 1), discount=Decimal("0.001")))),
            InvalidCommand,
            "multiple of 0.01 EUR",
        ),
        (lambda s: s.service.create(s.order(Line(NOBODY, 1, 1))), UnknownProduct, "no product 99"),
        (lambda s: s.service.create(s.order(s.line(0, 1, warehouse=1))), UnknownStock, "2 does not keep product 1"),
        (lambda s: s.service.start_processing(NOBODY), UnknownOrder, "no order 99"),
        (lambda s: s.service.ship(NOBODY), UnknownOrder, "no order 99"),
        (lambda s: s.service.cancel(CancelOrder(1, "customer", " ")), InvalidCommand, "and why"),
        (lambda s: s.service.refund(RefundLine(NOBODY, 1, restock=True)), UnknownOrderItem, "no order item 99"),
        (lambda s: s.service.refund(RefundLine(1, 0, restock=True)), InvalidCommand, "1 unit or more"),
        (lambda s: s.service.receive(ReceiveStock(NOBODY, 1, 1)), UnknownStock, "does not keep product 99"),
        (lambda s: s.service.receive(ReceiveStock(1, 1, 0)), InvalidCommand, "1 unit or more"),
        (lambda s: s.service.adjust(AdjustStock(1, 1, 0)), InvalidCommand, "changes nothing"),
        (lambda s: s.service.adjust(AdjustStock(1, 1, -6)), OutOfStock, "has 5 available of product 1, 6 were"),
        (lambda s: s.service.adjust(AdjustStock(2, 1, -1)), UnknownStock, "1 does not keep product 2"),
    ],
)
async def test_errors_say_what_was_wrong(stall: Stall, attempt: Attempt, error: type[ShopError], message: str) -> None:
    await stall.stock(5)
    before = contents(stall.shop)

    with pytest.raises(error, match=message):
        await attempt(stall)

    assert contents(stall.shop) == before


@pytest.mark.parametrize("keys", ["integer", "uuid"])
async def test_a_guest_orders_without_being_a_customer(stall: Stall) -> None:
    await stall.stock(5)
    placed = await stall.service.create(replace(stall.order(stall.line(0, 2)), customer_id=None))
    row = stall.row(placed.order_id)
    assert (row["customer_id"], row["status"], row["subtotal"]) == (None, "pending", Decimal("20.00"))
    assert stall.shelf() == (5, 2)
    assert broken_invariants(stall.shop) == {}


async def test_unknown_customer_and_withdrawn_product(stall: Stall) -> None:
    await stall.stock(5)
    stranger = stall.order(stall.line(0, 1)).__class__(NOBODY, (stall.line(0, 1),))
    with pytest.raises(UnknownCustomer, match="no customer 99"):
        await stall.service.create(stranger)

    stall.shop.execute("update products set is_active = false, updated_at = now()")
    with pytest.raises(ProductNotOffered, match="product 1 is no longer offered"):
        await stall.service.create(stall.order(stall.line(0, 1)))


LIFE = ("pending", "processing", "shipped", "delivered", "cancelled")
ACTIONS: dict[str, tuple[Callable[[Stall, PlacedOrder], Awaitable[Any]], tuple[str, ...]]] = {
    "start": (lambda s, o: s.service.start_processing(o.order_id), ("pending",)),
    "ship": (lambda s, o: s.service.ship(o.order_id), ("processing",)),
    "deliver": (lambda s, o: s.service.deliver(o.order_id), ("shipped",)),
    "cancel": (lambda s, o: s.service.cancel(CancelOrder(o.order_id, "shop", "because")), ("pending", "processing")),
    "refund": (lambda s, o: s.service.refund(RefundLine(o.order_item_ids[0], 1, True)), ("shipped", "delivered")),
}


@pytest.mark.parametrize("status", LIFE)
@pytest.mark.parametrize("action", ACTIONS)
async def test_an_action_needs_the_right_status(stall: Stall, action: str, status: str) -> None:
    await stall.stock(5)
    order = await stall.service.create(stall.order(stall.line(0, 2)))
    path = ["cancel"] if status == "cancelled" else ["start", "ship", "deliver"][: LIFE.index(status)]
    for step in path:
        await ACTIONS[step][0](stall, order)
    before = contents(stall.shop)
    attempt, allowed = ACTIONS[action]

    if status in allowed:
        written_before = stall.row(order.order_id)["updated_at"]
        await attempt(stall, order)
        assert action == "refund" or stall.row(order.order_id)["updated_at"] > written_before
    else:
        with pytest.raises(WrongStatus, match=f"it is {status}, not {' or '.join(allowed)}"):
            await attempt(stall, order)
        assert contents(stall.shop) == before
    assert broken_invariants(stall.shop) == {}


async def test_cancelling_releases_the_stock(stall: Stall) -> None:
    await stall.stock(3)
    order = await stall.service.create(stall.order(stall.line(0, 3)))
    assert stall.shelf() == (3, 3)

    await stall.service.cancel(CancelOrder(order.order_id, "customer", "changed_mind"))

    assert stall.shelf() == (3, 0)
    row = stall.row(order.order_id)
    assert (row["status"], row["cancelled_by"], row["cancellation_reason"]) == ("cancelled", "customer", "changed_mind")
    assert row["cancelled_at"] == row["updated_at"]
    await stall.service.create(stall.order(stall.line(0, 3)))


def payments(stall: Stall) -> list[tuple[Any, ...]]:
    rows = stall.shop.execute(
        "select order_id, kind, method, currency, trim_scale(amount)::text from payments order by 1, paid_at, 2"
    )
    return rows.fetchall()


async def test_an_order_is_paid_at_once_and_a_cancelled_one_paid_back(stall: Stall) -> None:
    await stall.stock(2)
    order = await stall.service.create(stall.order(stall.line(0, 1), currency="USD", paid_by="gift_card"))
    paid = (order.order_id, "capture", "gift_card", "USD", f"{order.total.normalize():f}")
    assert payments(stall) == [paid]
    await stall.service.cancel(CancelOrder(order.order_id, "customer", "changed_mind"))
    assert payments(stall) == [paid, (order.order_id, "refund", *paid[2:])]
    on_account = await stall.service.create(stall.order(stall.line(0, 1), paid_by="on_account"))
    await stall.service.cancel(CancelOrder(on_account.order_id, "customer", "changed_mind"))
    assert len(payments(stall)) == 2
    assert broken_invariants(stall.shop) == {}


@pytest.mark.parametrize(
    ("currency", "on_tag", "amounts", "refunded"),
    [
        # 10.00 EUR are 1,600 yen, 1,760 with tax; of 20 yen off, 22 are on the tag.
        ("JPY", ("1760", "22"), ("3200", "40", "780", "394", "4334"), ("1580", "158")),
        ("KWD", ("3.3", "0.02"), ("6.6", "0.04", "1.617", "0.818", "8.995"), ("3.28", "0.328")),
    ],
)
async def test_yen_have_tax_in_their_prices_and_dinars_have_fils(
    stall: Stall, currency: str, on_tag: tuple[str, ...], amounts: tuple[str, ...], refunded: tuple[str, ...]
) -> None:
    await stall.stock(2)
    line = replace(stall.line(0, 2), discount={"JPY": Decimal(20), "KWD": Decimal("0.02")}[currency])
    off = line.discount
    order = await stall.delivered(line, currency=currency, discount=off)
    assert (
        stall.shop.execute(
            "select trim_scale(unit_price)::text, trim_scale(discount)::text from order_items"
        ).fetchone()
        == on_tag
    )
    placed = (order.subtotal, order.discount, order.shipping, order.tax, order.total)
    assert placed == tuple(map(Decimal, amounts))
    await stall.service.refund(RefundLine(order.order_item_ids[0], 1, restock=True))
    assert (
        stall.shop.execute("select trim_scale(amount)::text, trim_scale(tax)::text from refunds").fetchone() == refunded
    )
    assert broken_invariants(stall.shop) == {}


async def test_a_refund_goes_back_with_its_tax_and_no_more_than_was_paid(stall: Stall) -> None:
    await stall.stock(3, product=1)
    order = await stall.delivered(stall.line(1, 2))
    await stall.service.refund(RefundLine(order.order_item_ids[0], 1, restock=False))
    assert payments(stall)[1:] == [(order.order_id, "refund", "card", "EUR", "3.66")]  # 3.33 and 10 %, rounded down
    stall.shop.execute("update payments set amount = 5 where kind = 'capture'")
    await stall.service.refund(RefundLine(order.order_item_ids[0], 1, restock=False))
    assert payments(stall)[2:] == [(order.order_id, "refund", "card", "EUR", "1.34")]


async def test_what_was_paid_before_payments_were_recorded_is_not_paid_back(stall: Stall) -> None:
    await stall.stock(1)
    order = await stall.delivered(stall.line(0, 1))
    stall.shop.execute("delete from payments")
    await stall.service.refund(RefundLine(order.order_item_ids[0], 1, restock=True))
    assert payments(stall) == []


async def test_only_one_of_two_who_act_at_once_succeeds(stall: Stall) -> None:
    await stall.stock(40)
    orders = [await stall.service.create(stall.order(stall.line(0, 1))) for _ in range(40)]
    for order in orders:
        await stall.service.start_processing(order.order_id)

    outcomes = await asyncio.gather(
        *(stall.service.ship(order.order_id) for order in orders),
        *(stall.service.cancel(CancelOrder(order.order_id, "customer", "changed_mind")) for order in orders),
        return_exceptions=True,
    )

    assert sum(outcome is None for outcome in outcomes) == 40
    assert sum(isinstance(outcome, WrongStatus) for outcome in outcomes) == 40
    assert broken_invariants(stall.shop) == {}


async def test_refunds_stay_within_units_and_money(stall: Stall) -> None:
    await stall.stock(3, 0)
    await stall.stock(1, 1)
    order = await stall.delivered(stall.line(0, 3), stall.line(1, 1), discount=Decimal("3.33"))
    tens, other = order.order_item_ids  # 30.00 of 33.33 less 3.33: worth 27.0027, so 27.00

    first = await stall.service.refund(RefundLine(tens, 1, restock=True))
    assert first.amount == Decimal("9.00")
    with pytest.raises(RefundTooLarge, match=f"cannot refund quantity 3 of order item {tens}: 2 is left"):
        await stall.service.refund(RefundLine(tens, 3, restock=True))
    with pytest.raises(RefundTooLarge, match=r"cannot refund amount 18.01 .*: 18.00 is left"):
        await stall.service.refund(RefundLine(tens, 1, restock=True, amount=Decimal("18.01")))
    with pytest.raises(InvalidCommand, match=r"multiple of 0\.01 EUR"):
        await stall.service.refund(RefundLine(tens, 1, restock=True, amount=Decimal("-1.00")))
    await stall.service.refund(RefundLine(tens, 2, restock=False, amount=Decimal("18.00")))
    with pytest.raises(RefundTooLarge, match="0 is left"):
        await stall.service.refund(RefundLine(tens, 1, restock=True))
    last = await stall.service.refund(RefundLine(other, 1, restock=False))

    assert last.amount == Decimal("2.99")  # 2.997 rounded down: the order never gives back more than was paid
    assert stall.shelf() == (1, 0)  # only the restocked unit is back
    assert broken_invariants(stall.shop) == {}


async def test_refunds_at_once_do_not_exceed_the_line(stall: Stall) -> None:
    await stall.stock(5)
    order = await stall.delivered(stall.line(0, 5))

    outcomes = await asyncio.gather(
        *(stall.service.refund(RefundLine(order.order_item_ids[0], 1, restock=True)) for _ in range(20)),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, RefundTooLarge) for outcome in outcomes) == 15
    assert stall.shelf() == (5, 0)
    assert broken_invariants(stall.shop) == {}


async def test_receiving_opens_a_shelf_and_adjusting_keeps_what_is_reserved(stall: Stall) -> None:
    await asyncio.gather(*(stall.stock(2, 0, 1) for _ in range(10)))
    assert stall.shelf(0, 1) == (20, 0)
    await stall.service.create(stall.order(stall.line(0, 15, warehouse=1)))

    await stall.service.adjust(AdjustStock(*_cell(stall, 0, 1), -5))
    with pytest.raises(OutOfStock, match="has 0 available"):
        await stall.service.adjust(AdjustStock(*_cell(stall, 0, 1), -1))

    assert stall.shelf(0, 1) == (15, 15)
    assert broken_invariants(stall.shop) == {}


@pytest.mark.parametrize(("keys", "kind"), [("integer", int), ("text", str), ("uuid", UUID)])
async def test_the_service_works_with_every_type_of_key(stall: Stall, keys: KeyType, kind: type) -> None:
    await stall.stock(4, 0)
    await stall.stock(4, 1)
    order = await stall.delivered(stall.line(0, 2), stall.line(1, 1))
    refund = await stall.service.refund(RefundLine(order.order_item_ids[1], 1, restock=True))
    with pytest.raises(OutOfStock):
        await stall.service.create(stall.order(stall.line(0, 3)))
    with pytest.raises(UnknownOrder):
        await stall.service.ship(stall.customer if keys != "integer" else NOBODY)

    assert all(isinstance(key, kind) for key in (order.order_id, *order.order_item_ids, refund.refund_id))
    assert [stall.shelf(0), stall.shelf(1)] == [(2, 0), (4, 0)]
    assert broken_invariants(stall.shop) == {}


def _cell(stall: Stall, product: int, warehouse: int = 0) -> tuple[Any, Any]:
    return stall.products[product], stall.warehouses[warehouse]


@pytest.mark.parametrize("ends", ["shipped", "cancelled"])
async def test_a_line_that_was_taken_out_is_neither_shipped_nor_released_again(stall: Stall, ends: str) -> None:
    await stall.stock(3, 0)
    await stall.stock(3, 1)
    order = await stall.service.create(stall.order(stall.line(0, 2), stall.line(1, 1)))
    kept, gone = order.order_item_ids
    stall.shop.execute(
        """
        with gone as (
            update order_items set removed_at = ordered_at + interval '1 ms', updated_at = ordered_at + interval '1 ms'
            from orders
            where orders.order_id = order_items.order_id and order_item_id = %s
            returning order_items.*
        ),
        released as (
            insert into inventory_movements
                (product_id, warehouse_id, kind, quantity, order_item_id, moved_at, updated_at)
            select product_id, warehouse_id, 'release', -quantity, order_item_id, removed_at, removed_at from gone
        ),
        freed as (
            update inventory set reserved = reserved - gone.quantity, updated_at = removed_at
            from gone where (inventory.product_id, inventory.warehouse_id) = (gone.product_id, gone.warehouse_id)
        )
        update orders set
            subtotal = subtotal - gone.unit_price, updated_at = gone.removed_at,
            tax = round((subtotal - gone.unit_price) / 10, 2) + shipping_tax,
            total = subtotal - gone.unit_price + shipping + round((subtotal - gone.unit_price) / 10, 2) + shipping_tax
        from gone where orders.order_id = gone.order_id
        """,
        [gone],
    )
    if ends == "shipped":
        await stall.service.start_processing(order.order_id)
        await stall.service.ship(order.order_id)
        with pytest.raises(UnknownOrderItem):
            await stall.service.refund(RefundLine(gone, 1, restock=True))
    else:
        await stall.service.cancel(CancelOrder(order.order_id, "customer", "changed_mind"))
    assert stall.shelf(1) == (3, 0)
    moved = "select kind from inventory_movements where order_item_id = %s order by movement_id"
    assert [kind for (kind,) in stall.shop.execute(moved, [gone])] == ["reservation", "release"]
    assert [kind for (kind,) in stall.shop.execute(moved, [kept])][1:] == [
        {"shipped": "shipment", "cancelled": "release"}[ends]
    ]
    assert broken_invariants(stall.shop) == {}
