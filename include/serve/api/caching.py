"""Answers given before, by what was asked of which publication: a new publication makes them stale at once."""

from __future__ import annotations

import logging
from functools import cache
from hashlib import sha256
from typing import Final, Protocol

from cachetools import LRUCache
from fastapi import Request
from psycopg.conninfo import conninfo_to_dict
from redis.asyncio import Redis
from redis.exceptions import RedisError

from include.settings import settings
from include.settings.shops import PerShop

_log = logging.getLogger(__name__)
_BYTES: Final = 32 * 2**20  # of all answers together, in each process of the API server
_MOST: Final = _BYTES // 8  # of one answer
_SECONDS: Final = 24 * 3600  # that an answer stays in Redis: until the next night
PATIENCE: Final = 0.5  # seconds that Redis may take
_FORM: Final = 1  # of what is kept: another one whenever answers to the same question change
_OVERHEAD: Final = 512  # bytes of an answer's keys and objects, about


def etag(*parts: object) -> str:
    """The validator of an answer: equal for equal questions of one publication of one warehouse."""
    return f'"{sha256(repr((key_prefix(), *parts)).encode()).hexdigest()[:32]}"'


def has(request: Request, tag: str) -> bool:
    """Whether who asks has the answer already (``If-None-Match``)."""
    known = request.headers.get("if-none-match", "")
    return tag in known or known.strip() == "*"


@PerShop
def key_prefix() -> str:
    """What this warehouse's keys begin with, in a cache that others may share."""
    url = settings().analyst_url or settings().warehouse_url
    found = conninfo_to_dict(url.get_secret_value())
    warehouse = [str(found.get(name)) for name in ("host", "port", "dbname")]
    return f"stocktake:{_FORM}:{sha256(repr(warehouse).encode()).hexdigest()[:12]}"


async def cached(tag: str) -> bytes | None:
    """An answer given before; None where there is none, or it cannot be looked for."""
    return await _answers().get(tag)


async def keep(tag: str, body: bytes) -> None:
    """Keep an answer, unless it alone would fill the memory."""
    if len(body) <= _MOST:
        await _answers().put(tag, body)


class _Answers(Protocol):
    async def get(self, tag: str) -> bytes | None: ...

    async def put(self, tag: str, body: bytes) -> None: ...


class _InMemory:
    """The answers of this process."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, bytes] = LRUCache(_BYTES, getsizeof=lambda body: len(body) + _OVERHEAD)

    async def get(self, tag: str) -> bytes | None:
        return self._kept.get(tag)

    async def put(self, tag: str, body: bytes) -> None:
        self._kept[tag] = body


class _InRedis:
    """The answers of all processes, as they are: bytes. Without its server, every answer is read anew."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)

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
    return f"{key_prefix()}:answer:{tag.strip(chr(34))}"


@cache
def _answers() -> _Answers:
    url = settings().cache_url
    return _InRedis(url.get_secret_value()) if url else _InMemory()
