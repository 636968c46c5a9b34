"""Whatever happens to a shop, its tables after a night are those of a full rebuild."""

from __future__ import annotations

import itertools
import random
import sys
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as examples
from hypothesis import strategies as st

from include.contract.types import day_number
from include.gate.versions import FoundOn
from include.settings import settings
from include.sources.shop_file import Cancellations
from tests.conftest import lake_alone
from tests.histories.shops import (
    DAYS,
    READ,
    Compose,
    Count,
    Deed,
    Delete,
    Edit,
    Exchange,
    GiveBack,
    History,
    Hold,
    Line,
    Merge,
    Move,
    Night,
    Order,
    Pay,
    Place,
    Price,
    Refund,
    Register,
    Release,
    Ship,
    Shop,
)
from tests.histories.warehouse import NAMES, Warehouse, write_sources
from transforms.registry import TABLES

THE_SAME: Final = 200
WENT_ON: Final = 0.6  # of the builds that had something to go on from

# In the months after either of these days the clocks of most zones change: at night or at midnight, by an hour or half.
FIRST_DAYS: Final = (date(2026, 2, 1), date(2026, 8, 15))
ZONES: Final = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Africa/Cairo", "Asia/Kolkata",
    "Australia/Lord_Howe", "Pacific/Auckland",
)  # fmt: skip

hours = st.integers(0, DAYS * 24 - 1)
maybe_hours = st.none() | hours
which = st.integers(0, 5)
cents = st.integers(0, 999)
quantities = st.integers(1, 3)
customers, products, warehouses = st.integers(1, 3), st.integers(1, 3), st.integers(1, 2)
or_guests = st.none() | customers
currencies = st.sampled_from("AB")
costs = st.none() | cents
skus = st.sampled_from(["tea", "cup", None])

lines = st.builds(Line, products, quantities, cents, costs, warehouses, st.none() | cents)
edited_lines = st.builds(
    Line, products, quantities, cents, costs, warehouses, st.none() | cents, maybe_hours, st.none() | hours, skus
)
kinds = st.sampled_from(["receipt", "shipment", "return", "adjustment", "reservation", "release"])
moves = st.builds(Move, products, warehouses, kinds, st.integers(-3, 5), hours, st.integers(1, 2))
orders = st.builds(
    Order, hours, or_guests, currencies, cents, cents, st.lists(lines | edited_lines, min_size=1, max_size=3).map(tuple)
)
refunds = st.builds(Refund, which, hours, quantities, cents, st.booleans(), st.none() | cents, maybe_hours)
given_back = st.builds(GiveBack, st.none() | which, currencies, hours, cents, cents, cents)
ways = st.sampled_from(["capture", "refund", "issue"])
methods = st.sampled_from(["card", "gift_card", None])
or_lines = st.none() | warehouses
shipments = st.builds(Ship, which, st.integers(1, 3), hours, quantities, or_lines, maybe_hours, st.none() | hours)
# No cycle: a kit holds products of higher numbers.
kits = st.sampled_from([(1, 2), (1, 3), (2, 3)]).flatmap(
    lambda pair: st.builds(Compose, st.just(pair[0]), st.just(pair[1]), st.integers(1, 3))
)
payments = st.builds(Pay, st.none() | which, hours, ways, methods, currencies, cents)


def _edits(source: str, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Deed]:
    return st.sampled_from(sorted(values)).flatmap(
        lambda name: st.builds(Edit, st.just(source), which, st.just(name), values[name])
    )


deeds: st.SearchStrategy[Deed] = st.one_of(
    orders,
    refunds,
    st.builds(Exchange, which, hours, products, cents, costs),
    given_back,
    payments,
    shipments,
    st.builds(Edit, st.just("orders"), which, st.just("cancelled"), maybe_hours),
    _edits("orders", customer=or_guests, currency=currencies, discount=cents, ordered=hours, shipped=maybe_hours,
           delivered=maybe_hours, shipping=cents, channel=st.sampled_from(["web", "app"])),
    _edits("order_items", product=products, quantity=quantities, cents=cents, cost=costs, warehouse=warehouses,
           off=st.none() | cents, order=which, sold=maybe_hours, removed=maybe_hours, sku=skus),
    _edits("refunds", line=which, hour=hours, quantity=quantities, cents=cents, restocked=st.booleans(),
           tax=st.none() | cents, returned=maybe_hours),
    _edits("order_refunds", order=which, currency=currencies, hour=hours, cents=cents, shipping=cents, tax=cents),
    _edits("payments", order=which, hour=hours, kind=ways, method=methods, currency=currencies, cents=cents),
    _edits("shipment_items", line=which, parcel=st.integers(1, 3), hour=hours, quantity=quantities, warehouse=or_lines,
           delivered=maybe_hours, cancelled=maybe_hours),
    moves,
    kits,
    _edits("kit_components", units=st.integers(1, 3)),
    st.builds(Count, products, warehouses, st.integers(-2, 2)),
    st.builds(Price, products, costs, st.none() | currencies, skus),
    st.builds(Delete, st.sampled_from(READ), which),
    st.builds(Register, customers),
    st.builds(Merge, customers, customers),
    st.builds(Hold, which),
    st.just(Release()),
)  # fmt: skip
nights = st.builds(
    Night,
    st.sampled_from([1, 0, 0.5, 2]),
    st.sampled_from([None] * 9 + [1, 3, 5]),
    st.sampled_from([False] * 7 + [True]),
)


@st.composite
def histories(draw: st.DrawFn, side_by_side: int) -> History:
    """Shops with a first night, and two or three after it."""
    told = [Night(2), *draw(st.lists(nights, min_size=1, max_size=2)), replace(draw(nights), dies_after=None)]
    first: st.SearchStrategy[Deed] = orders | moves | moves | given_back | payments | shipments | kits
    at_first = st.lists(first, max_size=8)
    later = st.lists(deeds, max_size=3)
    happens: dict[tuple[int, int], list[Deed]] = {}
    for shop, night in itertools.product(range(side_by_side), range(len(told))):
        if happened := draw(later if night else at_first):
            happens[shop, night] = happened
    zone, first_day = draw(st.sampled_from(ZONES)), draw(st.sampled_from(FIRST_DAYS))
    cancellations, unit_decimals = draw(st.sampled_from(list(Cancellations))), draw(st.sampled_from([0, 1, 3]))
    return History(side_by_side, zone, first_day, told, happens, cancellations, unit_decimals)


def live(history: History, folder: Path, counts: Counter[str]) -> None:
    """Run the nights of a history, and compare after each that does not die."""
    parts = 10**history.unit_decimals
    places = [Place(number, history.shops, history.first_day, history.zone, parts) for number in range(history.shops)]
    shops = [(place, Shop()) for place in places]
    warehouse = Warehouse(history.first_day, folder / "scratch", unit_decimals=history.unit_decimals)
    passed, published = 0.0, None
    for number, night in enumerate(history.nights):
        for place, shop in shops:
            for deed in history.deeds.get((place.number, number), ()):
                deed.do(shop)
        tables = [place.tables(shop) for place, shop in shops]
        rows_of = {name: [row for rows in tables for row in rows[name]] for name in READ}
        passed += night.days
        horizon = history.first_day + timedelta(days=int(passed * history.shops) - 1)
        found_on = FoundOn.night(horizon, published, day_number(horizon))
        write_sources(rows_of, history.cancellations, history.unit_decimals, found_on=found_on)
        went_on = set()
        for name in NAMES[: night.dies_after]:
            may = TABLES[name].table.rebuild.through and name in warehouse.bases and not night.anew
            counts["could go on"] += bool(may)
            if warehouse.bring_up(name, horizon, anew=night.anew).is_incremental:
                went_on.add(name)
        counts["went on"] += len(went_on)
        counts.update(went_on)
        if night.dies_after is None:
            published = horizon
            assert not warehouse.first_difference(horizon, went_on)


@pytest.mark.long
def test_after_every_night_the_tables_are_those_of_a_full_rebuild(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So many that are the same every time, or ``--histories`` that are drawn anew."""
    drawn, counts, lived = pytestconfig.getoption("histories"), Counter[str](), set[str]()
    seeds = itertools.count(random.SystemRandom().randrange(2**32) if drawn else 0)
    while len(lived) < (drawn or THE_SAME):
        _live_some(next(seeds), 50 if drawn else 30, monkeypatch, counts, lived)
    settings.cache_clear()
    said = {"different histories": len(lived)} | counts
    with capsys.disabled():
        sys.stdout.write("\n" + ", ".join(f"{what}: {count:,}" for what, count in said.items()) + "\n")
    assert counts["went on"] >= WENT_ON * counts["could go on"] > 0


def test_a_new_day_opens_with_what_moved_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a shelf that nothing touches, of one with its first movement, and of one whose past changes."""
    shelf, other = (1, 1), (2, 1)
    first: list[Deed] = [
        Move(*shelf, "receipt", 5, 3), Move(*shelf, "receipt", 3, 30), Move(*shelf, "shipment", -2, 40),
        Move(*shelf, "reservation", 2, 41), Move(*shelf, "reservation", 1, 42), Move(*other, "receipt", 4, 2),
        Count(*shelf, 2),
    ]  # fmt: skip
    history = History(
        shops=1,
        zone="Europe/Berlin",
        first_day=FIRST_DAYS[0],
        nights=[Night(2), Night(1), Night(1), Night(2), Night(0), Night(1)],
        deeds={
            (0, 0): first,
            (0, 1): [Move(*other, "receipt", 1, 50)],
            (0, 2): [Move(1, 2, "receipt", 6, 80), Count(*shelf, -1), Count(3, 1, 0)],
            (0, 3): [Move(*other, "return", 1, 4), Price(1, 70)],
            (0, 5): [Move(*shelf, "adjustment", -1, 150), Delete("inventory_movements", 0)],
        },
    )
    counts = Counter[str]()
    _set(monkeypatch, history.zone, tmp_path)
    live(history, tmp_path, counts)
    settings.cache_clear()
    assert counts["inventory_daily"] == len(history.nights) - 1


@pytest.mark.long
def test_a_guest_who_registers_and_accounts_that_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest's orders change, then get an account whose orders are later ones, which is then merged with another."""

    def order(hour: int, customer: int | None) -> Order:
        return Order(hour, customer, "A", 10, 49, (Line(1, 2, 300, 100, 1, None), Line(2, 1, 50, None, 1, 7)))

    history = History(
        shops=1,
        zone="Europe/Berlin",
        first_day=FIRST_DAYS[0],
        nights=[Night(2), Night(1), Night(1), Night(0), Night(0), Night(1), Night(1)],
        deeds={
            (0, 0): [order(3, None), order(30, None), order(50, None), order(5, 1), order(31, 1), order(4, 2)],
            (0, 1): [Edit("orders", 0, "discount", 40), Refund(0, 40, 1, 300, restocked=True)],
            (0, 2): [Edit("orders", 1, "cancelled", 60)],
            (0, 3): [Register(1)],
            (0, 4): [Merge(2, 1)],
            (0, 5): [Edit("orders", 3, "customer", None), order(100, None)],
            (0, 6): [Delete("orders", 3)],
        },
    )
    counts = Counter[str]()
    _set(monkeypatch, history.zone, tmp_path)
    live(history, tmp_path, counts)
    settings.cache_clear()
    assert [counts[name] for name in ("order_lines", "orders", "daily_sales")] == [len(history.nights) - 1] * 3


@pytest.mark.long
def test_money_that_no_line_explains_and_units_that_come_back_on_another_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A currency begins with it, its order is cancelled and not, it moves to no order and goes; units come back."""

    def order(hour: int) -> Order:
        return Order(hour, 1, "A", 10, 49, (Line(1, 2, 300, 100, 1, None), Line(2, 1, 50, None, 1, 7)))

    history = History(
        shops=1,
        zone="Europe/Berlin",
        first_day=FIRST_DAYS[0],
        nights=[Night(3), Night(1), Night(1), Night(0), Night(0), Night(1), Night(0)],
        deeds={
            (0, 0): [order(30), order(31), GiveBack(0, "A", 40, 5, 3, 1)],
            (0, 1): [GiveBack(None, "B", 2, 9, 0, 1), GiveBack(1, "A", 84, 8, 0, 1), GiveBack(None, "A", 3, 7, 7, 7)],
            (0, 2): [Edit("orders", 1, "cancelled", 70), Refund(0, 70, 1, 200, True, 20, 35)],
            (0, 3): [Edit("orders", 1, "cancelled", None), Edit("refunds", 0, "returned", 90)],
            (0, 4): [Delete("order_refunds", 1), Edit("order_refunds", 0, "hour", 10)],
            (0, 5): [Edit("orders", 0, "cancelled", 80), Edit("order_refunds", 1, "order", 0)],
            (0, 6): [Edit("orders", 0, "cancelled", None), Delete("orders", 1)],
        },
    )
    counts = Counter[str]()
    _set(monkeypatch, history.zone, tmp_path)
    live(history, tmp_path, counts)
    settings.cache_clear()
    assert [counts[name] for name in ("order_lines", "orders", "daily_sales")] == [len(history.nights) - 1] * 3


@pytest.mark.long
def test_a_kit_that_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sold before it is a kit; gains a component and another number of units, is in a kit itself, and is none."""

    def order(hour: int, product: int) -> Order:
        return Order(hour, 1, "A", 0, 0, (Line(product, 2, 300, 100, 1, None),))

    shelf = [Move(product, 1, "receipt", 4, 1) for product in (2, 3)]
    history = History(
        shops=1,
        zone="Europe/Berlin",
        first_day=FIRST_DAYS[0],
        nights=[Night(2), Night(1), Night(1), Night(0), Night(1), Night(1), Night(1)],
        deeds={
            (0, 0): [*shelf, order(3, 2), order(30, 1), Compose(2, 3, 1), Move(3, 1, "shipment", -4, 26)],
            (0, 1): [Compose(1, 2, 2), order(50, 1), order(51, 2)],
            (0, 2): [Compose(1, 3, 1), Compose(2, 3, 3), order(76, 1), Edit("orders", 0, "cancelled", 77)],
            (0, 3): [Compose(1, 3, 2), order(31, 2)],
            (0, 4): [order(100, 1)],
            (0, 5): [Delete("kit_components", 0), order(125, 1), Edit("orders", 2, "cancelled", 126)],
            (0, 6): [Delete("kit_components", 0), Delete("kit_components", 0), order(140, 1)],
        },
    )
    counts = Counter[str]()
    _set(monkeypatch, history.zone, tmp_path)
    live(history, tmp_path, counts)
    settings.cache_clear()
    assert counts["stockouts"] == 1  # on the one night that adds no day


@pytest.mark.long
def test_an_order_that_comes_back_by_its_cancelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refunded before and after that, cancelled on another day and not at all, and its money moves."""

    def order(hour: int) -> Order:
        return Order(hour, 1, "A", 10, 49, (Line(1, 2, 300, 100, 1, None), Line(2, 1, 50, None, 1, 7)))

    history = History(
        shops=1,
        zone="Europe/Berlin",
        first_day=FIRST_DAYS[0],
        nights=[Night(3), Night(1), Night(0), Night(1), Night(0), Night(0), Night(1)],
        deeds={
            (0, 0): [order(3), order(30), order(31), Refund(0, 26, 1, 250, True, 20), GiveBack(0, "A", 27, 5, 3, 1)],
            (0, 1): [Edit("orders", 0, "cancelled", 80), Edit("orders", 1, "cancelled", 81)],
            (0, 2): [Refund(1, 40, 1, 20, False), Refund(2, 90, 1, 100, True), GiveBack(1, "A", 41, 9, 9, 9)],
            (0, 3): [Edit("orders", 0, "cancelled", 100), Edit("refunds", 0, "hour", 99)],
            (0, 4): [Edit("order_items", 0, "removed", 28), Edit("order_refunds", 1, "hour", 110)],
            (0, 5): [Edit("orders", 1, "cancelled", None), Edit("orders", 2, "shipping", 8)],
            (0, 6): [Edit("orders", 2, "cancelled", 120), Delete("refunds", 0), Delete("orders", 0)],
        },
        cancellations="returns",
    )
    counts = Counter[str]()
    _set(monkeypatch, history.zone, tmp_path)
    live(history, tmp_path, counts)
    settings.cache_clear()
    names = ("order_lines", "orders", "daily_sales", "daily_product_sales", "refunds_daily")
    assert [counts[name] for name in names] == [len(history.nights) - 1] * len(names)


def _live_some(
    number: int, side_by_side: int, monkeypatch: pytest.MonkeyPatch, counts: Counter[str], lived: set[str]
) -> None:
    """Draw ten times some shops: from the eleventh time on, most of what is drawn repeats what was."""

    @seed(number)
    @examples(
        max_examples=10,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(histories(side_by_side))
    def check(history: History) -> None:
        happened = {
            repr([history.deeds.get((shop, night)) for night in range(len(history.nights))])
            for shop in range(history.shops)
        }
        if len(happened) == 1:  # the first that is drawn: nothing happens
            return
        with TemporaryDirectory() as folder, monkeypatch.context() as environment:
            _set(environment, history.zone, Path(folder))
            live(history, Path(folder), counts)
        lived.update(
            f"{history.zone} {history.nights} {history.cancellations} {history.unit_decimals} {deeds}"
            for deeds in happened
        )

    check()


def _set(environment: pytest.MonkeyPatch, zone: str, folder: Path) -> None:
    environment.setenv("STOCKTAKE_TIMEZONE", zone)
    lake_alone(environment, folder / "lake")
