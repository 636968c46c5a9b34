"""The source `orders`."""

from __future__ import annotations

from include.contract import Column, Derived, Dimension, Lookup, Severity, Source, Type, Whole
from include.contract.currency import CURRENCIES, smallest_unit
from include.contract.rules import Condition, at_most, between, empty, equal, filled, one_of
from include.contract.table import key
from include.sources.money import in_units
from include.sources.order_items import line_subtotal
from include.sources.time import in_our_time

# Where orders are placed, in the shop's words. An order from any other channel is still published, with a warning.
CHANNELS = ("web", "app", "marketplace", "store", "phone")

_CANCELLED = Condition("status", "cancelled")
_NOT_CANCELLED = Condition("status", "cancelled", negated=True)
_SHIPPED = Condition("shipped_at")

# The position of a status in an order's life; cancelled is last, because nothing follows it.
_STEP = (
    "case {status} when 'pending' then 0 when 'processing' then 1 when 'shipped' then 2 when 'delivered' then 3 "
    "when 'cancelled' then 4 end"
)


# A hugeint: twice a sum of amounts that the bounds below then refuse does not fit an int64.
_PARTS = (
    "row.subtotal_cents::hugeint - row.discount_cents + row.shipping_cents - row.shipping_discount_cents"
    " + row.tax_cents"
)


# Lines' own discounts, rounded one by one, may come to more than the order's, and the order's to more than its lines.
_ROUNDING = """
row.total_cents - (
    {gross} - least(greatest(row.discount_cents, {own}), {gross})
    + row.shipping_cents - row.shipping_discount_cents + row.tax_cents
)
"""
# Its lines that are in the order.
_ITS_LINES = Lookup(
    "its_lines",
    "order_items as line",
    {"line.order_id": "order_id"},
    {
        "lines": "nullif(count(*), 0)",
        "gross": f"sum({line_subtotal('line')})",
        "discount": "sum(line.discount_cents)",
        "tax": "sum(line.tax_cents)",
        "taxed": "nullif(count(line.tax_cents), 0)",
    },
    where="line.removed_at is null",
)
_ITS_SHIPMENTS = Lookup(
    "its_shipments",
    "order_items as line join shipment_items as parcel using (order_item_id)",
    {"line.order_id": "order_id"},
    {"shipments": "nullif(count(distinct parcel.shipment_id), 0)"},
    where="parcel.cancelled_at is null",
)


def _of_lines(figure: str) -> str:
    """A DuckDB expression: a figure of its lines; 0 of none."""
    return f"coalesce(its_lines.{figure}, 0)"


# Null where it says nothing: some line has no tax of its own, and the others have no more than there is.
_LINES_TAX = """(
    case when its_lines.lines = its_lines.taxed or its_lines.tax + row.shipping_tax_cents > row.tax_cents
        then its_lines.tax + row.shipping_tax_cents
    end
)"""


def _but_for_rounding(found: str, expected: str, parts: str) -> str:
    """A DuckDB expression: what is expected, where what is found differs by half a unit for each part, or less.

    The unit is the smallest of the order's currency.
    """
    tolerance = f"({parts}) * {smallest_unit('row.currency')}"
    return f"case when abs(({found}) - {expected}) * 2 <= {tolerance} then {expected} else {found} end"


def _day(instant: str) -> Derived:
    """The business day of an instant; null until the instant is known."""
    name = instant.replace("_at", "_on")
    return Derived(Column(name, Type.DAY, f"Business day of {instant}.", nullable=True), f"business_day(row.{instant})")


def _seconds(name: str, start: str, end: str) -> Derived:
    """Whole seconds between two instants; an integer, so that every engine divides the same numbers."""
    column = Column(name, Type.INTEGER, f"Seconds from {start} to {end}; a fraction of one is dropped.", nullable=True)
    # Not date_diff: it counts how often a second begins, 1 from 10:00:00.9 to 10:00:01.1.
    return Derived(column, f"(epoch_us(row.{end}) - epoch_us(row.{start})) // 1000000")


_IN_UNITS, _UNITS = in_units(
    "row.currency",
    *("subtotal", "discount", "shipping", "shipping_discount", "tax", "shipping_tax", "tax_due", "total"),
    credible=(("shipping", "Shipping"), ("tax", "Tax"), ("subtotal", "An order")),
)

# What is off an order is spread in its currency's smallest unit; where the shop rounds, only if all is whole in it.
_ALL_WHOLE = " and ".join(
    f"coalesce(row.{name}_cents % {smallest_unit('row.currency')}, 0) = 0" for name in ("subtotal", "discount")
)
_WHOLE_LINES = f"""(
    select count(*)
    from order_items as line
    where line.order_id = row.order_id and (
        {line_subtotal("line")} % {smallest_unit("row.currency")} <> 0
        or coalesce(line.discount_cents % {smallest_unit("row.currency")}, 0) <> 0
    )
) = 0"""
_UNIT_TO_SPREAD = f"case when {_ALL_WHOLE} and {_WHOLE_LINES} then {smallest_unit('row.currency')} else 1 end"

ORDERS = Source(
    schema="source",
    name="orders",
    grain="One row per order.",
    columns=(
        Column("order_id", Type.INTEGER, "The order."),
        key(
            "customers",
            "customer_id",
            "The account that ordered; null for a guest, who has none.",
            nullable=True,
        ),
        Column("status", Type.TEXT, "pending, processing, shipped, delivered or cancelled, as the shop says it now."),
        Column("currency", Type.TEXT, "ISO 4217 code of every amount of the order."),
        Column("subtotal", Type.CENTS, "Sum of the lines' subtotals: without tax, shipping and discounts."),
        Column("discount", Type.CENTS, "Taken off the subtotal, without tax; what is known by line included."),
        Column(
            "discount_code",
            Type.TEXT,
            "Code or promotion of its discount, but for what is a line's own; null or empty where it has none.",
            nullable=True,
            optional=True,
        ),
        Column(
            "shipping",
            Type.CENTS,
            "Charged for delivery, before its discount and without tax.",
            optional=True,
            default=0,
        ),
        Column("shipping_discount", Type.CENTS, "Taken off shipping, without tax.", optional=True, default=0),
        Column("tax", Type.CENTS, "All tax of the order: on subtotal − discount, and shipping_tax."),
        Column("shipping_tax", Type.CENTS, "The part of tax that is on shipping.", optional=True, default=0),
        Column("tax_due", Type.CENTS, "The tax at the shop's own rate; null if it has none.", nullable=True),
        Column(
            "total",
            Type.CENTS,
            "What the customer pays: subtotal − discount + shipping − shipping_discount + tax.",
        ),
        Column("shipping_address", Type.JSON, "Where it goes; null when it was handed over.", nullable=True),
        Column("payment_id", Type.TEXT, "The payment provider's reference; null before payment.", nullable=True),
        Column("channel", Type.TEXT, "Where it was placed: web, app, …; null where the shop has none.", nullable=True),
        Column("ordered_at", Type.AT, "When the order was placed."),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
        Column("shipped_at", Type.AT, "When it left the warehouse; null before.", nullable=True),
        Column("delivered_at", Type.AT, "When it arrived; null before.", nullable=True),
        Column("cancelled_at", Type.AT, "When it was cancelled; null when it was not.", nullable=True),
        Column("cancelled_by", Type.TEXT, "Who cancelled it; null when it was not.", nullable=True),
        Column(
            "cancellation_reason",
            Type.TEXT,
            "Why it was cancelled; null when it was not. Where none is recorded, a text such as 'not given'.",
            nullable=True,
        ),
    ),
    primary_key=("order_id",),
    rules=(
        one_of(
            "status",
            "status_known",
            "A status is one of the five.",
            ["pending", "processing", "shipped", "delivered", "cancelled"],
        ),
        # A warning: what happened before must not decide whether the shop's row is published. An exchange may take a
        # delivered order back to processing.
        at_most(
            "highest_status_step",
            "status_step",
            "status_moves_forward",
            "A status never moves backwards.",
            severity=Severity.WARN,
        ),
        one_of("currency", "currency_known", "A currency is an ISO 4217 code.", CURRENCIES),
        one_of(
            "channel", "channel_known", f"A channel is one of {', '.join(CHANNELS)}.", CHANNELS, severity=Severity.WARN
        ),
        between("discount_cents", "discount_not_negative", "A discount takes something off.", least=0),
        at_most("discount_cents", "subtotal_cents", "discount_within_subtotal", "Never more than the subtotal."),
        at_most(
            "lines_discount_cents",
            "discount_cents",
            "discount_covers_lines",
            "The discount is what its lines have, or more.",
        ),
        between("shipping_cents", "shipping_not_negative", "Shipping costs nothing or more.", least=0),
        between(
            "shipping_discount_cents",
            "shipping_discount_not_negative",
            "A shipping discount takes something off.",
            least=0,
        ),
        at_most(
            "shipping_discount_cents",
            "shipping_cents",
            "shipping_discount_within_shipping",
            "A shipping discount is never more than shipping costs.",
        ),
        between("tax_cents", "tax_not_negative", "Tax is nothing or more.", least=0),
        between("shipping_tax_cents", "shipping_tax_not_negative", "Tax on shipping is nothing or more.", least=0),
        at_most("shipping_tax_cents", "tax_cents", "shipping_tax_within_tax", "Tax on shipping is a part of the tax."),
        equal(
            "tax_cents",
            "lines_tax_cents",
            "tax_equals_lines",
            "Lines' taxes and that on shipping are the tax where every line has its own, and never more.",
        ),
        equal("tax_cents", "tax_due_cents", "tax_at_rate", "The tax equals the tax at the shop's own rate."),
        equal("subtotal_cents", "lines_total_cents", "subtotal_equals_lines", "The subtotal is the sum of the lines."),
        *_IN_UNITS,
        equal("total_cents", "parts_total_cents", "total_equals_parts", "The total is the sum of its parts."),
        filled("cancelled_at", "cancelled_has_time", "A cancelled order says when.", _CANCELLED),
        filled("cancellation_reason", "cancelled_has_reason", "A cancelled order says why.", _CANCELLED),
        empty("cancelled_at", "only_cancelled_has_time", "Only a cancelled order has cancelled_at.", _NOT_CANCELLED),
        empty(
            "cancellation_reason", "only_cancelled_has_reason", "Only a cancelled order has a reason.", _NOT_CANCELLED
        ),
        in_our_time("ordered_on", "order"),
        at_most("ordered_at", "_snapshot_at", "ordered_not_in_future", "No order is placed in the future."),
        at_most("shipped_at", "_snapshot_at", "shipped_not_in_future", "No order is shipped in the future."),
        at_most("delivered_at", "_snapshot_at", "delivered_not_in_future", "No order is delivered in the future."),
        at_most("cancelled_at", "_snapshot_at", "cancelled_not_in_future", "No order is cancelled in the future."),
        at_most("ordered_at", "shipped_at", "ordered_before_shipped", "An order is placed before it is shipped."),
        at_most("shipped_at", "delivered_at", "shipped_before_delivered", "It is shipped before it is delivered."),
        at_most("ordered_at", "delivered_at", "ordered_before_delivered", "It is placed before it is delivered."),
        at_most("ordered_at", "cancelled_at", "ordered_before_cancelled", "It is placed before it is cancelled."),
        between(
            "shipments",
            "shipped_has_shipment",
            "An order that was shipped has a shipment, where the shop records them.",
            least=1,
            when=_SHIPPED,
            severity=Severity.WARN,
        ),
    ),
    amount="total_cents",
    currency="currency",
    dimensions=(Dimension("channel", "channel", "Where it was placed, as the shop says.", built_in=True),),
    begins="ordered_on",
    opens_calendar=True,
    later={
        "shipped_on": ("shipped_at", "seconds_to_ship"),
        "delivered_on": ("delivered_at", "seconds_to_deliver"),
        "cancelled_on": ("cancelled_at", "cancelled_by", "cancellation_reason", "voided_on"),
    },
    unsettled=("status", "payment_id"),
    derived=(
        _day("ordered_at"),
        _day("shipped_at"),
        _day("delivered_at"),
        _day("cancelled_at"),
        Derived(
            Column(
                "voided_on",
                Type.DAY,
                "Business day of cancelled_at, where a cancelled order is void: a sale of no day. Null where it is a"
                " return (shop.toml).",
                nullable=True,
            ),
            "business_day(row.cancelled_at)",
        ),
        _seconds("seconds_to_ship", "ordered_at", "shipped_at"),
        _seconds("seconds_to_deliver", "shipped_at", "delivered_at"),
        *_UNITS,
        Derived(
            Column("unit_to_spread", Type.CENTS, "What its discount is spread over its lines in.", nullable=True),
            smallest_unit("row.currency"),
            needs=("order_items",),
            where_rounded=_UNIT_TO_SPREAD,
        ),
        Derived(
            Column(
                "parts_total",
                Type.CENTS,
                "Its parts together, as total says; the total where it is that but for rounding.",
                nullable=True,
            ),
            _PARTS,
            # Six amounts, each rounded.
            where_rounded=_but_for_rounding(_PARTS, "row.total_cents", "6"),
        ),
        Derived(
            Column(
                "lines_total",
                Type.CENTS,
                "Sum of its lines' subtotals; the order's where it is that but for rounding.",
                nullable=True,
            ),
            _of_lines("gross"),
            needs=("order_items",),
            lookups=(_ITS_LINES,),
            where_rounded=_but_for_rounding(_of_lines("gross"), "row.subtotal_cents", f"{_of_lines('lines')} + 1"),
        ),
        Derived(
            Column("rounding", Type.CENTS, "What the total is more than its parts, each rounded.", nullable=True),
            _ROUNDING.format(gross=_of_lines("gross"), own=_of_lines("discount")),
            needs=("order_items",),
            lookups=(_ITS_LINES,),
        ),
        Derived(
            Column("lines_gross", Type.CENTS, "Sum of its lines' subtotals.", nullable=True),
            _of_lines("gross"),
            needs=("order_items",),
            lookups=(_ITS_LINES,),
        ),
        Derived(
            Column(
                "lines_discount",
                Type.CENTS,
                "Sum of its lines' discounts; the order's where it is that but for rounding.",
                nullable=True,
            ),
            _of_lines("discount"),
            needs=("order_items",),
            lookups=(_ITS_LINES,),
            where_rounded=_but_for_rounding(_of_lines("discount"), "row.discount_cents", f"{_of_lines('lines')} + 1"),
        ),
        Derived(
            Column(
                "lines_tax",
                Type.CENTS,
                "Tax on its lines and on shipping; the order's tax where it is that but for rounding; null where a line"
                " has none of its own and the others have no more than the order.",
                nullable=True,
            ),
            _LINES_TAX,
            needs=("order_items",),
            lookups=(_ITS_LINES,),
            where_rounded=_but_for_rounding(_LINES_TAX, "row.tax_cents", f"{_of_lines('lines')} + 2"),
        ),
        Derived(
            Column(
                "status_step", Type.INTEGER, "The position of the status in an order's life, 0 to 4.", nullable=True
            ),
            _STEP.format(status="row.status"),
        ),
        Derived(
            Column(
                "shipments",
                Type.INTEGER,
                "Its shipments that were not cancelled; null where the shop records none.",
                nullable=True,
            ),
            "coalesce(its_shipments.shipments, 0)",
            needs=("order_items", "shipment_items"),
            lookups=(_ITS_SHIPMENTS,),
        ),
        Derived(
            Column("highest_status_step", Type.INTEGER, "The furthest step that any version had.", nullable=True),
            f"greatest({_STEP.format(status='row.status')}, (select max(before.highest_status_step)"
            " from known_orders as before where before.order_id = row.order_id))",
        ),
    ),
    whole=Whole(
        parts="order_items",
        sum_sql=f"sum(case when part.removed_at is null then {line_subtotal('part')} else 0 end)",
        counted="part.removed_at is null",
        equals="lines_gross_cents",
        rule="lines_accepted",
        meaning="The lines that passed the gate come to what all its lines do, and at least one passed.",
    ),
)
