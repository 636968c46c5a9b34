"""What one of several shops has for itself, and what of the deployment's settings counts for it too."""

from __future__ import annotations

import os
import re
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
from pydantic import SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from include.settings.shops import WrongShops, prefix_of, shop_names
from include.settings.values import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.settings.deployment import Settings

# Whose data it is. Said for all, an analyst of one shop would read the warehouse of another.
_OWN_ALONE: Final = frozenset({"shop_url", "warehouse_url", "analyst_url"})
# Of what all shops of a deployment have in common: its processes, its clusters, its object store.
_OF_ALL: Final = frozenset(
    {
        "shops", "api_rate", "cache_url", "metrics_token", "server_idle_seconds", "dask_scheduler", "spark_master",
        "spark_remote", "lake_endpoint", "lake_region", "lake_key_id", "lake_secret", "lake_options",
        "lake_retry_seconds", "folder_mode",
    }
)  # fmt: skip
_FOLDERS: Final = ("lake", "reports")  # of each shop one, below what is said for all
_OF_A_SHOP: Final = re.compile(rf"{PREFIX}([A-Z0-9]+(?:_[A-Z0-9]+)*)__(.*)")


def of_one_shop(settings: type[BaseSettings], shop: str) -> tuple[PydanticBaseSettingsSource, ...]:
    """Where the settings of a shop are read: its own, then those that are said for all."""
    return EnvSettingsSource(settings, env_prefix=prefix_of(shop)), _SaidForAll(settings, shop)


def together(found: Mapping[str, Settings]) -> str | None:
    """What is wrong with the settings of all shops where two would get into each other's way; None where nothing is.

    Args:
        found: the settings of each shop.
    """
    for (one, its), (other, theirs) in combinations(found.items(), 2):
        same = [
            (name, name)
            for name in ("warehouse_url", "analyst_url")
            if (database := _database(getattr(its, name))) and database == _database(getattr(theirs, name))
        ]
        same += [
            (mine, others)
            for mine in _FOLDERS
            for others in _FOLDERS
            if _overlap(_folder(getattr(its, mine)), _folder(getattr(theirs, others)))
        ]
        for mine, others in same:
            variables = f"{prefix_of(one)}{mine.upper()} and {prefix_of(other)}{others.upper()}"
            return f"the shops {one} and {other} have the same place, or one in the other's: see {variables}"
        if its.day_closed and its.day_closed == theirs.day_closed and not its.day_closed.startswith("outbox://"):
            return f"the shops {one} and {other} would hear each other's messages: see {prefix_of(one)}DAY_CLOSED"
    return None


class _SaidForAll(EnvSettingsSource):
    """What the deployment says for all of its shops, as one of them takes it."""

    def __init__(self, settings: type[BaseSettings], shop: str) -> None:
        super().__init__(settings)
        self._shop = shop

    def __call__(self) -> dict[str, Any]:
        said = {name: value for name, value in super().__call__().items() if name not in _OWN_ALONE}
        lake = said.setdefault("lake", self.settings_cls.model_fields["lake"].default)
        # Beside the lake of a shop's own, and in that of an object store, the pages of the shop lie anyway.
        if "://" not in lake and not os.environ.get(f"{prefix_of(self._shop)}LAKE"):
            said.setdefault("reports", str(Path(lake).parent / "reports"))
        below = {name: f"{str(said[name]).rstrip('/')}/{self._shop}" for name in _FOLDERS if name in said}
        return said | below


def refuse_unknown(settings: type[BaseSettings]) -> None:
    """Refuse a variable of a shop that nothing reads: a misspelt one would leave what is said for all.

    Raises:
        WrongShops: naming it: it is of no shop, or says what there is not, or what no shop has alone.
    """
    known = settings.model_fields.keys()
    for variable in os.environ:
        if not (parts := _OF_A_SHOP.fullmatch(variable)):
            continue
        shop, name = (part.lower() for part in parts.groups())
        if shop not in shop_names():
            raise WrongShops(f"{variable}: there is no shop {shop}; STOCKTAKE_SHOPS names {', '.join(shop_names())}")
        if name in _OF_ALL:
            raise WrongShops(f"{variable}: all shops of a deployment share {name}: say {PREFIX}{name.upper()}")
        if name not in known:
            raise WrongShops(f"{variable}: a shop has no {name} of its own")


def _folder(value: str) -> str:
    """A path or URL with a slash at its end, written in one way."""
    return f"{value if '://' in value else os.path.realpath(value)}".rstrip("/") + "/"


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _database(value: SecretStr | None) -> tuple[str, ...]:
    """The server and the database; nothing where none is named."""
    if value is None:
        return ()
    found = psycopg.conninfo.conninfo_to_dict(value.get_secret_value())
    return str(found.get("host", "")), str(found.get("port", 5432)), str(found.get("dbname", found.get("user", "")))
