"""While something is published, readers wait: a publication has one night, its readers have all day.

An answer costs a process of Airflow's API server about 10 ms, most of it Airflow's own checks of who asks, and the
warehouse a query. On two cores, 40 answers a second made a publication a quarter longer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from psycopg import AsyncConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from include.ledger.locks import IS_HELD, connection_name
from include.serve.api.problems import problem_response, unavailable
from include.settings.shops import PerShop

REST: Final = 9  # times as long as an answer took, until the next one: a tenth of one core for usual answers
PATIENCE: Final = 5  # seconds that a request waits for its turn
AGAIN: Final = 15  # seconds until a request that had no turn may try again
_LONGEST_REST: Final = 2.0  # seconds: one slow answer is not to turn all others away
_LOOK: Final = 1.0  # seconds between two looks whether something is published


class _Seen:
    """What was last seen of a shop's warehouse."""

    at = float("-inf")
    is_publishing = False


_seen = PerShop(_Seen)


async def look(connection: AsyncConnection[tuple[Any, ...]]) -> None:
    """Look whether something is published, unless that was looked a moment ago.

    Args:
        connection: to the warehouse, in a transaction.
    """
    seen = _seen()
    if time.monotonic() - seen.at < _LOOK:
        return
    seen.at = time.monotonic()
    row = await (await connection.execute(IS_HELD, [connection_name("publish")])).fetchone()
    seen.is_publishing = row is not None and bool(row[0])


class GivesWay:
    """Answers requests as they come; while something is published, one after another, with rests between them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turn = asyncio.Semaphore()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request in its turn, or that none came (503)."""
        if not _seen().is_publishing:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._turn.acquire()
        except TimeoutError:
            detail = (
                f"something is being published, and readers give way: no turn came in {PATIENCE} s. Try again when it"
                " is published, in a minute or so"
            )
            await problem_response(unavailable(detail, AGAIN))(scope, receive, send)
            return
        began = time.monotonic()
        try:
            await self._app(scope, receive, send)
        finally:
            rest = min(REST * (time.monotonic() - began), _LONGEST_REST)
            asyncio.get_running_loop().call_later(rest, self._turn.release)
