"""What sales can be grouped by beside the day and the currency: a channel, a store, a country."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.contract.source import Source

DIMENSIONED = ("orders", "order_items")  # the sources whose rows in the lake have the values, of any dimension


@dataclass(frozen=True)
class Dimension:
    """One dimension.

    Attributes:
        name: what it is called in the published tables, as a column and in ``dimension``.
        column: the text column in the lake that has its values.
        meaning: one sentence.
        of_line: whether it is a line that has a value (a column of ``order_items``), and not the whole order.
        built_in: whether every shop has it; else this shop's folder declares it.
    """

    name: str
    column: str
    meaning: str
    of_line: bool = False
    built_in: bool = False


Dimensions = tuple[Dimension, ...]


def dimensions_of(sources: Mapping[str, Source]) -> Dimensions:
    """A shop's dimensions, in the order in which they are declared: first those of an order, then those of a line."""
    return tuple(one for name in DIMENSIONED if name in sources for one in sources[name].dimensions)
