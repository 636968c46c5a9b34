"""Exact arithmetic in a build: flags are whole numbers, and a ratio is one division of two whole numbers at the end.

Floats are never summed, so every engine gives the same bits.
"""

from __future__ import annotations

import narwhals as nw

# Frames that are stacked must agree on types, and a bare 0 is an INT32 on DuckDB.
ZERO = nw.lit(0, dtype=nw.Int64)
ONE = nw.lit(1, dtype=nw.Int64)


def flag(condition: nw.Expr) -> nw.Expr:
    """1 where the condition holds, else 0: to be summed, or multiplied with what counts only there."""
    return nw.when(condition).then(ONE).otherwise(ZERO)


def ratio(numerator: nw.Expr, denominator: nw.Expr) -> nw.Expr:
    """One division; null where there is nothing to divide by."""
    return nw.when(denominator > 0).then(numerator / denominator)
