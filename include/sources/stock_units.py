"""The most units that are credible on a shelf and in one movement."""

from __future__ import annotations

from typing import Final

# A platform that does not count writes 2⁶³ − 1 for "unlimited". 100 million units at 30 million each still fit an int64
# of cents.
MOST_ON_SHELF: Final = 100_000_000
MOST_MOVED: Final = 10_000_000
