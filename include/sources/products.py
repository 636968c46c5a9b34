"""The source `products`."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Derived, Severity, Source, Type
from include.contract.currency import CURRENCIES, smallest_unit
from include.contract.rules import at_most, between, one_of
from include.sources.money import MOST_CENTS

# What lies on a shelf is worth its units times their cost: a hundred million units (``stock_units``) at this much each
# still are an amount of 18 digits.
_MOST_COST: Final = 9_000_000_000
_COST_CURRENCY: Final = "coalesce(row.cost_currency, row.price_currency)"


def _unit(currency: str) -> str:
    """A DuckDB expression: the smallest unit of a currency; 1, the lake's own, where none is given."""
    return f"case when {currency} is null then 1 else {smallest_unit(currency)} end"


PRODUCTS = Source(
    schema="source",
    name="products",
    grain="One row per product: what is ordered and lies on a shelf, so the variant where a shop has variants.",
    doc="Its key is what orders and stock name, for good. The article number is not: it may be another tomorrow, and a "
    "product that is sold no more may leave it to a new one.",
    columns=(
        Column("product_id", Type.INTEGER, "The product."),
        Column("sku", Type.TEXT, "The shop's own article number, as it is now."),
        Column("name", Type.TEXT, "What customers see; null where the shop has none.", nullable=True),
        Column("category", Type.TEXT, "The shop's category; null where it has none.", nullable=True),
        Column(
            "product_group_id",
            Type.TEXT,
            "What it is a variant of (a shirt, of which it is the blue one in M); null where it is none.",
            nullable=True,
            optional=True,
        ),
        Column(
            "product_group_name",
            Type.TEXT,
            "What that is called; null where it is no variant, or that has no name.",
            nullable=True,
            optional=True,
        ),
        Column("unit_cost", Type.CENTS, "What one unit costs the shop now; null when unknown.", nullable=True),
        Column(
            "cost_currency",
            Type.TEXT,
            "ISO 4217 code of unit_cost; null where it is that of the price, or the only one that the shop has.",
            nullable=True,
            optional=True,
        ),
        Column("unit_price", Type.CENTS, "What one unit sells for now; null when unknown.", nullable=True),
        Column(
            "price_currency",
            Type.TEXT,
            "ISO 4217 code of unit_price; null where the shop has only one.",
            nullable=True,
            optional=True,
        ),
        Column(
            "price_includes_tax",
            Type.BOOLEAN,
            "Whether unit_price is with tax; null when unknown.",
            nullable=True,
            optional=True,
        ),
        Column("is_active", Type.BOOLEAN, "Whether it can be ordered."),
        Column("created_at", Type.AT, "When the product was listed; null when unknown.", nullable=True),
        Column("updated_at", Type.AT, "When the shop last wrote this row."),
    ),
    primary_key=("product_id",),
    history=(
        "sku",
        "name",
        "category",
        "product_group_id",
        "product_group_name",
        "unit_cost",
        "cost_currency",
        "unit_price",
        "price_currency",
        "price_includes_tax",
        "is_active",
    ),
    rules=(
        between("unit_cost_cents", "cost_not_negative", "A unit costs nothing or more.", least=0),
        at_most(
            "unit_cost_cents",
            "most_cost_cents",
            "cost_credible",
            "A unit costs 30 million or less; of any currency 90 million where amounts have two decimals, 9 million"
            " where they have three: 100 million units are worth a number that fits.",
        ),
        at_most(
            "unit_price_cents",
            "most_price_cents",
            "price_credible",
            "A unit sells for 30 million or less, or 3 billion in a currency without decimals.",
        ),
        between("unit_price_cents", "price_not_negative", "A unit sells for nothing or more.", least=0),
        one_of("price_currency", "price_currency_known", "A price's currency is an ISO 4217 code.", CURRENCIES),
        one_of("cost_currency", "cost_currency_known", "A cost's currency is an ISO 4217 code.", CURRENCIES),
        between(
            "finer_amounts",
            "amounts_in_smallest_units",
            "Price and cost are whole smallest units of their currency, where it is given: yen have no decimals.",
            most=0,
        ),
        between(
            "sku_holders",
            "sku_of_one_product",
            "No two products that can be ordered have the same article number.",
            most=1,
            severity=Severity.WARN,
        ),
    ),
    derived=(
        Derived(
            Column("created_on", Type.DAY, "Business day of created_at.", nullable=True),
            "business_day(row.created_at)",
        ),
        Derived(
            Column("most_cost", Type.CENTS, "The largest credible cost in its currency.", nullable=True),
            f"least({MOST_CENTS} * ({_unit(_COST_CURRENCY)}), {_MOST_COST})",
        ),
        Derived(
            Column("most_price", Type.CENTS, "The largest credible price in its currency.", nullable=True),
            f"{MOST_CENTS} * ({_unit('row.price_currency')})",
        ),
        Derived(
            Column("finer_amounts", Type.INTEGER, "How many amounts are finer than their currency.", nullable=True),
            f"""
            (coalesce(row.unit_price_cents % ({_unit("row.price_currency")}), 0) <> 0)::bigint
            + (coalesce(row.unit_cost_cents % ({_unit(_COST_CURRENCY)}), 0) <> 0)::bigint
            """,
            # Of a shop that rounds, what is finer than its currency is a rounding.
            where_rounded="0",
        ),
        Derived(
            Column(
                "sku_holders",
                Type.INTEGER,
                "How many products that can be ordered have its article number; null where it cannot, or has none.",
                nullable=True,
            ),
            """
            case when row.is_active and trim(row.sku) <> '' then (
                select count(*) from products as other where other.sku = row.sku and other.is_active
            ) end
            """,
            needs=("products",),
            through={"products": "sku"},
        ),
    ),
)
