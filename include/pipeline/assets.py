"""The Airflow assets that a shop's DAGs start each other by."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher

from include.contract import Table
from include.settings.shops import current_shop

_GROUP = "stocktake"


def asset(table: Table) -> Asset:
    """The asset of a published table, that other DAGs start from; its name is the table's."""
    return _of_shop(table.qualified_name, "warehouse", f"{table.schema}/{table.name}")


def day_closed(watcher: AssetWatcher) -> Asset:
    """The asset that an announcement of a closed day is an event of."""
    return _of_shop("day_closed", "shop", "day_closed", watchers=[watcher])


def _of_shop(name: str, of: str, path: str, watchers: list[AssetWatcher] | None = None) -> Asset:
    """An asset; of several shops each has its own, with the shop's name before it."""
    shop = current_shop()
    if shop is not None:
        name, path = f"{shop}.{name}", f"{shop}/{path}"
    return Asset(name=name, uri=f"stocktake://{of}/{path}", group=_GROUP, watchers=watchers or [])
