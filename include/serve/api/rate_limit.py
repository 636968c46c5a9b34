"""How many requests a user may send: more are refused with 429, and when to ask again."""

from __future__ import annotations

import logging
import math
import time
from http import HTTPStatus
from typing import Any

from fastapi import Depends
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.exceptions import RedisError

from include.serve.api.caching import PATIENCE, key_prefix
from include.serve.api.login import User
from include.serve.api.problems import Problem
from include.settings import settings
from include.settings.shops import PerShop

_log = logging.getLogger(__name__)


async def _within_rate(user: User) -> None:
    """Count a request of a user.

    Raises:
        Problem: when there were too many (429), with the seconds until the next one.
    """
    rate, name = _rate(), str(user.get_id())
    try:
        allowed = await _limiter().hit(rate, name)
        if allowed:
            return
        left = await _limiter().get_window_stats(rate, name)
    except (RedisError, OSError) as error:  # a cache that is down stops nobody
        _log.warning("requests are not counted at STOCKTAKE_CACHE_URL: %s", type(error).__name__)
        return
    seconds = max(1, math.ceil(left.reset_time - time.time()))
    detail = f"more than {rate.amount} requests per {rate.get_expiry()} s: ask again in {seconds} s"
    raise Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"Retry-After": str(seconds)})


within_rate: Any = Depends(_within_rate)


@PerShop
def _rate() -> RateLimitItem:
    return parse(settings().api_rate)


@PerShop
def _limiter() -> MovingWindowRateLimiter:
    url = settings().cache_url
    if url is None:
        return MovingWindowRateLimiter(MemoryStorage())
    storage = RedisStorage(
        f"async+{url.get_secret_value()}",
        implementation="redispy",
        key_prefix=f"{key_prefix()}:requests",
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
    )
    return MovingWindowRateLimiter(storage)
