"""A profile: one shop on this machine, with its state folder."""

from __future__ import annotations

import os
import re
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
    """A shop: one that comes with the project, or one's own.

    Attributes:
        timezone: Decides its business day, unless the settings say otherwise.
        fill: The module, with its arguments, that fills the shop's empty database; a filled one gets the columns that
            it lacks, and may have nulls where it had none. Nothing fills a shop of one's own.
        schema: The file of the shop's tables, where they have changed since the first release; a shop that was filled
            with another version of it has other columns.
    """

    timezone: str
    fill: tuple[str, ...] = ()
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
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST = 40  # with what is added to it, the name of a database: 63 bytes at most


@dataclass(frozen=True)
class Profile:
    """One shop, and the folder ``state`` with everything about it on this machine."""

    name: str
    shop: Shop
    state: Path

    @property
    def comes_along(self) -> bool:
        """Whether the shop comes with the project: then its database is here too."""
        return self.name in SHOPS

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
        return folder_of(self.name)

    @property
    def databases(self) -> dict[str, str]:
        """The names of its databases, by content."""
        prefix = "" if self.name == _DEFAULT_SHOP else f"{self.name}_"
        return {content: f"{prefix}{content}" for content in ("airflow", "shop", "warehouse")}


def state_folder() -> Path:
    """The folder with all state of this checkout: ``STOCKTAKE_STATE`` (here or in .env), by default ``.stocktake``."""
    named = os.environ.get("STOCKTAKE_STATE") or dotenv_values(ROOT / ".env").get("STOCKTAKE_STATE")
    return ROOT / (named or ".stocktake")


def folder_of(name: str) -> Path:
    """The folder with the .sql files of a shop."""
    return ROOT / "include" / "sources" / name


def shop_name(text: str) -> str:
    """The name of a shop, from what people type: ``Book-Shop`` is ``book_shop``.

    Raises:
        StandaloneError: When no folder and no database should be called so.
    """
    name = text.strip().lower().replace("-", "_")
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise StandaloneError(
            f"A shop cannot be called {text!r}: a name has letters, digits and - between them, begins with a letter,"
            f" and is at most {_LONGEST} characters long, such as book-shop."
        )
    return name


def profile_named(name: str, state: Path, sources: str = "") -> Profile:
    """The profile of the shop called ``name``: ``demo-shop``, ``Demo_Shop``, a folder of one's own, …

    Args:
        name: Its name; if it is empty, the shop is that of ``sources``, else the default one.
        state: The folder with all state of this checkout.
        sources: The person's own ``STOCKTAKE_SOURCES``; a shop of one's own has a lake and databases of its own.

    Raises:
        StandaloneError: When there is no such shop, or the two name different ones.
    """
    named = Path(sources).name if sources else ""
    known = name.strip().lower().replace("-", "_") or (shop_name(named) if named else _DEFAULT_SHOP)
    if known not in SHOPS and not (known == named.lower().replace("-", "_") or _is_own_shop(known)):
        names = ", ".join(shop.replace("_", "-") for shop in [*SHOPS, *_own_shops()])
        raise StandaloneError(f"There is no shop called {name!r}. SHOP is one of: {names}.")
    if named and known != shop_name(named):
        raise StandaloneError(
            f"SHOP is {name}, and STOCKTAKE_SOURCES names {sources}, another shop: leave one of them out, so that their"
            " rows do not mix."
        )
    return Profile(known, SHOPS.get(known, Shop(timezone="UTC")), state / known)


def profiles(state: Path) -> list[Profile]:
    """The profile of every shop that ever ran on this machine, and of those that come along."""
    ran = {folder.parent.name for folder in state.glob("*/airflow")} - set(SHOPS)
    return [Profile(name, SHOPS.get(name, Shop(timezone="UTC")), state / name) for name in [*SHOPS, *sorted(ran)]]


def _own_shops() -> list[str]:
    found = sorted(file.parent.name for file in folder_of("").glob("*/*.sql"))
    return [name for name in dict.fromkeys(found) if name not in SHOPS]


def _is_own_shop(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name in _own_shops()
