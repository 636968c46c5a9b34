"""Settings: the only reader of the environment.

Belongs here: every value that a deployment may change, with its type, its default and what it means.
Does not: anything computed from data, and anything a night is told when it is started (date, engine, …).
"""

from __future__ import annotations

from include.settings.deployment import NIGHT_AT as NIGHT_AT
from include.settings.deployment import Settings as Settings
from include.settings.one_of_several import refuse_unknown, together
from include.settings.parameters import Parameters as Parameters
from include.settings.shops import PerShop, WrongShops, of_shop, shop_names
from include.settings.values import ROOT as ROOT


@PerShop
def settings() -> Settings:
    """The settings of the shop that counts here (``shops``), read once."""
    return Settings()


def all_settings() -> dict[str, Settings]:
    """The settings of every shop that the deployment names.

    Raises:
        WrongShops: when two shops would get into each other's way, or a variable is of no shop.
        pydantic.ValidationError: when a value of a shop is missing or malformed.
    """
    refuse_unknown(Settings)
    found = {}
    for shop in shop_names():
        with of_shop(shop):
            found[shop] = settings()
    if wrong := together(found):
        raise WrongShops(wrong)
    return found
