"""The source `refunds`."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Derived, Lookup, Source, Type
from include.contract.currency import smallest_unit
from include.contract.rules import at_most, between
from include.contract.table import key
from include.sources.money import in_units
from include.sources.order_items import line_subtotal
from include.sources.time import in_our_time

_ITS_LINE: Final = Lookup(
    "its_line",
    "order_items as line",
    {"line.order_item_id": "order_item_id"},
    {"quantity": "max(line.quantity)", "amount": f"max({line_subtotal('line')})"},
)
_ITS_ORDER: Final = Lookup(
    "its_order",
    "order_items as line join orders as parent using (order_id)",
    {"line.order_item_id": "order_item_id"},
    {"currency": "min(parent.currency)", "ordered_at": "min(parent.ordered_at)"},
)
_OF_ITS_LINE: Final = Lookup(
    "of_its_line",
    "refunds as sibling",
    {"sibling.order_item_id": "order_item_id"},
    {"amount": "sum(sibling.amount_cents)", "units": "sum(sibling.quantity)", "refunds": "nullif(count(*), 0)"},
)


def _of_line(name: str, kind: Type, doc: str, figure: str) -> Derived:
    """A figure of the refunded line."""
    return Derived(
        Column(name, kind, doc, nullable=True), f"its_line.{figure}", needs=("order_items",), lookups=(_ITS_LINE,)
    )


# What the line was paid, and how many lines its order has.
_ITS_PRICE: Final = Lookup(
    "its_price",
    f"""
        (
            select
                line.order_item_id,
                line.order_id,
                {line_subtotal("line")}::hugeint as gross,
                coalesce(line.discount_cents, 0) as own
            from order_items as line
        ) as line
        join (
            select
                sibling.order_id,
                coalesce(sum(sibling.discount_cents), 0) as own_discounts,
                count(sibling.removed_at) > 0 as is_edited,
                count(*) as lines
            from order_items as sibling
            group by sibling.order_id
        ) as others using (order_id)
        join orders as parent using (order_id)
    """,
    {"line.order_item_id": "order_item_id"},
    {
        "paid": f"""
            min(try(
                -- Of an order that a line was taken out of, the amounts are no longer those by which it was refunded.
                gross - own - coalesce(
                    case
                        when not others.is_edited then (parent.discount_cents - others.own_discounts) * (gross - own)
                            // nullif(parent.subtotal_cents - others.own_discounts, 0)
                            // {smallest_unit("parent.currency")} * {smallest_unit("parent.currency")}
                    end,
                    0
                )
            ))
        """,
        "lines": "min(others.lines)",
    },
)
_UNIT: Final = smallest_unit("its_order.currency")
_IN_UNITS, _UNITS = in_units(
    "its_order.currency",
    *("amount", "tax"),
    credible=(("tax", "Tax"),),
    needs=("order_items", "orders"),
    lookups=(_ITS_ORDER,),
)

REFUNDS = Source(
    schema="source",
    name="refunds",
    grain="One row per refund of (a part of) one order line.",
    columns=(
        Column("refund_id", Type.INTEGER, "The refund."),
        key("order_items", "order_item_id", "The line that was refunded.", part_of=True),
        Column("quantity", Type.UNITS, "Units refunded; 0 where only money was given back."),
        Column("amount", Type.CENTS, "Money given back, in the order's currency, before tax."),
        Column("tax", Type.CENTS, "Tax given back with amount; null where unknown.", nullable=True, optional=True),
        Column("restocked", Type.BOOLEAN, "Whether the units went back on the shelf."),
        Column(
            "returned_at",
            Type.AT,
            "When the units came back; null where they did not, or the shop does not say.",
            nullable=True,
            optional=True,
        ),
        Column("refunded_at", Type.AT, "When the money was given back."),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("refund_id",),
    optional=True,
    rules=(
        between("quantity", "quantity_not_negative", "A refund is of some units, or of money alone.", least=0),
        between("amount_cents", "amount_not_negative", "A refund gives nothing or more.", least=0),
        at_most("quantity", "line_quantity", "quantity_within_line", "No more units than the line has."),
        at_most("amount_cents", "line_amount_cents", "amount_within_line", "No more money than the line cost."),
        at_most("refunded_units", "line_quantity", "refunds_within_line", "All refunds of a line fit into it."),
        at_most(
            "refunded_amount_cents",
            "line_paid_cents",
            "refunds_within_paid",
            "All refunds of a line give back no more than was paid for it.",
        ),
        at_most("line_ordered_at", "refunded_at", "refunded_after_ordered", "A refund follows its order."),
        between("tax_cents", "tax_not_negative", "Tax given back is nothing or more.", least=0),
        *_IN_UNITS,
        in_our_time("refunded_on", "refund"),
        at_most("refunded_at", "_snapshot_at", "refunded_not_in_future", "No refund lies in the future."),
        at_most("line_ordered_at", "returned_at", "returned_after_ordered", "Units come back after their order."),
        at_most("returned_at", "_snapshot_at", "returned_not_in_future", "No units come back in the future."),
    ),
    amount="amount_cents",
    currency="currency",
    begins="refunded_on",
    later={"returned_on": ("returned_at",)},
    derived=(
        Derived(
            Column("refunded_on", Type.DAY, "Business day of refunded_at.", nullable=True),
            "business_day(row.refunded_at)",
        ),
        Derived(
            Column("returned_on", Type.DAY, "Business day of returned_at; null where that is.", nullable=True),
            "business_day(row.returned_at)",
        ),
        _of_line("line_quantity", Type.UNITS, "Units of the refunded line.", "quantity"),
        _of_line(
            "line_amount",
            Type.CENTS,
            "What the line came to without tax and before discount.",
            "amount",
        ),
        Derived(
            Column("currency", Type.TEXT, "ISO 4217 code of the order's amounts.", nullable=True),
            "its_order.currency",
            needs=("order_items", "orders"),
            lookups=(_ITS_ORDER,),
        ),
        *_UNITS,
        Derived(
            Column("line_ordered_at", Type.AT, "When the line's order was placed.", nullable=True),
            "its_order.ordered_at",
            needs=("order_items", "orders"),
            lookups=(_ITS_ORDER,),
        ),
        Derived(
            Column(
                "line_paid",
                Type.CENTS,
                "What the line came to, less its own discount and its share of the rest of its order's, rounded down:"
                " the shop may have rounded it either way.",
                nullable=True,
            ),
            "its_price.paid",
            needs=("order_items", "orders", "refunds"),
            # Half a smallest unit each for the line, its order's discount, that of every line of it, and every refund.
            where_rounded=f"its_price.paid + {_UNIT} + (of_its_line.refunds + its_price.lines) * {_UNIT} // 2",
            lookups=(_ITS_PRICE, _ITS_ORDER, _OF_ITS_LINE),
        ),
        Derived(
            Column("refunded_amount", Type.CENTS, "Money over all refunds of the line.", nullable=True),
            "of_its_line.amount",
            needs=("refunds",),
            lookups=(_OF_ITS_LINE,),
        ),
        Derived(
            Column("units_before", Type.UNITS, "Units of the refunds of the line before this one.", nullable=True),
            """(
                select coalesce(sum(sibling.quantity), 0)
                from refunds as sibling
                where
                    sibling.order_item_id = row.order_item_id
                    and (sibling.refunded_at, sibling.refund_id) < (row.refunded_at, row.refund_id)
            )""",
            needs=("refunds",),
        ),
        Derived(
            Column("refunded_units", Type.UNITS, "Units over all refunds of the line.", nullable=True),
            "of_its_line.units",
            needs=("refunds",),
            lookups=(_OF_ITS_LINE,),
        ),
    ),
)
