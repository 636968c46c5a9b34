"""The shop's parameters, which tables use and quote in their docs; ``include.settings`` explains each."""

from __future__ import annotations

from typing import Final

from include.settings import Parameters

PARAMETERS: Final = Parameters()
