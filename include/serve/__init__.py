"""What people and programs are shown: a report page per run and an API, both behind Airflow's login; and messages.

Belongs here: reading the ledger and the published tables, the layout of pages, how a message travels. Does not:
deciding, such as what is an incident (``pipeline.watch``); or writing, but for who asked for which export.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from include.settings.shops import shop_in_context, shop_names

PREFIX = "/stocktake"  # where Airflow's API server mounts the pages; of several shops, those of all of them
DAG_ID = "nightly"  # who may read its runs may read pages and tables, who may trigger it may read the quarantine

_Message = MutableMapping[str, Any]


def shop_shown() -> str | None:
    """The shop whose page is shown; None where there is one alone, and on the page of all of them."""
    return shop_in_context()


def mounted_at() -> str:
    """The path of the pages that are shown, below wherever Airflow itself is served."""
    shop = shop_shown()
    return PREFIX if shop is None else f"{PREFIX}/shops/{shop}"


def airflow_of(home: str) -> str:
    """The path of Airflow itself, as the browser sees it.

    Args:
        home: that of the pages that are shown.
    """
    return f"{home.removesuffix(f'{mounted_at()}/')}/"


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
        if shop_names():
            from include.serve.shops import application
        else:
            from include.serve.app import application

        await application()(scope, receive, send)
