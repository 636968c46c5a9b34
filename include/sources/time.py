"""The earliest day on which a shop can have traded."""

from __future__ import annotations

from datetime import date
from typing import Final

from include.contract.types import day_number

# The first shops on the web opened in 1994 and 1995. One row dated 1970 would fill the calendar of every shelf with
# 20,000 empty days.
FIRST_DAY: Final = day_number(date(1995, 1, 1))
