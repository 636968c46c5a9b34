"""How deep kits nest: what the gate lets through is what the tables explode."""

from __future__ import annotations

from typing import Final

MOST_LEVELS: Final = 4  # rows on the way from a kit to what lies on a shelf: a kit in a kit in a kit in a kit
