"""Airflow's pools of several shops: each has slots of its own, so that the night of one does not wait for another's."""

from __future__ import annotations

import logging
from typing import Final

from pluggy import HookimplMarker

from include.pipeline.scheduler import is_scheduler
from include.settings import settings
from include.settings.shops import of_shop, shop_names

hookimpl = HookimplMarker("airflow")
_LEAST: Final = 2  # slots: one is often taken by a task that has done its work and waits to be seen off
_log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: object) -> None:
    """The scheduler starts: every shop has its pool from here on. A task whose pool is missing would wait for ever."""
    if not is_scheduler(component) or not shop_names():
        return
    from airflow.configuration import conf
    from airflow.models.pool import Pool

    from include.pipeline.task_defaults import pool_of

    share = max(_LEAST, conf.getint("core", "parallelism") // len(shop_names()))
    for shop in shop_names():
        try:
            with of_shop(shop):
                slots = settings().slots
            Pool.create_or_update_pool(pool_of(shop), slots or share, f"Tasks of the shop {shop}", False)
        except Exception as error:
            # The scheduler goes on. Only the type of the error: its text may quote a connection string.
            _log.error("there may be no pool %s in Airflow: %s", pool_of(shop), type(error).__name__)
