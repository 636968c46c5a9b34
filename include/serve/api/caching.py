"""Answers given before, by what was asked of which publication: a new publication makes them stale at once."""

from __future__ import annotations

import logging
from functools import cache
from hashlib import sha256
from typing import Final, Protocol

from cachetools import LRUCache
from redis.asyncio import Redis
from redis.exceptions import RedisError

from include.settings import settings

_log = logging.getLogger(__name__)
_BYTES: Final = 32 * 2**20  # of all answers together, in each process of the API server
_MOST: Final = _BYTES // 8  # of one answer
_SECONDS: Final = 24 * 3600  # that an answer stays in Redis: until the next night
_PATIENCE: Final = 0.5  # seconds that an answer is looked for there


def etag(*parts: object) -> str:
    """The validator of an answer: equal for equal questions of one publication."""
    return f'"{sha256(repr(parts).encode()).hexdigest()[:32]}"'


async def remembered(tag: str) -> bytes | None:
    """An answer given before; None where there is none, or it cannot be looked for."""
    return await _answers().get(tag)


async def remember(tag: str, body: bytes) -> None:
    """Keep an answer, unless it alone would fill the memory."""
    if len(body) <= _MOST:
        await _answers().put(tag, body)


class _Answers(Protocol):
    async def get(self, tag: str) -> bytes | None: ...

    async def put(self, tag: str, body: bytes) -> None: ...


class _InMemory:
    """The answers of this process."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, bytes] = LRUCache(_BYTES, getsizeof=len)

    async def get(self, tag: str) -> bytes | None:
        return self._kept.get(tag)

    async def put(self, tag: str, body: bytes) -> None:
        self._kept[tag] = body


class _InRedis:
    """The answers of all processes, as they are: bytes. Without its server, every answer is read anew."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)

    async def get(self, tag: str) -> bytes | None:
        try:
            found = await self._redis.get(_key(tag))
        except (RedisError, OSError) as error:
            _log.warning("no answer from STOCKTAKE_CACHE_URL: %s", type(error).__name__)
            return None
        return found.encode() if isinstance(found, str) else found

    async def put(self, tag: str, body: bytes) -> None:
        try:
            await self._redis.set(_key(tag), body, ex=_SECONDS)
        except (RedisError, OSError) as error:
            _log.warning("nothing kept at STOCKTAKE_CACHE_URL: %s", type(error).__name__)


def _key(tag: str) -> str:
    return f"stocktake:answer:{tag.strip(chr(34))}"


@cache
def _answers() -> _Answers:
    url = settings().cache_url
    return _InRedis(url.get_secret_value()) if url else _InMemory()
