"""Settings: the only reader of the environment.

Belongs here: every value that a deployment may change, with its type, its default and what it means.
Does not: anything computed from data, and anything a night is told when it is started (date, engine, …).
"""

from __future__ import annotations

from functools import cache

from include.settings.deployment import NIGHT_AT as NIGHT_AT
from include.settings.deployment import Settings as Settings
from include.settings.parameters import Parameters as Parameters
from include.settings.values import ROOT as ROOT


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
