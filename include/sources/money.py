"""What holds of amounts in any currency: whole numbers of its smallest unit, and credible."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Derived, Lookup, Rule, Type
from include.contract.currency import smallest_unit
from include.contract.rules import at_most, between

# Of the smallest unit of a currency. Allocating a discount multiplies two amounts of an order: 3e9 × 3e9 still fits an
# int64.
MOST_CENTS: Final = 3_000_000_000


def in_units(
    currency: str,
    *amounts: str,
    credible: tuple[tuple[str, str], ...] = (),
    needs: tuple[str, ...] = (),
    lookups: tuple[Lookup, ...] = (),
) -> tuple[tuple[Rule, ...], tuple[Derived, ...]]:
    """The rules that amounts are whole smallest units of their currency, and credible, and the columns that they read.

    Args:
        currency: a DuckDB expression of the row's currency.
        amounts: the lake columns that are whole units, without ``_cents``.
        credible: those with a bound, and what each is called in ``… comes to 30 million or less``.
        needs: the sources that ``currency`` names.
        lookups: those whose figures it names.
    """
    unit = Column("smallest_unit", Type.CENTS, "The smallest amount that its currency has.", nullable=True)
    finer = Column("finer_amounts", Type.INTEGER, "How many amounts are finer than that.", nullable=True)
    most = Column("most_credible", Type.CENTS, "The largest credible amount in its currency.", nullable=True)
    counted = " + ".join(f"(coalesce(row.{name}_cents % row.{unit.lake_name}, 0) <> 0)::bigint" for name in amounts)
    rules = (
        between(
            finer.name,
            "amounts_in_smallest_units",
            "Amounts are whole smallest units of their currency: yen have no decimals.",
            most=0,
        ),
        *(
            at_most(
                f"{name}_cents",
                most.lake_name,
                f"{name}_credible",
                f"{called} comes to 30 million or less, or 3 billion in a currency without decimals.",
            )
            for name, called in credible
        ),
    )
    derived = [
        Derived(unit, smallest_unit(currency), needs=needs, lookups=lookups),
        # Of a shop that rounds, what is finer than its currency is a rounding.
        Derived(finer, counted, is_late=True, where_rounded="0"),
    ]
    if credible:
        by_currency = f"{MOST_CENTS} * row.{unit.lake_name}"
        derived.append(Derived(most, by_currency, is_late=True, where_rounded=str(MOST_CENTS)))
    return rules, tuple(derived)
