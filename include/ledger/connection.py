"""Connections to the warehouse as its owner."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from include.settings import settings
from include.telemetry.connections import cursor_factory


def connect() -> psycopg.Connection[TupleRow]:
    """A connection to the warehouse as its owner; used as a context manager it is one transaction.

    Raises:
        ConnectionError: when it cannot be reached; the message never holds the password.
    """
    try:
        # Nothing is prepared on the server: behind a pooler the next transaction has another session.
        return psycopg.connect(
            settings().warehouse_url.get_secret_value(),
            connect_timeout=10,
            prepare_threshold=None,
            cursor_factory=cursor_factory(),
        )
    except psycopg.OperationalError as error:  # says host, port and role, never the password
        raise ConnectionError(f"no connection to the warehouse: {error}") from None
