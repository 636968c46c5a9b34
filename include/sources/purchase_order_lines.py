"""The source `purchase_order_lines`."""

from __future__ import annotations

from include.contract import Column, Derived, Severity, Source, Type
from include.contract.currency import CURRENCIES
from include.contract.rules import Condition, at_most, between, filled, one_of
from include.contract.source import BEGINNING
from include.contract.table import key
from include.sources.money import in_units
from include.sources.stock_units import MOST_MOVED
from include.sources.time import in_our_time

_IN_UNITS, _UNITS = in_units("row.currency", "unit_cost", credible=(("unit_cost", "A unit's cost"),))

PURCHASE_ORDER_LINES = Source(
    schema="source",
    name="purchase_order_lines",
    grain="One row per line of a purchase order: one product for one warehouse.",
    doc="What the shop has ordered of its suppliers, or moves from another warehouse. Where parts of a line come on "
    "several days, a shop that keeps them apart gives a row for each. One that knows nothing but how many units are to "
    "come to each shelf gives a row for every shelf, without any time, with a quantity of 0 where none are to come.",
    columns=(
        Column("purchase_order_line_id", Type.INTEGER, "The line."),
        key("products", "product_id", "What was ordered."),
        key("warehouses", "warehouse_id", "Where it comes to."),
        Column("quantity", Type.UNITS, "Units ordered."),
        Column("received", Type.UNITS, "Units of it that have come.", optional=True, default=0),
        Column(
            "ordered_at",
            Type.AT,
            "When it was ordered; null where the shop knows only that it is to come.",
            nullable=True,
            optional=True,
        ),
        Column(
            "expected_at",
            Type.AT,
            "When it is expected, as said last; null where nobody said.",
            nullable=True,
            optional=True,
        ),
        Column(
            "received_at",
            Type.AT,
            "When units of it last came; null while none have. A shop that does not keep it gives updated_at.",
            nullable=True,
            optional=True,
        ),
        Column(
            "cancelled_at",
            Type.AT,
            "From when what has not come is expected no more: cancelled, or closed short; null while it is.",
            nullable=True,
            optional=True,
        ),
        Column(
            "purchase_order",
            Type.TEXT,
            "The purchase order it belongs to; null where the shop does not say.",
            nullable=True,
            optional=True,
        ),
        Column(
            "supplier", Type.TEXT, "Who delivers it; null where the shop does not say.", nullable=True, optional=True
        ),
        Column("currency", Type.TEXT, "ISO 4217 code of unit_cost; null where that is.", nullable=True, optional=True),
        Column(
            "unit_cost",
            Type.CENTS,
            "What one unit costs the shop, without tax; null when unknown.",
            nullable=True,
            optional=True,
        ),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("purchase_order_line_id",),
    optional=True,
    rules=(
        between("quantity", "quantity_not_negative", "A line is of some units, or of none.", least=0),
        between(
            "quantity", "quantity_credible", "A line is of at most 10 million units.", most=MOST_MOVED, in_units=True
        ),
        between("received", "received_not_negative", "Some units have come, or none.", least=0),
        between("received", "received_credible", "At most 10 million units have come.", most=MOST_MOVED, in_units=True),
        at_most(
            "received",
            "quantity",
            "received_within_ordered",
            "No more has come than was ordered.",
            severity=Severity.WARN,
        ),
        one_of("lacks_receipt", "received_has_time", "Units that have come did so at some time.", [False]),
        in_our_time("ordered_on", "purchase order line"),
        at_most("ordered_at", "_snapshot_at", "ordered_not_in_future", "No line was ordered in the future."),
        at_most("ordered_at", "received_at", "received_after_ordered", "Units come after they were ordered."),
        at_most("received_at", "_snapshot_at", "received_not_in_future", "No units have come in the future."),
        at_most("ordered_at", "cancelled_at", "cancelled_after_ordered", "A line is cancelled after it was ordered."),
        at_most("cancelled_at", "_snapshot_at", "cancelled_not_in_future", "No line was cancelled in the future."),
        at_most(
            "ordered_on",
            "expected_on",
            "expected_after_ordered",
            "Units are expected on the day they were ordered, or later.",
            severity=Severity.WARN,
        ),
        one_of("currency", "currency_known", "A currency is an ISO 4217 code.", CURRENCIES),
        filled("currency", "currency_filled", "A cost is in some currency.", when=Condition("unit_cost_cents")),
        between("unit_cost_cents", "unit_cost_not_negative", "A unit costs nothing or more.", least=0),
        *_IN_UNITS,
    ),
    begins="known_on",
    later={"received_on": ("received_at", "received"), "cancelled_on": ("cancelled_at",)},
    derived=(
        Derived(
            Column(
                "known_on",
                Type.DAY,
                "Business day from which it is known: that of ordered_at; 1970-01-01 where that is null.",
                nullable=True,
            ),
            f"coalesce(business_day(row.ordered_at), {BEGINNING})",
        ),
        *(
            Derived(
                Column(f"{event}_on", Type.DAY, f"Business day of {event}_at; null where that is.", nullable=True),
                f"business_day(row.{event}_at)",
            )
            for event in ("ordered", "expected", "received", "cancelled")
        ),
        Derived(
            Column("lacks_receipt", Type.BOOLEAN, "Whether units have come, and nothing says when.", nullable=True),
            "row.received <> 0 and row.received_at is null",
        ),
        *_UNITS,
    ),
)
