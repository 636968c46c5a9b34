"""Stock without movements: the source that is counted night by night where a shop does not keep it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from include.contract.table import Table

# By source, the one whose nightly state becomes its history where a shop's folder has no file for it.
COUNTED_FROM: Final[Mapping[str, str]] = {"inventory_movements": "inventory"}
# The kinds of its rows then: units that came to a shelf or left it between two counts, and the same of what is
# reserved.
OF_UNITS: Final = "count"
OF_RESERVED: Final = "count_of_reserved"
# The rules that movements explain the stock: with counts alone there is nothing to explain it by.
_EXPLAINED: Final = ("stock_explained", "reserved_explained")


def with_counted(sources: Collection[str]) -> frozenset[str]:
    """The names of a shop's sources, with those that are counted."""
    counted = {name for name, state in COUNTED_FROM.items() if state in sources}
    return frozenset(sources) | counted


def unexplained(table: Table) -> Table:
    """A table of a shop whose stock no movement explains: without the rules that movements explain it."""
    for rule in {one.name for one in table.rules} & set(_EXPLAINED):
        table = table.without(rule)
    return table
