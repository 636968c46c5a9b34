"""Hears of closed days in a table of the shop's database: a trigger of Airflow's, woken by the shop's ``notify``.

Nothing is written in the shop. A day counts as heard once Airflow has stored the event; a triggerer that dies before
reads the row again. One that starts anew knows from the ledger for which days a night has begun.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import psycopg
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer
from psycopg import sql

from include.ledger.logins import why_no_connection
from include.ledger.redaction import redacted
from include.pipeline.day_closed import (
    DAYS,
    NoClosedDay,
    announcement,
    day_in,
    judge,
    seems_settled,
    shop_argument,
    while_set_to,
)  # fmt: skip
from include.settings import settings
from include.settings.shops import use_shop

SCHEME: Final = "outbox"
CHANNEL: Final = "stocktake_day_closed"  # what the shop notifies; without a word the table is read once a minute
_EVERY_SECONDS: Final = 60.0
_PAUSES: Final = (1.0, 5.0, 20.0, 60.0)  # seconds between attempts to reach the shop
_MOST: Final = 100  # days that are looked at: what is in the table more often than that is no announcement
# By day, for one row is as good as five. A day that is written as text is cut: it may be anything.
_ANNOUNCED = sql.SQL(
    """
    select left(business_day::text, 100) as said, max(written_at)::timestamptz
    from {}
    where written_at > now() - make_interval(days => %s) and isfinite(written_at)
    group by said
    order by max(written_at) desc
    limit %s
    """
)

_log = logging.getLogger(__name__)


class OutboxTrigger(BaseEventTrigger):
    """Fires once for each business day that is announced in the table, as ``announcement`` writes it.

    Airflow shows its arguments: there is no secret in them. Where the shop is, the settings say.
    """

    def __init__(self, table: str, shop: str | None = None) -> None:
        """Watch a table.

        Args:
            table: its name, with its schema or without; it has the columns ``business_day`` and ``written_at``.
            shop: whose, where there are several.
        """
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's base has no types
        self.table, self.shop = table, shop

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How Airflow makes it again."""
        return f"{type(self).__module__}.{type(self).__name__}", {"table": self.table, **shop_argument(self.shop)}

    def shared_stream_key(self) -> tuple[str, str | None, str]:
        """Who else watches the table takes part; it is what makes Airflow acknowledge."""
        return ("stocktake", self.shop, self.table)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """What reads the table, and is told what Airflow has stored."""
        return Outbox(kwargs["table"], kwargs.get("shop"))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Every announcement is an event."""
        async for one in shared_stream:
            yield TriggerEvent(one)  # type: ignore[no-untyped-call] # Airflow's base has no types

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """The same where nobody acknowledges; the triggerer calls this for triggers without a shared stream."""
        async for one, _ in Outbox(self.table, self.shop).open_stream():
            yield TriggerEvent(one)  # type: ignore[no-untyped-call] # Airflow's base has no types


@dataclass(frozen=True)
class _Announced:
    said: str
    at: datetime


class Outbox(SharedStreamProducer):
    """Reads the table for as long as it is asked to."""

    def __init__(self, table: str, shop: str | None = None) -> None:
        """Read a table of a shop; the connection is opened later."""
        self._table, self._shop = table, shop
        # What was handed on or refused, by what the row says; a later row is looked at again.
        self._seen: dict[str, datetime] = {}

    async def open_stream(self) -> AsyncIterator[tuple[dict[str, str], _Announced]]:
        """Every day that is announced and whose night is still to begin. A shop that is away is waited for."""
        use_shop(self._shop)
        await while_set_to(f"{SCHEME}://{self._table}")
        failures = 0
        while True:
            try:
                async with await self._connect() as shop:
                    while True:
                        for one, day in await self._unheard(shop):
                            self._seen[one.said] = one.at
                            _log.info("The shop says that %s is closed", day)
                            yield announcement(day, one.at), one
                        failures = 0
                        async with aclosing(shop.notifies(timeout=_EVERY_SECONDS, stop_after=1)) as words:
                            async for _ in words:
                                pass
            except psycopg.Error as error:
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                failures += 1
                _log.warning("The outbox of the shop cannot be read, the next try is in %g s: %s", pause, _why(error))
                await asyncio.sleep(pause)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Airflow has stored these events; what it could not store is read again."""
        for one, outcome in batch:
            if outcome.is_clean:
                _log.info("Airflow has stored that %s is closed", one.said)
            else:
                self._seen.pop(one.said, None)

    async def _connect(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        """A connection to the shop that is told of its ``notify``, and finds out when the other end is gone."""
        shop = await psycopg.AsyncConnection.connect(
            settings().shop_url.get_secret_value(),
            autocommit=True,
            connect_timeout=10,
            prepare_threshold=None,
            application_name="stocktake-outbox",
            options="-c datestyle=ISO",  # with the connection: a pooler may give every statement another one
            keepalives_idle=30,
            tcp_user_timeout=30_000,
        )
        try:
            await shop.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
        except psycopg.Error as error:  # a standby hears nothing; the table is there all the same
            _log.info("The shop wakes nobody, its outbox is read every %g s: %s", _EVERY_SECONDS, _why(error))
        return shop

    async def _unheard(self, shop: psycopg.AsyncConnection[tuple[Any, ...]]) -> list[tuple[_Announced, date]]:
        """What was announced, is new to us and starts a night, by day."""
        query = _ANNOUNCED.format(sql.Identifier(*self._table.split(".")))
        rows = await (await shop.execute(query, [DAYS + 1, _MOST])).fetchall()
        self._seen = {said: at for said, at in self._seen.items() if said in {said for said, _ in rows}}
        now, found = datetime.now(UTC), []
        for one in (_Announced(*row) for row in rows):
            if self._seen.get(one.said, datetime.min.replace(tzinfo=UTC)) >= one.at:
                continue
            try:
                day = day_in(one.said)
                if not judge(day, one.at, now):
                    continue  # the shop's clock is ahead of ours
            except NoClosedDay as refused:
                self._seen[one.said] = one.at
                _log.warning("A row of %s, written at %s, starts nothing: %s", self._table, one.at.isoformat(), refused)
                continue
            if await asyncio.to_thread(seems_settled, day):
                self._seen[one.said] = one.at
            else:
                found.append((one, day))
        return sorted(found, key=lambda one: one[1])


def _why(error: Exception) -> str:
    """An error in one line, without a secret."""
    if isinstance(error, psycopg.OperationalError):
        return redacted(why_no_connection(settings().shop_url.get_secret_value(), error))
    return redacted(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
