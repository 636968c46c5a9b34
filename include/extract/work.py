"""What there is to read of a shop, and who reads it: sources first, then ranges of those that others are reading.

Belongs here: which connection does what, and how all of them stop. Does not: opening connections (``readers``).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar

import duckdb
import psycopg
import pyarrow as pa

from include.extract.sql_files import Range
from include.extract.statements import shop_connection
from include.lake import duckdb_session as duck

_log = logging.getLogger(__name__)
_Read = TypeVar("_Read")

ReadRange = Callable[[duckdb.DuckDBPyConnection, Range], Iterator[pa.RecordBatch]]

_AGAIN: Final = 0.5  # seconds: a connection that is told to stop between two statements is told again
_WAITING: Final = 2  # batches of a source that were read and not yet taken; who has one more waits


def shop_row(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple[Any, ...]:
    """The single row of a statement run in the shop."""
    return connection.execute("select * from postgres_query('shop', ?)", [statement]).fetchone() or ()


class Stopped(Exception):
    """Nobody is to read on: another connection failed, or the task was interrupted."""


@dataclass
class _Division:
    """A source whose ranges several connections read, and what they hand to the one that writes it."""

    left: deque[Range]
    read: ReadRange
    helpers: int = 0
    batches: deque[pa.RecordBatch] = field(default_factory=deque)


class Work(Generic[_Read]):
    """The sources and the ranges that are left, the connections that read some, and the first error."""

    def __init__(
        self,
        names: Sequence[str],
        read: Callable[[duckdb.DuckDBPyConnection, str], _Read],
        ranges: Mapping[str, Sequence[Range]],
        server: str,
        connections: int,
    ) -> None:
        """Nothing is begun yet.

        Args:
            names: the sources, those first that take longest.
            read: reads one of them on a connection.
            ranges: the ranges of those that are read in ranges.
            server: when the shop's server was started.
            connections: how many will read.
        """
        self._server, self._connections = server, connections
        self._names, self._left, self._read = names, deque(names), read
        self._ranges = ranges
        self._divisible = set(ranges)  # there may be something to help with
        self._divisions: list[_Division] = []
        self._done: dict[str, _Read] = {}
        self._busy: dict[int, duckdb.DuckDBPyConnection] = {}  # by the process that serves it in Postgres
        self._error: BaseException | None = None
        self._stopped = False
        self._changed = threading.Condition()

    @property
    def is_over(self) -> bool:
        """Whether nobody is to begin anything."""
        return self._stopped

    def take_part(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Read what is left, one after the other."""
        process = 0
        try:
            (process,) = shop_row(connection, "select pg_backend_pid()")
            with self._changed:
                self._busy[process] = connection
                duck.share(connection, self._connections)
            while step := self._next():
                step(connection)
        except BaseException as error:  # raised where all readers are waited for
            self._fail(error)
            with suppress(duckdb.Error):
                connection.execute("rollback")  # behind a full pooler, others can be cancelled on its session
        finally:
            with self._changed:
                self._busy.pop(process, None)
                self._changed.notify_all()

    def one_less(self) -> None:
        """One connection will not come: the others share what was meant for it."""
        with self._changed:
            self._connections -= 1
            for connection in self._busy.values():
                duck.share(connection, self._connections)

    def divided(self, connection: duckdb.DuckDBPyConnection, name: str, read: ReadRange) -> Iterator[pa.RecordBatch]:
        """The rows of all ranges of a source, in any order: read here, and by connections that have nothing else to do.

        Args:
            connection: that of the source; between two batches of this iterator it is in use.
            name: the source.
            read: reads a range of it on a connection.

        Raises:
            Stopped: when another connection failed.
        """
        one = _Division(deque(self._ranges[name]), read)
        with self._changed:
            self._divisions.append(one)
            self._changed.notify_all()
        try:
            while some := self._begin(name, one):
                for batch in read(connection, some):
                    yield batch
                    yield from self._taken(one)
            while batches := self._taken(one, wait=True):
                yield from batches
        except Exception as error:  # Delta makes another one of it, whose class says nothing
            self._fail(error)
            raise

    def wait(self) -> None:
        """Wait until all is read, or one failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or (not self._left and not self._busy))

    def stop(self) -> None:
        """Have all connections stop, and wait until none of them reads."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        cancelling: threading.Thread | None = None
        while self._busy:
            # Nobody waits for it: behind a pooler without a free session it gets one when the first of these is done.
            if cancelling is None or not cancelling.is_alive():
                cancelling = threading.Thread(target=self._cancel, daemon=True)
                cancelling.start()
            with self._changed:
                self._changed.wait_for(lambda: not self._busy, _AGAIN)

    def results(self) -> dict[str, _Read]:
        """What was read, by source.

        Raises:
            Exception: the first error.
        """
        if self._error:
            raise self._error
        return {name: self._done[name] for name in self._names}

    def _next(self) -> Callable[[duckdb.DuckDBPyConnection], None] | None:
        """What a connection does next: a source, else a range; None when there will be nothing any more."""
        with self._changed:
            while not self._stopped:
                if self._left:
                    return partial(self._whole, self._left.popleft())
                one = max(self._divisions, key=lambda one: len(one.left), default=None)
                if one and one.left:
                    one.helpers += 1
                    return partial(self._help, one, one.left.popleft())
                if not self._divisible:
                    break
                self._changed.wait()
        return None

    def _whole(self, name: str, connection: duckdb.DuckDBPyConnection) -> None:
        read = self._read(connection, name)
        with self._changed:
            self._done[name] = read
            self._divisible.discard(name)
            self._changed.notify_all()

    def _begin(self, name: str, one: _Division) -> Range | None:
        with self._changed:
            self._go_on()
            if one.left:
                return one.left.popleft()
            self._divisible.discard(name)
            self._changed.notify_all()
            return None

    def _help(self, one: _Division, some: Range, connection: duckdb.DuckDBPyConnection) -> None:
        """Read a range of a source that another connection writes."""
        for batch in one.read(connection, some):
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or len(one.batches) < _WAITING)
                self._go_on()
                one.batches.append(batch)
                self._changed.notify_all()
        with self._changed:
            one.helpers -= 1
            self._changed.notify_all()

    def _taken(self, one: _Division, *, wait: bool = False) -> Collection[pa.RecordBatch]:
        """What others have read of a source; where it is waited for, nothing only when there is no more."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._stopped or one.batches or not one.helpers)
            self._go_on()
            taken = list(one.batches)
            one.batches.clear()
            self._changed.notify_all()
            return taken

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._error = self._error or error
            self._stopped = True
            self._changed.notify_all()

    def _go_on(self) -> None:
        if self._stopped:
            raise Stopped("another connection failed")

    def _cancel(self) -> None:
        """Cancel what the connections do: DuckDB's part, and the statement that it waits for in Postgres."""
        with self._changed:
            for connection in self._busy.values():
                connection.interrupt()
        try:
            # DuckDB does not look for an interruption while Postgres computes.
            with shop_connection() as shop, self._changed:
                shop.execute(
                    "select pg_cancel_backend(process) from unnest(%s::int[]) as process"
                    " where pg_postmaster_start_time()::text = %s",  # another server has other processes
                    [[*self._busy], self._server],
                )
        except (psycopg.Error, ConnectionError) as error:
            _log.info("the statements in the shop are not cancelled, but waited for: %s", type(error).__name__)
