"""The source `order_refunds`."""

from __future__ import annotations

from include.contract import Column, Derived, Source, Type
from include.contract.currency import CURRENCIES
from include.contract.rules import at_most, between, equal, one_of
from include.contract.table import key
from include.sources.money import in_units
from include.sources.order_items import ITS_ORDER
from include.sources.time import in_our_time


def _of_order(name: str, kind: Type, doc: str, column: str) -> Derived:
    """A figure of the order; null where none is known."""
    return Derived(
        Column(name, kind, doc, nullable=True), f"its_order.{column}", needs=("orders",), lookups=(ITS_ORDER,)
    )


_IN_UNITS, _UNITS = in_units(
    "row.currency",
    *("amount", "shipping", "tax"),
    credible=(("amount", "A refund"), ("shipping", "Shipping"), ("tax", "Tax")),
)

ORDER_REFUNDS = Source(
    schema="source",
    name="order_refunds",
    grain="One row per refund of money that no order line explains: goodwill, shipping, a fee.",
    columns=(
        Column("order_refund_id", Type.INTEGER, "The refund."),
        key(
            "orders",
            "order_id",
            "The order it is about; null where none is known.",
            part_of=True,
            nullable=True,
        ),
        Column("currency", Type.TEXT, "ISO 4217 code of its amounts, which is its order's."),
        Column("amount", Type.CENTS, "Given back for anything but shipping, without tax: goodwill, goods, a fee."),
        Column("shipping", Type.CENTS, "Shipping given back, without tax.", optional=True, default=0),
        Column("tax", Type.CENTS, "Tax given back with amount and shipping.", optional=True, default=0),
        Column(
            "reason", Type.TEXT, "Why, in the shop's words; null where it does not say.", nullable=True, optional=True
        ),
        Column("refunded_at", Type.AT, "When the money was given back."),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("order_refund_id",),
    optional=True,
    rules=(
        one_of("currency", "currency_known", "A currency is an ISO 4217 code.", CURRENCIES),
        equal("currency", "order_currency", "currency_of_order", "Money goes back in the currency of its order."),
        between("amount_cents", "amount_not_negative", "A refund gives nothing or more.", least=0),
        between("shipping_cents", "shipping_not_negative", "Shipping given back is nothing or more.", least=0),
        between("tax_cents", "tax_not_negative", "Tax given back is nothing or more.", least=0),
        *_IN_UNITS,
        at_most("order_ordered_at", "refunded_at", "refunded_after_ordered", "A refund follows its order."),
        in_our_time("refunded_on", "refund"),
        at_most("refunded_at", "_snapshot_at", "refunded_not_in_future", "No refund lies in the future."),
    ),
    amount="amount_cents::hugeint + shipping_cents + tax_cents",
    currency="currency",
    begins="refunded_on",
    # Money may go back for an order of before the shop's first one here.
    opens_calendar=True,
    derived=(
        Derived(
            Column("refunded_on", Type.DAY, "Business day of refunded_at.", nullable=True),
            "business_day(row.refunded_at)",
        ),
        *_UNITS,
        _of_order("order_currency", Type.TEXT, "ISO 4217 code of the order's amounts; null without one.", "currency"),
        _of_order("order_ordered_at", Type.AT, "When the order was placed; null without one.", "ordered_at"),
    ),
)
