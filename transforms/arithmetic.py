"""Exact arithmetic in a build: flags are integers, and a ratio is one division of two integers at the end.

Floats are never summed, so every engine gives the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from transforms.engines import Frame

# Frames that are stacked must agree on types, and a bare 0 is an INT32 on DuckDB.
ZERO = nw.lit(0, dtype=nw.Int64)
ONE = nw.lit(1, dtype=nw.Int64)


def flag(condition: nw.Expr) -> nw.Expr:
    """1 where the condition holds, else 0: for counting, or as a factor."""
    return nw.when(condition).then(ONE).otherwise(ZERO)


def numbered(rows: Frame, name: str, key: str | Sequence[str], order_by: Sequence[str]) -> Frame:
    """Number the rows of each key from 1; for use inside a step of ``by_key``.

    It sums ones, because ``cum_count`` on pandas (narwhals 2.29) orders wrongly, without an error, when it counts a
    column that it also orders by.

    Args:
        rows: all rows of the keys they hold.
        name: the new column.
        key: the column or columns that name the key.
        order_by: ascending; no two rows of a key may agree on all of these.
    """
    ones = rows.with_columns(_one=ONE)
    return ones.with_columns(nw.col("_one").cum_sum().over(key, order_by=order_by).alias(name)).drop("_one")


def ratio(numerator: nw.Expr, denominator: nw.Expr) -> nw.Expr:
    """One division; null where the denominator is not positive."""
    return nw.when(denominator > 0).then(numerator / denominator)


def quotient(numerator: nw.Expr, denominator: nw.Expr | int) -> nw.Expr:
    """The whole part of one division; null where the denominator is not positive.

    On Spark, narwhals (2.29) divides integers as floats, which is off by one near a multiple beyond 2⁵³. The remainder
    shows it, and integer arithmetic corrects it, for quotients below 2⁵¹.

    Args:
        numerator: not negative, because engines round a negative quotient differently.
        denominator: the divisor.
    """
    divisor = denominator if isinstance(denominator, int) else _positive(denominator)
    about = numerator // divisor
    left_over = numerator - about * divisor
    return about + flag(left_over >= divisor) - flag(left_over < 0)


def rounded(numerator: nw.Expr, denominator: nw.Expr) -> nw.Expr:
    """One division, to the nearest integer, half up; null where the denominator is not positive.

    Args:
        numerator: not negative.
        denominator: the divisor.
    """
    return quotient(numerator * 2 + _positive(denominator), denominator * 2)


def rounded_up(numerator: nw.Expr, denominator: nw.Expr) -> nw.Expr:
    """One division, rounded up; null where the denominator is not positive."""
    return quotient(numerator + _positive(denominator) - 1, denominator)


def _positive(number: nw.Expr) -> nw.Expr:
    """The number where it is positive, else null: dividing integers by zero is an error on some engines."""
    return nw.when(number > 0).then(number)
