"""A Medusa shop of a handful of orders, each there for what its name says; test_medusa.py has what they come to."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tests.contract.medusa import Medusa, at

PLACES: Final = (
    "reserved",
    "packed without a location",
    "packed elsewhere",
    "packed, not reserved",
    "reserved again",
    "unpacked",
    "neither",
)


def fill(medusa: Medusa) -> None:
    """All of it."""
    for part in (
        fill_catalogue,
        fill_customers,
        fill_amounts,
        fill_changes,
        fill_returns,
        fill_goodwill,
        fill_progress,
        fill_places,
        fill_gift_cards,
    ):
        part(medusa)


def fill_catalogue(medusa: Medusa) -> None:
    """Two locations, of which the shipping option has the first; seven products, of which two are kits."""
    medusa.put("stock_location_address", id="quay", country_code="de")
    medusa.put("stock_location", id="port", name="Port", address_id="quay")
    medusa.put("stock_location", id="hill", name="Hill")
    medusa.put("service_zone", id="zone", fulfillment_set_id="set")
    medusa.put("location_fulfillment_set", stock_location_id="port", fulfillment_set_id="set")
    medusa.put("shipping_option", id="standard", service_zone_id="zone")
    medusa.put("sales_channel", id="web", name="Web")
    medusa.put("sales_channel_stock_location", sales_channel_id="web", stock_location_id="port")
    medusa.put("product_category", id="home", name="Home", mpath="home")
    medusa.put("product_category_product", product_id="p/mug", product_category_id="home")
    medusa.product("mug", title="White")
    medusa.product("mug again", ("mug", 1), created_at=at(2))
    medusa.product("cap", status="draft")
    medusa.product("shirt")
    medusa.product("box", ("mug", 1), ("shirt", 1))
    medusa.product("pair", ("shirt", 2))
    medusa.product("gone, sold once", deleted_at=at(3))
    medusa.product("gone, never sold", deleted_at=at(3))
    for item, location, stocked, reserved in (("mug", "port", 9, 2), ("mug", "hill", 4, 0), ("shirt", "port", 1, 3)):
        medusa.put(
            "inventory_level", inventory_item_id=item, location_id=location, stocked_quantity=stocked,
            reserved_quantity=reserved, incoming_quantity=6 if location == "hill" else 0,
        )  # fmt: skip
    medusa.put("inventory_level", inventory_item_id="cap", location_id="port", stocked_quantity=5, deleted_at=at(3))


def fill_customers(medusa: Medusa) -> None:
    """One with an account and addresses, a guest, and two who were deleted."""
    medusa.put("customer", id="ada", first_name="Ada", last_name="Byron", email="ada@example.com", has_account=True)
    medusa.put("customer_address", customer_id="ada", country_code="fr", is_default_shipping=True)
    medusa.put("customer_address", customer_id="ada", country_code="de", is_default_billing=True)
    medusa.put("customer", id="guest", email="guest@example.com")
    medusa.put("customer", id="gone", first_name="Gone", email="gone@example.com", deleted_at=at(5), has_account=True)
    medusa.put("customer", id="never bought", email="never@example.com", deleted_at=at(5), has_account=True)
    medusa.put("order_address", id="home", address_1="1 Street", city="Town", postal_code="10115", country_code="de")


def fill_amounts(medusa: Medusa) -> None:
    """Orders of one version, each for one kind of amount."""
    medusa.order("in yen", currency_code="jpy")
    medusa.sell("in yen", "a", 3, "333", "10", inclusive=True)

    medusa.order("prices with tax", shipping_address_id="home")
    medusa.sell("prices with tax", "a", 2, "11.90", "19", inclusive=True)
    medusa.ship_for("prices with tax", "5.95", "19", inclusive=True)

    medusa.order("prices without tax", currency_code="usd")
    medusa.sell("prices without tax", "a", 3, "10.00", "10")
    medusa.ship_for("prices without tax", "5.00", "10")

    medusa.order("two taxes", currency_code="usd")
    medusa.sell("two taxes", "a", 1, "100", "4")
    medusa.put("order_line_item_tax_line", item_id="two taxes/a", rate=Decimal("4.875"))
    medusa.put("order_line_item_tax_line", item_id="two taxes/a", rate=Decimal(20), deleted_at=at(2))

    medusa.order("promotion on items")
    medusa.sell("promotion on items", "a", 1, "11.90", "19", inclusive=True)
    medusa.promote("promotion on items", "a", "1.50", code="SUMMER")
    medusa.promote("promotion on items", "a", "0.50", code="AUTOMATIC")
    medusa.promote("promotion on items", "a", "9", code="TAKEN OUT", deleted_at=at(3))
    medusa.sell("promotion on items", "b", 1, "11.90", "19", inclusive=True)
    medusa.promote("promotion on items", "b", "1.19", inclusive=True, code="SUMMER")

    medusa.order("promotions on order and delivery", currency_code="usd")
    medusa.sell("promotions on order and delivery", "a", 2, "30", "10")
    medusa.sell("promotions on order and delivery", "b", 1, "40", "10")
    medusa.promote("promotions on order and delivery", "a", "6")
    medusa.promote("promotions on order and delivery", "b", "4")
    medusa.ship_for("promotions on order and delivery", "5", "10", discount="5")

    medusa.order("more off than it costs")
    medusa.sell("more off than it costs", "a", 1, "10", "10")
    medusa.promote("more off than it costs", "a", "12")

    medusa.order("delivery with tax in it, and off it")
    medusa.ship_for("delivery with tax in it, and off it", "12", "20", inclusive=True, discount="4")

    medusa.order("fractions", currency_code="kwd")
    medusa.sell("fractions", "a", 3, "0.333", "5")
    medusa.sell("fractions", "b", 1, "10", "20", inclusive=True)

    medusa.order("half a cent")
    medusa.sell("half a cent", "a", 1, "0.125", "0")

    medusa.order("half a unit")
    medusa.sell("half a unit", "a", "0.5", "10", "0")

    medusa.order("of a guest", customer_id="guest")
    medusa.sell("of a guest", "a", 1, "5", "0", variant="gone, sold once")


def fill_changes(medusa: Medusa) -> None:
    """Orders that something happened to: a cancellation, an edit, an exchange; drafts and a deleted one."""
    medusa.order("cancelled", version=2, customer_id="gone", status="canceled", canceled_at=at(5))
    medusa.line("cancelled", "a", "11.90", "19", inclusive=True)
    for version in (1, 2):
        medusa.item("cancelled", "a", 2, version=version)
    medusa.pay("cancelled", at(2, 12), "23.80")
    medusa.put("refund", at(5), id="cancelled/refund", payment_id="cancelled/payment", amount=Decimal("23.80"))
    medusa.credit("cancelled", "payment_collection", "23.80", version=2, day=5)

    # Three mugs and a cap; then one mug at another price, two shirts and no cap.
    medusa.order("edited", version=2)
    medusa.ship_for("edited", "5", "10", discount="1", versions=(1, 2))
    for line, price in (("mug", "10"), ("cap", "20"), ("shirt", "15")):
        medusa.line("edited", line, price, "10")
    medusa.item("edited", "mug", 3)
    medusa.promote("edited", "mug", "3", code="BEFORE")
    medusa.item("edited", "cap", 1)
    medusa.promote("edited", "cap", "2")
    medusa.item("edited", "mug", 1, version=2, day=3, unit_price=Decimal(9))
    medusa.promote("edited", "mug", "1", version=2, code="AFTER")
    medusa.item("edited", "cap", 0, version=2, day=3)
    medusa.promote("edited", "cap", "2", version=2)
    medusa.item("edited", "shirt", 2, version=2, day=3)
    medusa.give_back("edited", "mug", 1)

    # Delivered on the 6th; on the 8th it is to come back, and on the 9th another to go out.
    medusa.order("exchanged", version=5)
    medusa.line("exchanged", "old", "11.90", "19", inclusive=True)
    medusa.line("exchanged", "new", "23.80", "19", inclusive=True, variant="shirt")
    medusa.item("exchanged", "old", 1)
    medusa.item("exchanged", "old", 1, version=2, day=4, fulfilled_quantity=1, shipped_quantity=1)
    done = {"fulfilled_quantity": 1, "shipped_quantity": 1, "delivered_quantity": 1}
    medusa.item("exchanged", "old", 1, version=3, day=6, **done)
    for version, day in ((4, 8), (5, 9)):
        medusa.item("exchanged", "old", 1, version=version, day=day, return_requested_quantity=1, **done)
    medusa.item("exchanged", "new", 1, version=5, day=9)
    medusa.give_back("exchanged", "old", 0, received_at=None)

    medusa.order("draft", is_draft_order=True, status="draft")
    medusa.pay("draft", at(3))
    medusa.sell("draft", "a", 1, "5", "0", variant=None, title="Gift wrap")
    medusa.order("draft that became an order", updated_at=at(12))
    medusa.sell("draft that became an order", "a", 1, "5", "0", variant=None, title="Engraving")
    medusa.order("deleted", deleted_at=at(3))
    medusa.sell("deleted", "a", 1, "5", "0")


def fill_returns(medusa: Medusa) -> None:
    """Orders of which something came back, or nearly."""
    # 60 less 6 for three: 18 each. Two came back, one of them broken.
    medusa.order("returned")
    medusa.sell("returned", "a", 3, "20", "10")
    medusa.promote("returned", "a", "6")
    medusa.give_back("returned", "a", 2, damaged=1)
    medusa.order("return called off")
    medusa.sell("return called off", "a", 3, "20", "10")
    medusa.give_back("return called off", "a", 1, canceled_at=at(8))
    medusa.order("return came in part")
    medusa.sell("return came in part", "a", 3, "11", "10", inclusive=True)
    medusa.give_back("return came in part", "a", 1, received_at=None, day=9)


def fill_goodwill(medusa: Medusa) -> None:
    """Money given back beyond what was owed, written again in every version; and credits that are no such thing."""
    medusa.put("refund_reason", id="adjusted", label="Customer Care Adjustment", code="customer_care_adjustment")
    # Two on the 4th and 5th that look alike, a third with its reason on the 6th.
    medusa.order("goodwill", version=4, currency_code="usd")
    medusa.line("goodwill", "a", "50", "10")
    for version, day in ((1, 2), (2, 4), (3, 5), (4, 6)):
        medusa.item("goodwill", "a", 1, version=version, day=day)
        for _ in range(min(version, 3) - 1):
            medusa.credit("goodwill", "payment_collection", "3.00", version=version, day=day)
    medusa.credit(
        "goodwill", "Customer Care Adjustment", "2.005", version=4, day=6, reference_id="customer_care_adjustment"
    )
    # The dashboard settles what is owed without paying; nothing is what a cancelled order gives back that nobody paid.
    medusa.credit("goodwill", "refund", "-7", version=4, day=6, reference_id="goodwill")
    medusa.credit("goodwill", "refund", "7", version=4, day=6, reference_id="goodwill")
    medusa.credit("goodwill", "payment_collection", "0", version=4, day=6)


def fill_progress(medusa: Medusa) -> None:
    """Orders at every step."""
    for order, quantities in (
        ("authorized", {}),
        ("captured", {}),
        ("packed and unpacked", {}),
        ("half of it shipped", {"fulfilled_quantity": 2, "shipped_quantity": 1}),
        ("shipped", {"fulfilled_quantity": 2, "shipped_quantity": 2}),
    ):
        medusa.order(order, version=2 if quantities else 1)
        medusa.sell(order, "a", 2, "5", "0")
        if quantities:
            medusa.item(order, "a", 2, version=2, day=4, **quantities)
    medusa.pay("authorized", None)
    medusa.pay("captured", at(2, 12))
    medusa.pay("of nobody", at(3), "7", provider="pp_system_default", is_linked=False)
    # Paid by gift card in the first version; an edit writes the credit again, and adds goodwill.
    for version, day in ((1, 2), (2, 4)):
        medusa.credit("shipped", "gift-card", "6", version=version, day=day)
    medusa.credit("shipped", "payment_collection", "2", version=2, day=4)
    medusa.pay("shipped", at(3), "4", provider="pp_paypal_paypal")
    medusa.parcel("packed and unpacked", "a", "port", canceled_at=at(4))
    medusa.parcel("half of it shipped", "a", "port", number="left", shipped_at=at(4))
    medusa.parcel("half of it shipped", "a", "port", number="packed")
    medusa.parcel("shipped", "a", "port", number="first", stock_item="mug", shipped_at=at(4), delivered_at=at(6))
    medusa.parcel("shipped", "a", "hill", number="second", day=4, shipped_at=at(5))
    medusa.parcel("shipped", "a", "hill", number="not to the carrier", day=4, shipped_at=at(5), canceled_at=at(5, 12))
    medusa.order("a service", version=2)
    medusa.line("a service", "a", "5", "0", requires_shipping=False)
    medusa.item("a service", "a", 1)
    medusa.item("a service", "a", 1, version=2, day=3, fulfilled_quantity=1)
    medusa.parcel("a service", "a", "port", requires_shipping=False, packed_at=at(3))


def fill_places(medusa: Medusa) -> None:
    """An order whose lines ship from either location."""
    medusa.order("places")
    for line in PLACES:
        medusa.sell("places", line, 1, "1", "0")
    medusa.reserve("places", "reserved", "hill")
    medusa.reserve("places", "packed without a location", "hill", deleted_at=at(3))
    medusa.parcel("places", "packed without a location", "port")
    medusa.reserve("places", "packed elsewhere", "port", deleted_at=at(3))
    medusa.parcel("places", "packed elsewhere", "hill")
    medusa.parcel("places", "packed, not reserved", "port")
    medusa.reserve("places", "reserved again", "hill", when=at(4), deleted_at=at(4))
    medusa.reserve("places", "reserved again", "port", when=at(3))
    medusa.reserve("places", "unpacked", "port")
    medusa.parcel("places", "unpacked", "hill", canceled_at=at(3))


def fill_gift_cards(medusa: Medusa) -> None:
    """Cards that are sold: beside a mug and a little cheaper, alone, not paid yet, and of a cancelled order."""
    medusa.order("mug and card")
    medusa.sell("mug and card", "a", 1, "10", "10")
    medusa.sell("mug and card", "card", 1, "50", "0", is_giftcard=True)
    medusa.promote("mug and card", "card", "5", code="CARD")
    medusa.pay("mug and card", at(4), "56")
    medusa.order("card alone")
    medusa.sell("card alone", "card", 1, "25", "0", is_giftcard=True)
    medusa.pay("card alone", at(3), "25")
    medusa.credit("card alone", "payment_collection", "1", day=4)
    medusa.order("card to be paid")
    medusa.sell("card to be paid", "card", 1, "30", "0", is_giftcard=True)
    medusa.order("card called off", canceled_at=at(5))
    medusa.sell("card called off", "card", 1, "20", "0", is_giftcard=True)
    medusa.pay("card called off", at(4), "20")
    medusa.put("refund", at(5), id="card called off/refund", payment_id="card called off/payment", amount=Decimal(20))
