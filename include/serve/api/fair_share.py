"""How much one user may ask at once: others find a connection to the warehouse meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import Depends

from include.serve.api.login import User
from include.serve.api.problems import unavailable
from include.serve.api.warehouse import MOST_QUERIES

MOST_AT_ONCE: Final = MOST_QUERIES // 2  # answers that a user is given at once, by each process of the API server
_PATIENCE: Final = 15  # seconds: a page of many figures asks for all of them together
_turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MOST_AT_ONCE))
_asking: Counter[str] = Counter()


async def _in_turn(user: User) -> AsyncIterator[None]:
    """Let a user's requests be answered in turn, a few at once.

    Raises:
        Problem: when the user's own requests before it take too long (503).
    """
    name = str(user.get_id())
    _asking[name] += 1
    turns = _turns[name]
    try:
        try:
            async with asyncio.timeout(_PATIENCE):
                await turns.acquire()
        except TimeoutError:
            detail = (
                f"your other requests took longer than {_PATIENCE} s: {MOST_AT_ONCE} of a user's are answered at once."
                " Try again when they are"
            )
            raise unavailable(detail, _PATIENCE) from None
        try:
            yield
        finally:
            turns.release()
    finally:
        _asking[name] -= 1
        if not _asking[name]:
            del _asking[name], _turns[name]


in_turn: Any = Depends(_in_turn)
