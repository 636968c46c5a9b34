"""A profile: one shop on this machine, with its state folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dotenv import dotenv_values

from include.settings import ROOT


class StandaloneError(Exception):
    """The command cannot be done; the message says why and what to do."""


@dataclass(frozen=True)
class Shop:
    """A shop that comes with the project.

    Attributes:
        timezone: Decides its business day.
        fill: The module, with its arguments, that fills the shop's empty database; a filled one gets the columns that
            it lacks, and may have nulls where it had none.
        schema: The file of the shop's tables, where they have changed since the first release; a shop that was filled
            with another version of it has other columns.
    """

    timezone: str
    fill: tuple[str, ...]
    schema: Path | None = None


SHOPS: Mapping[str, Shop] = MappingProxyType(
    {
        "demo_shop": Shop(
            timezone="Europe/Berlin",
            fill=("include.demo_shop", "fill"),
            schema=ROOT / "include" / "demo_shop" / "schema.sql",
        ),
        "complete_journey": Shop(timezone="America/New_York", fill=("include.demo_shop.complete_journey",)),
    }
)
_DEFAULT_SHOP = "demo_shop"


@dataclass(frozen=True)
class Profile:
    """One shop, and the folder ``state`` with everything about it on this machine."""

    name: str
    shop: Shop
    state: Path

    @property
    def airflow_home(self) -> Path:
        """Airflow's home: its logs, secrets, generated configuration and process records."""
        return self.state / "airflow"

    @property
    def lake(self) -> Path:
        """The Delta lake."""
        return self.state / "lake"

    @property
    def reports(self) -> Path:
        """The report page of each night."""
        return self.state / "reports"

    @property
    def sources(self) -> Path:
        """The .sql files that read this shop."""
        return ROOT / "include" / "sources" / self.name

    @property
    def databases(self) -> dict[str, str]:
        """The names of its databases, by content."""
        prefix = "" if self.name == _DEFAULT_SHOP else f"{self.name}_"
        return {content: f"{prefix}{content}" for content in ("airflow", "shop", "warehouse")}


def state_folder() -> Path:
    """The folder with all state of this checkout: ``STOCKTAKE_STATE`` (here or in .env), by default ``.stocktake``."""
    named = os.environ.get("STOCKTAKE_STATE") or dotenv_values(ROOT / ".env").get("STOCKTAKE_STATE")
    return ROOT / (named or ".stocktake")


def profile_named(name: str, state: Path) -> Profile:
    """The profile of the shop called ``name``: ``demo-shop``, ``Demo_Shop``, …; the default shop for an empty name.

    Raises:
        StandaloneError: When there is no such shop.
    """
    known = name.strip().lower().replace("-", "_") or _DEFAULT_SHOP
    if known not in SHOPS:
        names = ", ".join(shop.replace("_", "-") for shop in SHOPS)
        raise StandaloneError(f"There is no shop called {name!r}. SHOP is one of: {names}.")
    return Profile(known, SHOPS[known], state / known)
