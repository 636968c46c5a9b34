"""The source `payments`."""

from __future__ import annotations

from include.contract import Column, Derived, Severity, Source, Type
from include.contract.currency import CURRENCIES
from include.contract.rules import at_most, between, equal, one_of
from include.contract.table import key
from include.sources.money import in_units
from include.sources.order_items import ITS_ORDER
from include.sources.time import in_our_time

# How money moves, in the shop's words. A payment by any other method is still published, with a warning.
METHODS = (
    "card", "wallet", "bank_transfer", "direct_debit", "pay_later", "cash", "on_account", "gift_card", "store_credit",
)  # fmt: skip

_IN_UNITS, _UNITS = in_units("row.currency", "amount", credible=(("amount", "A movement"),))

PAYMENTS = Source(
    schema="source",
    name="payments",
    grain="One row per movement of money: what was captured, paid back, or put on a gift card that was sold.",
    doc="With tax, as the customer pays. An authorization moves no money and is left out, as is an attempt that "
    "failed. A payment is held with its order: the money of an order whose sale does not count would make a difference "
    "to sales that is none. A gift card that is sold is money put on it, no sale and no line of an order; one that is "
    "redeemed is a payment.",
    columns=(
        Column("payment_id", Type.INTEGER, "The movement; not the provider's reference in orders.payment_id."),
        key(
            "orders",
            "order_id",
            "The order it is for; null where it is for none, or for one that is not known.",
            part_of=True,
            nullable=True,
        ),
        Column(
            "kind",
            Type.TEXT,
            "capture: money came in, or was taken off a gift card or a credit; refund: it went back; issue: it was put "
            "on a gift card or a credit that the customer bought.",
        ),
        Column(
            "method",
            Type.TEXT,
            f"How: {', '.join(METHODS)}; null where the shop does not say. on_account is an invoice, when it is paid.",
            nullable=True,
        ),
        Column("currency", Type.TEXT, "ISO 4217 code of the amount."),
        Column("amount", Type.CENTS, "How much, with tax; never negative: kind says which way."),
        Column("paid_at", Type.AT, "When the money moved: captured, refunded, issued."),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("payment_id",),
    optional=True,
    rules=(
        one_of("kind", "kind_known", "A movement is a capture, a refund or an issue.", ["capture", "refund", "issue"]),
        one_of("method", "method_known", f"A method is one of {', '.join(METHODS)}.", METHODS, severity=Severity.WARN),
        one_of("currency", "currency_known", "A currency is an ISO 4217 code.", CURRENCIES),
        equal("currency", "order_currency", "currency_of_order", "An order is paid in its own currency."),
        between("amount_cents", "amount_not_negative", "A movement is of nothing or more.", least=0),
        *_IN_UNITS,
        in_our_time("paid_on", "movement"),
        at_most("paid_at", "_snapshot_at", "paid_not_in_future", "No movement lies in the future."),
    ),
    amount="amount_cents",
    currency="currency",
    begins="paid_on",
    derived=(
        Derived(Column("paid_on", Type.DAY, "Business day of paid_at.", nullable=True), "business_day(row.paid_at)"),
        *_UNITS,
        Derived(
            Column("order_currency", Type.TEXT, "ISO 4217 code of its order's amounts.", nullable=True),
            "its_order.currency",
            needs=("orders",),
            lookups=(ITS_ORDER,),
        ),
    ),
)
