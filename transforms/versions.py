"""The versions of a source's rows (``products_versions``): which of them hold, and how their history is published.

As an input, they are as known at ``as_of``: a version that began later is not there, and one that ended later has no
end yet. A slice of a day takes what held on its day, whatever the shop says since.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Severity, Type
from include.contract.rules import Rule, at_most
from transforms.engines import Frame

VALID = (
    Column(
        "valid_from", Type.DAY, "The first business day on which it held; 1970-01-01 of what the first night found."
    ),
    Column(
        "valid_to",
        Type.DAY,
        "The first business day on which it held no more, because the next version did or the row was deleted; null "
        "while it holds.",
        nullable=True,
    ),
)
ENDS_LATER: Rule = at_most(
    "valid_from", "valid_to", "ends_after_it_began", "A version ends after it began.", severity=Severity.STOP
)


def holding(versions: Frame) -> Frame:
    """The versions that hold at ``as_of``: one row per key."""
    return versions.filter(nw.col("valid_to").is_null())
