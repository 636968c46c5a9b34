"""Connections to the warehouse as its owner, locks on it, and the setup of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow

from include.ledger.migrations import migrate
from include.settings import settings


def connect() -> psycopg.Connection[TupleRow]:
    """A connection to the warehouse as its owner; used as a context manager it is one transaction.

    Raises:
        ConnectionError: when it cannot be reached; the message never holds the password.
    """
    try:
        return psycopg.connect(settings().warehouse_url.get_secret_value(), connect_timeout=10)
    except psycopg.OperationalError as error:  # says host, port and role, never the password
        raise ConnectionError(f"no connection to the warehouse: {error}") from None


@contextmanager
def held(name: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """Hold a lock that others of the same name wait for: ``accept``, ``publish``, ``build reporting.orders``, …

    Yields:
        The connection that holds the lock, in no transaction; the lock ends with the block, or with the process.
    """
    with connect() as connection:
        connection.execute("select pg_advisory_lock(hashtext(%s))", [f"stocktake.{name}"])
        connection.commit()
        yield connection


def prepare() -> None:
    """Bring the warehouse's schemas, the ledger and its grants up to date; usually there is nothing to do.

    Raises:
        NewerLedger: when the ledger was written by a newer Stocktake.
        LedgerBusy: when another session held a lock for too long; another attempt may succeed.
    """
    with connect() as connection:
        migrate(connection)
