"""Units that are not whole (0.35 kg): what a shop that weighs its goods has other in the SQL of its contract.

The lake counts quantities in the shop's smallest unit, so that every sum is exact: a shop of three decimals, in
thousandths. A quantity times an amount is then so many times too much, and is divided by it once, to the nearest minor
unit. In a shop of whole units the SQL is as if none of this was there.
"""

from __future__ import annotations

from typing import Final

_OPEN: Final = "/* per unit( */"
_CLOSE: Final = "/* ) */"
_UNITS: Final = "/* units */"


def per_unit(product: str) -> str:
    """A DuckDB expression: a quantity times an amount per unit, in minor units, rounded half up.

    Args:
        product: an expression of the product, not negative, a hugeint.
    """
    return f"{_OPEN}{product}{_CLOSE}"


def units(number: int) -> str:
    """A DuckDB expression: so many units, as the lake counts them."""
    return f"{number}{_UNITS}"


def in_decimals(sql: str, decimals: int) -> str:
    """SQL with ``per_unit`` and ``units`` written out for a shop.

    Args:
        sql: of a contract.
        decimals: of the shop's units.
    """
    parts = 10**decimals
    opened, closed, counted = (
        ("(((", f") * 2 + {parts}) // {2 * parts})", f" * {parts}::bigint") if decimals else ("", "", "")
    )
    return sql.replace(_OPEN, opened).replace(_CLOSE, closed).replace(_UNITS, counted)
