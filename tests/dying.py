"""A process that publishes a night and dies at a statement of its choice. It imports little: it is started often."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg

from include.settings import settings
from tests.handmade import Ready


def die_at(place: int, after: bool, how: str, ready: Ready, environment: Mapping[str, str]) -> None:
    """Publish in this process, and die before or after a statement of the connection that publishes.

    Args:
        place: the number of the statement.
        after: whether the statement is over by then.
        how: ``process``: this process is killed; ``backend``: Postgres ends the connection.
        ready: the night.
        environment: where its warehouse and its lake are.
    """
    os.environ.update(environment)
    settings.cache_clear()
    reached = 0
    execute = psycopg.Connection.execute

    def counted(connection: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal reached
        reached += 1
        mine = reached
        if mine == place and not after:
            _die(connection, how)
        done = execute(connection, *arguments, **named)
        if mine == place and after:
            _die(connection, how)
        return done

    psycopg.Connection.execute = counted  # type: ignore[method-assign, assignment]
    with suppress(psycopg.OperationalError):
        ready.publish()
        os._exit(7 if reached < place else 0)
    os._exit(0)


def _die(connection: Any, how: str) -> None:
    if how == "process":
        os.kill(os.getpid(), signal.SIGKILL)
    with psycopg.connect(settings().warehouse_url.get_secret_value()) as other:
        psycopg.Cursor(other).execute("select pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
