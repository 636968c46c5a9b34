"""The source `order_items`."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Derived, Lookup, Source, Type
from include.contract.rules import at_most, between
from include.contract.table import key
from include.contract.units import per_unit
from include.sources.money import in_units


def line_subtotal(line: str) -> str:
    """A DuckDB expression: what a line comes to without tax and before discount, in cents.

    It is the shop's own figure, or quantity × unit price where the shop gives none, of a part of a unit half up.

    Args:
        line: the alias of the line.
    """
    return f"coalesce({line}.subtotal_cents, {_of_units(line)})"


def _of_units(line: str) -> str:
    return per_unit(f"{line}.quantity::hugeint * {line}.unit_price_cents")


def tolerance_of_parts(decimals: int) -> str:
    """A DuckDB expression: what ``subtotal_tolerance`` is in a shop whose units have decimals.

    Half a smallest unit of the currency for each unit and for the subtotal, as in any shop, and half a minor unit by
    which the product that it is compared with is rounded.

    Args:
        decimals: of its units.
    """
    parts = 10**decimals
    return f"((row.quantity::hugeint + {parts}) * row.smallest_unit_cents + {parts}) // {2 * parts}"


ITS_ORDER: Final = Lookup(
    "its_order",
    "orders as parent",
    {"parent.order_id": "order_id"},
    {"currency": "min(parent.currency)", "ordered_at": "min(parent.ordered_at)"},
)

_IN_UNITS, _UNITS = in_units(
    "its_order.currency",
    *("unit_price", "subtotal", "discount", "tax"),
    credible=(("unit_price", "A unit's price"), ("unit_cost", "A unit's cost")),
    needs=("orders",),
    lookups=(ITS_ORDER,),
)

ORDER_ITEMS = Source(
    schema="source",
    name="order_items",
    grain="One row per line of an order: one product from one warehouse.",
    doc="A gift card that is sold is no line: see payments.",
    columns=(
        Column("order_item_id", Type.INTEGER, "The line."),
        key("orders", "order_id", "The order it belongs to.", part_of=True),
        key("products", "product_id", "What was ordered."),
        key("warehouses", "warehouse_id", "Where it ships from."),
        Column(
            "sku",
            Type.TEXT,
            "The product's article number when it was sold, as the order has it; null where the shop keeps none.",
            nullable=True,
            optional=True,
        ),
        Column(
            "product_name",
            Type.TEXT,
            "What the product was called when it was sold, as the order has it; null where the shop keeps none.",
            nullable=True,
            optional=True,
        ),
        Column("quantity", Type.UNITS, "Units ordered."),
        Column("unit_price", Type.CENTS, "Price of one unit when sold, before discount and without tax."),
        Column(
            "subtotal",
            Type.CENTS,
            "Quantity × unit price without tax, as the shop rounds it; null where it is exactly that product. A shop "
            "whose prices are finer than a cent gives it.",
            nullable=True,
            optional=True,
        ),
        Column(
            "discount",
            Type.CENTS,
            "Taken off this line, without tax; null where the shop knows the order's discount only.",
            nullable=True,
            optional=True,
        ),
        Column(
            "discount_code",
            Type.TEXT,
            "Code or promotion of this line's own discount; null or empty where that has none.",
            nullable=True,
            optional=True,
        ),
        Column(
            "tax",
            Type.CENTS,
            "Tax on this line; null where the shop knows the order's tax only.",
            nullable=True,
            optional=True,
        ),
        Column("unit_cost", Type.CENTS, "What one unit had cost the shop when sold; null when unknown.", nullable=True),
        Column(
            "sold_at",
            Type.AT,
            "When it was added to its order; null where it was part of it from the start.",
            nullable=True,
            optional=True,
        ),
        Column(
            "removed_at",
            Type.AT,
            "When it was taken out of its order, whose amounts are without it; null while it is in it.",
            nullable=True,
            optional=True,
        ),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("order_item_id",),
    rules=(
        between("quantity", "quantity_positive", "A line is of something: one unit, or a part of one.", least=1),
        between("quantity", "quantity_credible", "A line has at most a million units.", most=1_000_000, in_units=True),
        between("unit_price_cents", "unit_price_not_negative", "A unit sells for nothing or more.", least=0),
        between("unit_cost_cents", "unit_cost_not_negative", "A unit costs nothing or more.", least=0),
        *_IN_UNITS,
        between("subtotal_cents", "subtotal_not_negative", "A line comes to nothing or more.", least=0),
        at_most(
            "subtotal_off_cents",
            "subtotal_tolerance_cents",
            "subtotal_of_price",
            "A line's subtotal is quantity × unit price, but for the rounding of the price.",
        ),
        between("discount_cents", "discount_not_negative", "A discount takes something off.", least=0),
        at_most("discount_cents", "gross_cents", "discount_within_line", "Never more than the line comes to."),
        between("tax_cents", "tax_not_negative", "Tax is nothing or more.", least=0),
        at_most("order_placed_at", "sold_at", "ordered_before_sold", "A line is added after its order was placed."),
        at_most("order_placed_at", "removed_at", "ordered_before_removed", "It is removed after that."),
        at_most("sold_at", "removed_at", "sold_before_removed", "A line is added before it is removed."),
        at_most("sold_at", "_snapshot_at", "sold_not_in_future", "No line is added in the future."),
        at_most("removed_at", "_snapshot_at", "removed_not_in_future", "No line is removed in the future."),
    ),
    amount="gross_cents",
    currency="currency",
    begins="sold_on",
    later={"removed_on": ("removed_at",)},
    derived=(
        Derived(
            Column("gross", Type.CENTS, "What the line comes to without tax and before discount.", nullable=True),
            line_subtotal("row"),
        ),
        Derived(
            Column("subtotal_off", Type.CENTS, "How far the subtotal is from quantity × unit price.", nullable=True),
            f"abs(row.subtotal_cents - {_of_units('row')})",
        ),
        Derived(
            Column(
                "subtotal_tolerance",
                Type.CENTS,
                "Half a smallest unit for each unit, by which the price was rounded, and half of one for the subtotal.",
                nullable=True,
            ),
            "(row.quantity::hugeint + 1) * row.smallest_unit_cents // 2",
            is_late=True,
        ),
        *_UNITS,
        Derived(
            Column("order_placed_at", Type.AT, "When its order was placed.", nullable=True),
            "its_order.ordered_at",
            needs=("orders",),
            lookups=(ITS_ORDER,),
        ),
        Derived(
            Column("sold_on", Type.DAY, "Business day of sold_at, or of its order.", nullable=True),
            "business_day(coalesce(row.sold_at, its_order.ordered_at))",
            needs=("orders",),
            lookups=(ITS_ORDER,),
        ),
        Derived(
            Column("removed_on", Type.DAY, "Business day of removed_at.", nullable=True), "business_day(row.removed_at)"
        ),
        Derived(
            Column("currency", Type.TEXT, "ISO 4217 code of its order's amounts.", nullable=True),
            "its_order.currency",
            needs=("orders",),
            lookups=(ITS_ORDER,),
        ),
    ),
)
