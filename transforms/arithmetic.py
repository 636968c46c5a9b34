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


def with_worth(rows: Frame, unit_parts: int, **products: tuple[str, str]) -> Frame:
    """Add what quantities come to, in minor units, half up; of a quantity below 0, as of the same above it.

    The whole units and the rest of one are multiplied apart: no product is larger than with whole units alone. They are
    columns for a moment: as one expression, DuckDB took ten seconds to plan a table.

    Args:
        rows: the columns that ``products`` name, and others.
        unit_parts: how many of the lake's units are one unit.
        products: per new column, the columns of the quantity, in the lake's units, and of the amount of one unit, in
            minor units, not negative.
    """
    if unit_parts == 1:
        return rows.with_columns(**{name: nw.col(count) * nw.col(amount) for name, (count, amount) in products.items()})
    sizes, wholes, rests = ({name: f"_{part}_{name}" for name in products} for part in ("size", "whole", "rest"))
    rows = rows.with_columns(
        nw.when(nw.col(count) < 0).then(-nw.col(count)).otherwise(nw.col(count)).alias(sizes[name])
        for name, (count, _) in products.items()
    )
    rows = rows.with_columns(quotient(nw.col(sizes[name]), unit_parts).alias(wholes[name]) for name in products)
    rows = rows.with_columns(
        ((nw.col(sizes[name]) - nw.col(wholes[name]) * unit_parts) * nw.col(amount) * 2 + unit_parts).alias(rests[name])
        for name, (_, amount) in products.items()
    )
    totals = {
        name: nw.col(wholes[name]) * nw.col(amount) + quotient(nw.col(rests[name]), unit_parts * 2)
        for name, (_, amount) in products.items()
    }
    rows = rows.with_columns(**totals).with_columns(
        nw.when(nw.col(count) < 0).then(-nw.col(name)).otherwise(nw.col(name)).alias(name)
        for name, (count, _) in products.items()
    )
    return rows.drop(*sizes.values(), *wholes.values(), *rests.values())


def spread(count: nw.Expr, total: nw.Expr, squares: nw.Expr) -> nw.Expr:
    """n·Σx² − (Σx)² as a float: n times the sum of the squared distances from the mean, never below 0.

    It takes the distances from the whole part of the mean, in integers: n·Σx² would not fit an int64 where Σx² does,
    which thousandths of a unit come near. Below 2⁵³ it is exact, beyond it rounded last.

    Args:
        count: n.
        total: Σx, not negative.
        squares: Σx².
    """
    mean = quotient(total, count)
    rest = total - mean * count
    apart = squares - mean * (total + rest)
    # Divided, not cast: pandas on Arrow refuses to cast what a float does not hold exactly.
    return count * (apart / 1) - (rest * rest) / 1


def relative_variance(count: nw.Expr, total: nw.Expr, squares: nw.Expr) -> nw.Expr:
    """Σ(x − mean)² / (n − 1) / mean²; null with fewer than two, or without any units."""
    sum_of_all = total.cast(nw.Float64)
    return ratio(spread(count, total, squares) * count, sum_of_all * sum_of_all * (count - 1))


def _positive(number: nw.Expr) -> nw.Expr:
    """The number where it is positive, else null: dividing integers by zero is an error on some engines."""
    return nw.when(number > 0).then(number)
