"""A shop's dimensions on their way from the sources to the published tables.

On the way a value stands under the dimension's name with an underscore before it: a shop may call a dimension as a
build calls a column that it makes.
"""

from __future__ import annotations

from collections.abc import Iterable

import narwhals as nw

from include.contract import Dimension
from transforms.engines import Frame


def taken(dimensions: Iterable[Dimension]) -> list[nw.Expr]:
    """The values of dimensions in a source, for the way."""
    return [nw.col(one.column).alias(f"_{one.name}") for one in dimensions]


def given(dimensions: Iterable[Dimension]) -> list[nw.Expr]:
    """The values after the way, under the dimensions' names."""
    return [nw.col(f"_{one.name}").alias(one.name) for one in dimensions]


def by_value(rows: Frame, columns: Iterable[str], dimensions: Iterable[Dimension], *, of_lines: bool) -> Frame:
    """Every row once for each dimension, with ``dimension``, its name, and ``value``, empty where the row has none.

    Args:
        rows: of ``reporting.orders``, or of ``reporting.order_lines``.
        columns: what else is taken of them.
        dimensions: the shop's.
        of_lines: whether they are lines; an order has no value of a dimension of its lines.
    """
    return nw.concat(
        [rows.select(*columns, dimension=nw.lit(one.name), value=_value(one, of_lines=of_lines)) for one in dimensions]
    )


def _value(dimension: Dimension, *, of_lines: bool) -> nw.Expr:
    if dimension.of_line and not of_lines:
        return nw.lit("")
    return nw.col(dimension.name).fill_null("")
