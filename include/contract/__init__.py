"""What a table means, and what follows from it.

Belongs here: Table, Source, Column, Rule and everything derived from them (DDL, Arrow schema, expectations,
assets, dictionary pages). Does not: the name of any particular table, a connection, a file.
"""

from include.contract.derived import Derived, Lookup
from include.contract.dimension import Dimension, Dimensions, dimensions_of
from include.contract.rebuild import Carried, Rebuild
from include.contract.rules import ContractError, Rule, Severity
from include.contract.source import Source, Whole
from include.contract.table import Column, Table
from include.contract.types import Rounding, Type

__all__ = [
    "Carried", "Column", "ContractError", "Derived", "Dimension", "Dimensions", "Lookup", "Rebuild", "Rounding", "Rule",
    "Severity", "Source", "Table", "Type", "Whole", "dimensions_of",
]  # fmt: skip
