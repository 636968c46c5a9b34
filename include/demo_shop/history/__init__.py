"""The shop's past: a seeded simulation of its trade, written in bulk.

Belongs here: everything that happened before the first live customer. A day is a few numpy columns (``calendar``,
``catalogue``, ``customers``, ``orders``, ``stock``), ``simulation`` strings the days together, ``loading`` writes them.
Does not: a clock. The last day is an argument, and the same arguments make the same rows.
"""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection

from include.demo_shop.history.loading import Loader
from include.demo_shop.history.simulation import HistorySize, Simulation

__all__ = ["HistorySize", "ShopNotEmpty", "fill_history"]


class ShopNotEmpty(Exception):
    """There are orders already; a past can only be written into an empty shop."""


def fill_history(
    connection: Connection[Any],
    *,
    last_day: date,
    seed: int = 1,
    timezone: ZoneInfo = ZoneInfo("UTC"),  # noqa: B008 -- immutable
    size: HistorySize = HistorySize(),  # noqa: B008 -- immutable
) -> dict[str, int]:
    """Write a past into the shop's empty tables, in the caller's transaction.

    Args:
        connection: as the owner of the tables.
        last_day: the last closed business day; nothing happens after it.
        seed: another seed is another past.
        timezone: the shop's, which decides when its days begin.
        size: how much.

    Returns:
        Rows written, by table.

    Raises:
        ShopNotEmpty: and nothing was written.
    """
    row = connection.execute("select exists (select from orders) or exists (select from products)").fetchone()
    if row and row[0]:
        raise ShopNotEmpty("the shop is not empty: its past was not written again")
    loader = Loader(connection)
    with loader.bare_tables():
        Simulation(loader, seed, last_day, timezone, size).run()
    connection.execute("analyze")
    return loader.rows
