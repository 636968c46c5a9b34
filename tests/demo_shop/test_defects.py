"""Every defect is planted in one row, breaks what it says and nothing else, and is healed without a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from include.demo_shop.defects import DEFECTS, Defect
from include.demo_shop.history import fill_history
from include.demo_shop.planting import AlreadyPlanted, NoVictim, Planted, UnknownDefect, plant, planted_defects, unplant
from include.demo_shop.schema import KeyType, create_schema
from tests.conftest import SMALL, Database
from tests.demo_shop.conftest import shopkeeper
from tests.demo_shop.contents import contents, structure
from tests.demo_shop.invariants import broken_invariants
from tests.nights import LAST_DAY

_SUM = "subtotal is the sum of its lines"
_LIFE = "every line is reserved once, then shipped or released as its order says"
_CANCELLED = "cancelled ⇔ when, by whom and why"
_DISCOUNT = "0 ≤ discount ≤ subtotal"
_TAX = "tax is 10 % of what is left after the discount, and of what delivery costs, half up"
_SHIPPING = "0 ≤ shipping discount ≤ shipping"
_OWN = "a line's discount is within the line, and those of an order within its discount"
_POSITIVE = "prices and quantities are positive"
_PARENTS = "an item has an order, a product and a warehouse"
_SHELF = "0 ≤ reserved ≤ on hand"
_STOCK = "stock is the sum of its movements"
_EVENTS = "the status says which events happened"
_ORDER = "events happen in order"
_FUTURE = "nothing is in the future"
_BACK = "units come back after they shipped, and tax with the money"
_GIVEN = "money goes back with its tax, in the currency of its order and after it"
_PAID = "payments are of known kinds and methods, and of an order in its currency"
_PARCEL = "a parcel is one, and holds what was ordered"
_PARCELS = "an order leaves with its first parcel and arrives with its last"
_KIT = "a kit is made of other products"
_BOUGHT = "what was bought is of some units, which come after they were ordered"
_WRITTEN = "a row is written no earlier than its events"

BREAKS: dict[str, set[str]] = {
    "duplicate": {"keys are unique", _SUM, _LIFE},  # joins meet the lines twice
    "unknown_customer": {"the customer of an order exists"},
    "order_without_items": {_SUM, _PARCELS},
    "total_mismatch": {"total is the sum of its parts"},
    "subtotal_mismatch": {_SUM},
    "tax_mismatch": {_TAX},
    "negative_shipping": {_SHIPPING},
    "shipping_discount_exceeds_shipping": {_SHIPPING},
    "shipping_tax_exceeds_tax": {_TAX},
    "line_discount_exceeds_line": {_OWN},
    "line_discount_exceeds_order": {_OWN},
    "negative_discount": {_DISCOUNT},
    "discount_exceeds_subtotal": {_DISCOUNT},
    "missing_currency": {"currencies are known", _PAID},
    "unknown_currency": {"currencies are known", _PAID},
    "yen_with_decimals": {"amounts are what their currency has", "prices in yen are with tax", _TAX, _PAID},
    "unknown_status": {"statuses are known", _EVENTS},
    "status_went_back": {_EVENTS},
    "cancelled_without_reason": {_CANCELLED},
    "cancelled_without_timestamp": {_CANCELLED},
    "reason_without_cancellation": {_CANCELLED},
    "missing_ordered_at": {"an order says when it was placed", _LIFE, _PARCEL},
    "future_timestamp": {_FUTURE, _WRITTEN, _PARCELS},
    "infinite_timestamp": {_FUTURE, _WRITTEN, _PARCELS},
    "shipped_before_ordered": {_ORDER, _LIFE, _PARCELS},
    "delivered_before_shipped": {_ORDER, _PARCELS},
    "unknown_channel": {"channels are known"},
    "orphan_item": {_PARENTS},
    "unknown_product": {_PARENTS},
    "unknown_warehouse": {_PARENTS},
    "huge_quantity": {_SUM, _LIFE},
    "negative_quantity": {_POSITIVE, _SUM, _LIFE, _PARCEL},
    "zero_quantity": {_POSITIVE, _SUM, _LIFE, _PARCEL},
    "nan_price": {_POSITIVE, _SUM},
    "negative_item_price": {_POSITIVE, _SUM},
    "refund_of_unknown_item": {"a refund has an item"},
    "refund_exceeds_line": {"refunds stay within their line"},
    "refund_amount_exceeds_line": {"refunds stay within their line"},
    "negative_refund": {"only what shipped is refunded"},
    "refund_before_order": {"only what shipped is refunded"},
    "negative_refunded_tax": {_BACK},
    "returned_before_ordered": {_BACK},
    "order_refund_of_unknown_order": {_GIVEN},
    "order_refund_in_other_currency": {_GIVEN},
    "order_refund_of_unknown_currency": {_GIVEN},
    "negative_order_refund": {_GIVEN},
    "order_refund_before_order": {_GIVEN},
    "negative_stock": {_SHELF, _STOCK},
    "reserved_exceeds_on_hand": {_SHELF, _STOCK},
    "negative_reserved": {_SHELF, _STOCK},
    "stock_not_explained": {_STOCK},
    "movement_of_unknown_kind": {"kinds of movements are known and have their sign"},
    "movement_of_unknown_product": {"a movement has a product and a warehouse", _STOCK},
    "negative_purchase": {_BOUGHT},
    "huge_purchase": {_BOUGHT},
    "negative_receipt": {_BOUGHT},
    "receipt_without_time": {_BOUGHT},
    "received_before_ordered": {_BOUGHT},
    "cancelled_before_bought": {_BOUGHT},
    "purchase_in_unknown_currency": {_BOUGHT},
    "received_more_than_ordered": {_BOUGHT},
    "expected_before_ordered": {_BOUGHT},
    "purchase_of_unknown_product": {"what was bought is a product for a warehouse"},
    "kit_without_units": {_KIT},
    "kit_of_a_million": {_KIT},
    "kit_of_itself": {_KIT},
    "kit_in_a_cycle": {"no component of a kit is made of it", "a kit has no shelf"},
    "kit_of_unknown_product": {_KIT},
    "negative_price": {_POSITIVE},
    "shared_article_number": {"an article number is of one product that is sold"},
    "missing_email": {"e-mail addresses look like some"},
    "malformed_email": {"e-mail addresses look like some"},
    "payment_of_unknown_order": {_PAID},
    "payment_of_unknown_kind": {_PAID},
    "negative_payment": {_PAID, "no more is paid back for an order than was captured, but for goodwill"},
    "payment_in_another_currency": {_PAID},
    "payment_in_the_future": {_FUTURE, _WRITTEN},
    "unknown_method": {_PAID},
    "shipment_of_unknown_item": {_PARCEL},
    "more_shipped_than_ordered": {_PARCEL},
    "nothing_shipped": {_PARCEL},
    "shipment_before_order": {_PARCEL, _PARCELS},
    "shipment_arrived_before_it_left": {_PARCEL, _PARCELS},
    "shipment_of_cancelled_order": {_PARCELS},
    "shipment_torn_apart": {_PARCEL},
    "shipment_in_the_future": {_FUTURE, _WRITTEN, _PARCELS},
    "shipped_without_shipment": {_PARCELS, _LIFE},
}
"""What each defect breaks of a healthy shop's rules."""

_RETURNS = "every restocked refund is a return"  # whether a refund was restocked is chance


@dataclass(frozen=True)
class Healthy:
    """The shop as it is before anything is planted."""

    rows: dict[str, list[str]]
    rows_but_updated_at: dict[str, list[str]]
    structure: list[str]


@pytest.fixture(scope="module")
def healthy(small_past: Database) -> Healthy:
    """Read once: every test here rolls back what it does."""
    with psycopg.connect(small_past.url("shopkeeper")) as shop:
        return Healthy(contents(shop), contents(shop, with_updated_at=False), structure(shop))


def test_every_defect_is_known() -> None:
    assert set(DEFECTS) == set(BREAKS)
    assert len(DEFECTS) >= 24
    assert {name for name, defect in DEFECTS.items() if defect.is_warning} == {
        "shared_article_number",
        "stock_not_explained",
        "missing_email",
        "kit_of_unknown_product",
        "unknown_channel",
        "unknown_method",
        "shipped_without_shipment",
        "received_more_than_ordered",
        "expected_before_ordered",
    }


@pytest.mark.parametrize("name", BREAKS)
def test_a_defect_breaks_what_it_says_in_one_row(past: Connection[Any], healthy: Healthy, name: str) -> None:
    before = healthy.rows

    (planted,) = plant(past, [name])

    defect = DEFECTS[name]
    assert (planted.name, planted.source) == (name, defect.source)
    assert set(broken_invariants(past)) - {_RETURNS} == BREAKS[name]
    after = contents(past)
    assert {table for table in after if after[table] != before[table]} == {defect.source}
    changed = set(after[defect.source]) - set(before[defect.source])
    assert len(changed) == 1
    assert len(after[defect.source]) - len(before[defect.source]) == (1 if defect.extra else 0)
    assert _is_written_now(past, planted)

    assert unplant(past) == [planted]
    assert broken_invariants(past) == {}
    assert contents(past, with_updated_at=False) == healthy.rows_but_updated_at
    assert structure(past) == healthy.structure
    assert defect.extra or _is_written_now(past, planted)
    assert planted_defects(past) == []


def test_all_defects_at_once_hit_rows_of_their_own(past: Connection[Any], healthy: Healthy) -> None:
    planted = plant(past, DEFECTS)

    assert [one.name for one in planted] == list(DEFECTS)
    assert planted_defects(past) == planted
    assert len({(one.source, one.key) for one in planted}) == len(planted)
    orders = past.execute(
        """
        select order_id::text from orders
        join stocktake_demo.planted_defects on source = 'orders' and key = order_id::text
        where name <> 'duplicate'
        union all
        select order_id::text from order_items
        join stocktake_demo.planted_defects on source = 'order_items' and key = order_item_id::text
        """
    ).fetchall()
    assert len(orders) > 20
    assert len(set(orders)) == len(orders)
    assert set(broken_invariants(past)) - {_RETURNS} == set().union(*BREAKS.values())

    assert unplant(past) == planted
    assert broken_invariants(past) == {}
    assert contents(past, with_updated_at=False) == healthy.rows_but_updated_at
    assert structure(past) == healthy.structure


def test_victims_are_the_same_every_time(past: Connection[Any]) -> None:
    past.execute("savepoint healthy")
    first = plant(past, DEFECTS)
    past.execute("rollback to savepoint healthy")
    assert [(one.name, one.key) for one in plant(past, DEFECTS) if not DEFECTS[one.name].extra] == [
        (one.name, one.key) for one in first if not DEFECTS[one.name].extra
    ]


def test_another_process_heals(old_shop: Database) -> None:
    with shopkeeper(old_shop) as shop, shop.transaction():
        planted = plant(shop, ["duplicate", "orphan_item", "missing_email"])
    with shopkeeper(old_shop) as shop:
        assert broken_invariants(shop)
        with shop.transaction():
            assert unplant(shop) == planted
        assert broken_invariants(shop) == {}
        with shop.transaction():
            assert unplant(shop) == []
        with shop.transaction():
            assert [one.key for one in plant(shop, ["duplicate"])] == [planted[0].key]


@pytest.mark.parametrize("keys", ["text", "uuid"])
def test_defects_fit_every_type_of_key(shop_database: Database, keys: KeyType) -> None:
    with psycopg.connect(shop_database.url("shopkeeper")) as shop:
        create_schema(shop, keys)
        fill_history(shop, last_day=LAST_DAY, size=SMALL)
        structure_before = structure(shop)

        assert len(plant(shop, DEFECTS)) == len(DEFECTS)
        assert len(broken_invariants(shop)) > 15
        unplant(shop)

        assert broken_invariants(shop) == {}
        assert structure(shop) == structure_before


def test_what_cannot_be_planted_is_refused(past: Connection[Any], shop_database: Database) -> None:
    with pytest.raises(UnknownDefect, match="no defect 'gremlin'; there are duplicate, "):
        plant(past, ["gremlin"])
    plant(past, ["nan_price"])
    with pytest.raises(AlreadyPlanted, match="nan_price is planted already"):
        plant(past, ["nan_price"])
    with shopkeeper(shop_database) as shop:
        create_schema(shop)
        assert unplant(shop) == []
        with pytest.raises(NoVictim, match="no row of orders to plant total_mismatch in"):
            plant(shop, ["total_mismatch"])


def test_the_extractor_sees_a_defect_but_cannot_heal_it(old_shop: Database) -> None:
    with shopkeeper(old_shop) as shop, shop.transaction():
        (planted,) = plant(shop, ["total_mismatch"])
    with old_shop.connect("extractor") as reader:
        query = (
            "select total - (subtotal - discount + shipping - shipping_discount + tax) from orders where order_id = %s"
        )
        assert reader.execute(query, [int(planted.key)]).fetchone() == (10,)
        reader.execute("set default_transaction_read_only to off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("update orders set total = 0")


def test_a_defect_changes_or_adds() -> None:
    with pytest.raises(ValueError, match="either changes a row or adds one"):
        Defect(name="nothing", source="orders", description="", rule="")


def _is_written_now(shop: Connection[Any], planted: Planted) -> bool:
    key = {
        "inventory": "product_id || '/' || warehouse_id",
        "inventory_movements": "movement_id::text",
        "kit_components": "product_id || '/' || component_id",
        "payments": "transaction_id::text",
        "shipment_items": "shipment_item_id::text",
    }
    column = key.get(planted.source, f"{planted.source.removesuffix('s')}_id::text")
    row = shop.execute(
        f"select bool_or(updated_at = now()) from {planted.source} where {column} = %s".encode(), [planted.key]
    ).fetchone()
    return bool(row and row[0])
