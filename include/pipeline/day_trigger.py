"""The asset of closed days, with the trigger that hears of them where the setting says."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher

from include.pipeline.assets import day_closed
from include.pipeline.outbox import SCHEME, OutboxTrigger
from include.settings import settings
from include.settings.shops import current_shop


def closed_days() -> Asset:
    """The asset that an announcement is an event of.

    Raises:
        ValueError: where no setting says where days are announced.
    """
    setting = settings().day_closed
    if setting is None:
        raise ValueError("STOCKTAKE_DAY_CLOSED says nowhere that a day is announced")
    scheme, _, name = setting.partition("://")
    if scheme == SCHEME:
        watcher = AssetWatcher(name="outbox", trigger=OutboxTrigger(name, current_shop()))
    else:
        from include.pipeline.day_messages import MessageTrigger

        watcher = AssetWatcher(name="messages", trigger=MessageTrigger(scheme, name, current_shop()))
    return day_closed(watcher)
