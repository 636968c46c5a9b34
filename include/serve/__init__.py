"""What people and programs are shown: a report page per run and an API, both behind Airflow's login; and messages.

Belongs here: reading the ledger and the published tables, the layout of pages, how a message travels. Does not:
deciding, such as what is an incident (``pipeline.watch``); or writing, but for who asked for which export.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

PREFIX = "/stocktake"  # where Airflow's API server mounts the pages
DAG_ID = "nightly"  # who may read its runs may read pages and tables, who may trigger it may read the quarantine

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
