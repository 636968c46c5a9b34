"""The gate: every planted defect is caught by its rule, nothing else is touched, nothing is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.contract import Column, Severity, Table, Type
from include.contract.rules import between
from include.demo_shop.defects import DEFECTS
from include.demo_shop.planting import plant, planted_defects, unplant
from include.gate.checks import GateDisagreement, _outcomes
from include.gate.handoff import Forgotten
from include.gate.row_outcomes import NightStopped
from include.lake import tables as lake
from include.pipeline import nightly
from include.settings import settings
from include.sources import SOURCES
from tests.gate.defects import CAUGHT_BY, WARNED_BY
from tests.nights import Nights


@pytest.fixture
def tolerant(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many defects at once are more than a small shop's contracts tolerate."""
    for name, source in list(SOURCES.items()):
        monkeypatch.setitem(SOURCES, name, replace(source, tolerance=0.5))


def held(nights: Nights, outcome: str = "open") -> dict[tuple[str, str], set[str]]:
    """(source, key) → rules, of the quarantine's rows with an outcome."""
    rows = nights.ask("select source, row_key, rules from audit.quarantine where outcome = %s", outcome)
    return {(source, key): set(rules) for source, key, rules in rows}


def plant_all(nights: Nights) -> None:
    with nights.shop.transaction():
        plant(nights.shop, list(DEFECTS))


def family_of(nights: Nights, keys: Collection[str], source: str = "order_items") -> set[str]:
    """The orders of order items, of payments, or of what was shipped, as text."""
    key = {"order_items": "order_item_id", "payments": "transaction_id", "shipment_items": "shipment_item_id"}[source]
    lines = "shipment_items join order_items using (order_item_id)" if source == "shipment_items" else source
    rows = nights.shop.execute(f"select order_id::text from {lines} where {key}::text = any(%s)".encode(), [list(keys)])
    return {order for (order,) in rows}


@pytest.mark.usefixtures("tolerant")
@pytest.mark.after_a_night
def test_every_planted_defect_is_quarantined_with_its_rule_and_nothing_else_is_touched(nights: Nights) -> None:
    plant_all(nights)
    run = nights.report()
    found = held(nights)
    planted = {defect.name: (defect.source, defect.key) for defect in planted_defects(nights.shop)}
    assert set(planted) == set(DEFECTS) == set(CAUGHT_BY) | set(WARNED_BY)
    assert {name: found.pop(row) for name, row in planted.items() if row in found} == CAUGHT_BY

    # A cycle is wrong whole: the row that was right before is in it.
    kit, component = planted["kit_in_a_cycle"][1].split("/")
    assert found.pop(("kit_components", f"{component}/{kit}")) == {"kit_in_no_cycle"}

    # What else is held belongs to an order that a planted row is part of, and says so.
    orders = {key for source, key in planted.values() if source == "orders"}
    orders |= family_of(nights, [key for source, key in planted.values() if source == "order_items"])
    assert {source for source, _ in found} == {"orders", "order_items", "payments", "shipment_items"}
    torn = family_of(nights, [planted["shipment_torn_apart"][1]], "shipment_items")
    for (source, key), rules in found.items():
        if source == "orders":
            assert key in orders
            assert rules <= {"subtotal_equals_lines", "lines_accepted", "discount_covers_lines"}
        elif source == "shipment_items" and rules == {"one_shipment"}:
            assert family_of(nights, [key], source) == torn
        else:
            follows = "follows_order_items" if source == "shipment_items" else "follows_orders"
            of_order = {"currency_of_order", "amounts_in_smallest_units"}
            of_line = {"shipped_within_line", "shipped_after_ordered", "shipped_before_cancelled"}
            assert rules - (of_line if source == "shipment_items" else of_order) == {follows}
            assert family_of(nights, [key], source) <= orders

    counts = nights.ask(
        "select source, extracted, accepted, quarantined, complete from audit.source_counts where run_id = %s", run
    )
    assert len(counts) == len(SOURCES)
    for source, extracted, accepted, quarantined, complete in counts:
        assert extracted == accepted + quarantined, source
        assert complete, source
    for name, rule in WARNED_BY.items():
        table = f"source.{DEFECTS[name].source}"
        examples = nights.ask(
            "select examples from audit.expectation_results where run_id = %s and table_name = %s and rule = %s",
            run,
            table,
            rule,
        )[0][0]
        assert planted[name][1] in examples

    # What is looked up of all rows at once is what it is of each row alone.
    caught = held(nights)
    nights.report(full_refresh=True)
    assert held(nights) == caught


@pytest.mark.usefixtures("tolerant")
@pytest.mark.after_a_night
@pytest.mark.long
def test_rows_fixed_in_the_shop_flow_in_and_the_quarantine_shows_them_released(nights: Nights) -> None:
    before = nights.published()
    plant_all(nights)
    nights.run()
    was_held = held(nights)
    extra = {("orders", d.key) for d in planted_defects(nights.shop) if d.name == "order_without_items"}
    extra |= {(d.source, d.key) for d in planted_defects(nights.shop) if DEFECTS[d.name].extra} - {
        ("orders", d.key) for d in planted_defects(nights.shop) if d.name == "duplicate"
    }
    with nights.shop.transaction():
        unplant(nights.shop)
    nights.run()
    assert held(nights) == {}
    assert set(held(nights, "deleted")) == {row for row in extra if row in was_held}
    assert set(held(nights, "released")) == set(was_held) - extra
    assert nights.published() == before


@pytest.mark.usefixtures("tolerant")
@pytest.mark.after_a_night
@pytest.mark.long
def test_a_row_that_stays_wrong_stays_held_by_one_entry(nights: Nights) -> None:
    with nights.shop.transaction():
        plant(nights.shop, ["nan_price", "status_went_back", "malformed_email"])
    nights.report()
    entries = nights.ask("select quarantine_id, outcome from audit.quarantine order by 1")
    nights.report()
    nights.report(full_refresh=True)
    assert nights.ask("select quarantine_id, outcome from audit.quarantine order by 1") == entries


@pytest.mark.usefixtures("tolerant")
@pytest.mark.after_a_night
@pytest.mark.long
def test_a_quarantined_row_keeps_its_values(nights: Nights) -> None:
    with nights.shop.transaction():
        (planted,) = plant(nights.shop, ["nan_price"])
    nights.report()
    ((values, amount),) = nights.ask(
        "select row_values, amount from audit.quarantine where source = 'order_items' and row_key = %s", planted.key
    )
    assert values["_unreadable"] == "unit_price = NaN"
    assert str(values["order_item_id"]) == planted.key
    assert set(values) == {column.lake_name for column in SOURCES["order_items"].columns} | {"_unreadable"}
    assert amount == 0  # counted with its order, which is held too


@pytest.mark.usefixtures("tolerant")
@pytest.mark.after_a_night
@pytest.mark.long
def test_refunds_of_a_line_give_back_no_more_than_was_paid_for_it(nights: Nights) -> None:
    """One refund with each unit would be within the line, and so would all units; but the price came back each time."""
    shop = nights.shop
    (whole, reduced, goodwill) = shop.execute(
        """
        select distinct on (lines.kind) line.order_item_id, line.quantity, line.quantity * line.unit_price, kind
        from order_items as line
        join orders using (order_id)
        cross join lateral (
            select case
                when line.quantity >= 3 and orders.discount = 0 then 'whole'
                when line.quantity = 1 and orders.discount * line.unit_price / subtotal > 1 then 'reduced'
                when line.quantity = 2 and orders.discount = 0 then 'goodwill'
            end as kind
        ) as lines
        where status = 'delivered' and kind is not null and currency in ('EUR', 'USD')
            and order_id not in (select order_id from refunds join order_items using (order_item_id))
        order by lines.kind desc, line.order_item_id
        """
    ).fetchall()
    insert = """
        insert into refunds (refund_id, order_item_id, quantity, amount, restocked, refunded_at)
        select %(refund)s, %(line)s, %(units)s, %(amount)s, false, ordered_at + interval '1 minute'
        from order_items
        join orders using (order_id)
        where order_item_id = %(line)s
    """

    def refund(number: int, line: int, units: int, amount: object) -> None:
        shop.execute(insert, {"refund": number, "line": line, "units": units, "amount": amount})

    shop.execute("alter table refunds drop constraint refunds_quantity_check")
    for number in range(3):  # three units, each with the money of all
        refund(900_000 + number, whole[0], 1, whole[2])
    refund(900_010, reduced[0], 1, reduced[2])  # as if there had been no discount
    refund(900_020, goodwill[0], 0, "1.00")  # money, and no unit
    nights.report()
    found = {
        int(key): set(rules)
        for key, rules in nights.ask(
            "select row_key, rules from audit.quarantine where source = 'refunds' and row_key::int >= 900000"
        )
    }
    assert found == {
        **{900_000 + number: {"refunds_within_paid"} for number in range(3)},
        900_010: {"refunds_within_paid"},
    }
    line = "select returns, refunded_quantity from reporting.order_lines where order_item_id = %s"
    assert nights.ask(line, goodwill[0]) == [(Decimal("1.00"), 0)]
    assert nights.ask(line, whole[0]) == [(Decimal("0.00"), 0)]


@pytest.mark.after_a_night
def test_an_order_that_arrived_before_it_was_placed_is_held(nights: Nights) -> None:
    """It was never shipped, so that no other rule sees it."""
    nights.set_aside(("orders", "orders_delivered_at_check"))
    [(order,)] = nights.shop.execute(
        "update orders set delivered_at = ordered_at - interval '1 day', shipped_at = null, updated_at = now()"
        " where order_id = (select min(order_id) from orders where status = 'delivered') returning order_id"
    ).fetchall()
    nights.report()
    assert nights.ask("select rules from audit.quarantine where source = 'orders'") == [(["ordered_before_delivered"],)]
    assert nights.ask("select count(*) from reporting.orders where order_id = %s", order) == [(0,)]


@pytest.mark.after_a_night
def test_money_at_stake_is_counted_once(nights: Nights) -> None:
    with nights.shop.transaction():
        (planted,) = plant(nights.shop, ["subtotal_mismatch"])
    nights.report()
    (order,) = nights.shop.execute(
        "select total, currency from orders where order_id::text = %s", [planted.key]
    ).fetchall()
    ((rows, amounts),) = nights.ask(
        "select quarantined_rows, quarantined_amounts from reporting.data_status"
        " where published_table = 'reporting.daily_sales'"
    )
    assert rows > 1  # the order and its items
    assert amounts == {order[1]: float(order[0])}


@pytest.mark.after_a_night
def test_more_than_the_tolerance_stops_the_night_and_changes_nothing(nights: Nights) -> None:
    before = nights.published()
    versions = {name: lake.version("clean", name) for name in SOURCES}
    nights.shop.execute("update customers set email = 'nobody' || customer_id, updated_at = now()")
    nights.shop.execute("alter table orders drop constraint orders_status_check")
    nights.shop.execute("update orders set status = 'lost', updated_at = now() where cancelled_at is null")
    run = nights.begin()
    nightly.extract(run)
    with pytest.raises(NightStopped) as stopped:
        nights.judge_and_build(run)
    message = str(stopped.value)
    assert "customers: " in message
    assert "more than 2.0%" in message
    assert "email_well_formed: " in message
    assert "orders: " in message
    assert "status_known: " in message
    assert {name: lake.version("clean", name) for name in SOURCES} == versions
    assert nights.published() == before


def test_a_broken_rule_that_stops_stops_the_night(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    products = SOURCES["products"]
    cheap = between("unit_price_cents", "price_not_odd", "No unit sells for a cent.", least=100_000_000)
    stopping = replace(products, rules=(*products.rules, replace(cheap, severity=Severity.STOP)))
    monkeypatch.setitem(SOURCES, "products", stopping)
    with pytest.raises(NightStopped, match=r"products, rule price_not_odd: 43 rows, such as 1, 10, 11, 12, 13"):
        nights.report()
    assert nights.ask("select count(*) from audit.publications") == [(0,)]


@pytest.mark.usefixtures("nights")
def test_two_judges_that_disagree_stop_the_night(tmp_path: Path) -> None:
    rule = between("units", "at_least_one", "At least one.", least=1)
    lying = replace(rule, broken="units < 2")
    table = Table(
        "reporting",
        "things",
        "One row per thing.",
        columns=(Column("thing", Type.TEXT, "It."), Column("units", Type.INTEGER, "How many.")),
        primary_key=("thing",),
        rules=(lying,),
    )
    file = tmp_path / "things.parquet"
    pq.write_table(pa.table({"thing": ["a", "b", "c"], "units": [0, 1, 2], "_copies": [1, 1, 1]}), file)
    with pytest.raises(GateDisagreement, match=r"reporting.things, rule at_least_one: .* 1 broken .* 2"):
        _outcomes(table, str(file), "run")


@pytest.mark.usefixtures("tolerant")
@pytest.mark.long
def test_batches_give_what_one_batch_gives(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_all(nights)
    run = nights.begin()
    nightly.extract(run)
    whole = [nightly.validate(run, name) for name in SOURCES]
    monkeypatch.setenv("STOCKTAKE_BATCH_ROWS", "997")
    settings.cache_clear()
    assert [nightly.validate(run, name) for name in SOURCES] == whole


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_run_that_the_gate_forgot_says_what_to_clear(nights: Nights) -> None:
    """Two days after a failed night another one takes away what it left there; then its tasks are cleared."""
    nights.shop.execute("update orders set updated_at = now() where order_id = 7")
    run = nights.begin()
    nightly.extract(run)
    gate = Path(settings().lake) / "gate" / run
    shutil.rmtree(gate)
    with pytest.raises(Forgotten, match=f"orders.touched.parquet of run {run} is no longer at the gate.* clear begin"):
        nightly.validate(run, "orders")
    nightly.extract(run)
    nights.judge(run)
    before = {name: lake.version("clean", name) for name in SOURCES}
    (gate / "inventory.sums.json").unlink()
    with pytest.raises(Forgotten, match=r"inventory\.sums\.json"):
        nightly.accept(run)
    assert {name: lake.version("clean", name) for name in SOURCES} == before, "seen before anything is written"
    os.utime(gate, (0, 0))
    nightly.extract(run)  # what it reads is new, however old the place
    nights.judge(run)
    assert nightly.accept(run)["orders"]["accepted"] == 1
