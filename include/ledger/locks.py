"""Locks of the warehouse: whose turn it is, and that nobody waits for ever without being told for whom.

A turn is a row of ``audit.locks``, locked in a transaction that is open as long as the turn lasts. So it ends with the
process, it works through a pooler that gives every transaction another connection, and nobody can take it who may not
write the ledger: an advisory lock may be taken by any role.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import psycopg
from psycopg.errors import LockNotAvailable
from psycopg.rows import TupleRow

from include.ledger.connection import connect

PATIENCE: Final = timedelta(seconds=60)  # for a table that somebody reads, or alters; meanwhile others queue behind us
TURN: Final = timedelta(hours=1)  # for another run, which may be building a large table
_LOOK = timedelta(seconds=5)  # how often it is looked who is in the way

# Whether anyone holds a turn, for whoever may not lock its row. Anyone can name a connection so: it must be one of the
# ledger's owner.
IS_HELD: Final = """
select exists (
    select from pg_stat_activity
    join pg_class on relowner = usesysid
    where pg_class.oid = to_regclass('audit.locks')
        and datname = current_database()
        and application_name = %s
)
"""

_BLOCKERS = """
select
    usename,
    nullif(application_name, ''),
    pid,
    state,
    date_trunc('second', xact_start),
    left(regexp_replace(query, '\\s+', ' ', 'g'), 100)
from pg_stat_activity
where pid = any(pg_blocking_pids(%s))
order by xact_start
"""


class LockBusy(psycopg.OperationalError):
    """A lock was not to be had in time; the message says who holds it. Trying again helps once they are done."""


@dataclass(frozen=True)
class Turn:
    """A turn that is held.

    Attributes:
        connection: a connection to the warehouse, in no transaction, for whatever is done in this turn.
    """

    connection: psycopg.Connection[TupleRow]
    _lock: psycopg.Connection[TupleRow] = field(repr=False)

    def must_hold(self) -> None:
        """Check that the turn is still held: its connection may have been cut, and the next one's turn begun.

        Raises:
            psycopg.OperationalError: when it is not.
        """
        self._lock.execute("select")


def connection_name(turn: str) -> str:
    """What the connection that holds a turn is called."""
    return f"stocktake: {turn}"


@contextmanager
def held(name: str, patience: timedelta = TURN) -> Iterator[Turn]:
    """Take a turn that others of the same name wait for: ``accept``, ``publish``, ``build reporting.orders``, …

    Raises:
        LockBusy: when others held it for so long.
    """
    with connect() as lock, connect() as connection:
        lock.execute("insert into audit.locks (name) values (%s) on conflict do nothing", [name])
        lock.commit()
        # The transaction is idle for as long as the turn lasts, whatever the server's limits are.
        lock.execute(
            """
            select set_config(name, '0', true)
            from pg_settings
            where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')
            """
        )
        lock.execute("select set_config('application_name', %s, true)", [connection_name(name)])
        with patient(lock, f"the turn {name}", patience):
            lock.execute("select from audit.locks where name = %s for update", [name])
        yield Turn(connection, lock)


@contextmanager
def patient(connection: psycopg.Connection[TupleRow], what: str, patience: timedelta = PATIENCE) -> Iterator[None]:
    """Wait for no lock longer than this in the rest of the transaction; in this block, say who holds it.

    Args:
        connection: in a transaction.
        what: what waits, for the message.
        patience: for each lock.

    Raises:
        LockBusy: when a lock was not to be had in time.
    """
    milliseconds = f"{patience / timedelta(milliseconds=1):.0f}"
    found = connection.execute("select pg_backend_pid(), set_config('lock_timeout', %s, true)", [milliseconds])
    (process, _) = found.fetchone() or (0, "")
    with _watching(process, min(patience / 4, _LOOK)) as blockers:
        try:
            yield
        except LockNotAvailable as error:
            who = "; ".join(blockers) or str(error).splitlines()[0]
            raise LockBusy(
                f"{what} waited {patience.total_seconds():g} s for a lock of {who}. Run this again, or end that"
                " session: select pg_terminate_backend(…)"
            ) from error


@contextmanager
def _watching(process: int, every: timedelta) -> Iterator[list[str]]:
    """Note who blocks a backend, while the block runs; the list has the last that were seen."""
    seen: list[str] = []
    over = threading.Event()

    def watch() -> None:
        # Whatever goes wrong here, the wait itself says that it was too long.
        with suppress(psycopg.Error, ConnectionError):
            if over.wait(every.total_seconds()):
                return
            with connect() as connection:
                connection.autocommit = True
                while True:
                    if found := connection.execute(_BLOCKERS, [process]).fetchall():
                        seen[:] = [_described(*row) for row in found]
                    if over.wait(every.total_seconds()):
                        return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _described(
    user: str, application: str | None, process: int, state: str | None, since: object, query: str | None
) -> str:
    """``analyst (psql, process 4711, idle in transaction since 2026-11-27 04:01:02+00): select …``."""
    about = [application, f"process {process}", f"{state} since {since}" if state else None]
    return f"{user} ({', '.join(filter(None, about))})" + (f": {query}" if query else "")
