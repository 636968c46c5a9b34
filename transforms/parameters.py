"""A shop's own numbers, as its tables use and quote them; ``include.settings`` says what each means."""

from __future__ import annotations

from typing import Final

from include.settings import Parameters

PARAMETERS: Final = Parameters()
