"""The night's report: a page per run, written to a folder and served behind Airflow's login.

Belongs here: reading the ledger for people, and the layout of the pages. Does not: writing the ledger or deciding.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

PREFIX = "/stocktake"  # where Airflow's API server mounts the pages

_Message = MutableMapping[str, Any]


class OnDemand:
    """The web app as an ASGI application that is built at its first request.

    Every Airflow process loads the plugins, even each task; only the API server needs FastAPI, which takes 2 s to load.
    """

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        from include.serve.app import application

        await application()(scope, receive, send)
