"""The connections that read a shop: one transaction, or several that share its snapshot and read side by side.

Belongs here: which connection reads which source, and how all of them stop. Does not: what is read of a source.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import duckdb
import psycopg

from include.contract import Source
from include.extract.sql_files import EVERYTHING, shop_sql
from include.extract.statements import shop_connection
from include.lake import duckdb_session as duck
from include.settings import settings

_log = logging.getLogger(__name__)
_Read = TypeVar("_Read")

_AGAIN: Final = 0.5  # seconds: a connection that is told to stop between two statements is told again

# Where a policy would hide rows from the extractor, Postgres then refuses the statement; by default it leaves them out,
# and the proof, which sees no more than that, would take them for deleted. And a float's text has all of its digits.
_EVERY_ROW: Final = """
select set_config('row_security', 'off', true) as row_security, set_config('extra_float_digits', '1', true) as digits
"""

# Postgres looks whether the client is still there only when it sends rows, and a sum sends none until its end. Where it
# can look (14 and later, not on Windows), it does: a killed task leaves no statement behind.
_END_WITH_CLIENT: Final = """
select set_config(name, '5s', true) from pg_settings
where name = 'client_connection_check_interval' and version() like '%linux%'
"""

# Behind one address may be several servers, and another snapshot of theirs may have the same name.
_WHICH_SNAPSHOT: Final = "select pg_current_snapshot()::text, pg_postmaster_start_time()::text"


def shop_row(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple[Any, ...]:
    """The single row of a statement run in the shop."""
    return connection.execute("select * from postgres_query('shop', ?)", [statement]).fetchone() or ()


@dataclass(frozen=True)
class _Shared:
    """A snapshot that its transaction has exported, as long as that is open.

    Attributes:
        name: its name in Postgres.
        content: what ``_WHICH_SNAPSHOT`` says of it.
    """

    name: str
    content: tuple[Any, ...]

    @property
    def server(self) -> str:
        """When its server was started, which tells it from others."""
        return str(self.content[1])


class _OtherSnapshot(Exception):
    """A connection has not the snapshot that it was to share."""


@dataclass
class Readers:
    """What reads a shop: the first connection, and others that join it when there is something to read for them.

    Attributes:
        first: a session with the shop attached as ``shop``, in a repeatable-read transaction: the snapshot.
        connections: how many may be open at the same time.
    """

    first: duckdb.DuckDBPyConnection
    connections: int
    _pool: ThreadPoolExecutor = field(repr=False)
    _started: list[Future[None]] = field(default_factory=list, repr=False)

    def read(self, names: Sequence[str], read: Callable[[duckdb.DuckDBPyConnection, str], _Read]) -> dict[str, _Read]:
        """Read sources: one after the other on the first connection, or side by side on several.

        The shop may refuse to open as many connections; then those that there are read all.

        Args:
            names: the sources, those first that take longest.
            read: reads one of them on a connection.

        Returns:
            What ``read`` returned, by source.

        Raises:
            Exception: the first error of ``read``, after all other connections have stopped.
        """
        wanted = min(self.connections, len(names))
        if wanted <= 1:
            return {name: read(self.first, name) for name in names}
        shared = _Shared(shop_row(self.first, "select pg_export_snapshot()")[0], shop_row(self.first, _WHICH_SNAPSHOT))
        work = _Work(names, read, shared.server)
        first = None
        try:
            first = self._start(work.take_part, self.first)
            for _ in range(wanted - 1):
                self._start(_join, work, shared, self.connections)
            work.wait()
        finally:
            work.stop()
            if first is not None:
                first.result()  # it may not have begun
        return work.results()

    def _start(self, step: Callable[..., None], *arguments: Any) -> Future[None]:
        # A span of the thread goes below that of the task.
        started = self._pool.submit(contextvars.copy_context().run, step, *arguments)
        self._started.append(started)
        return started


@contextmanager
def readers(connections: int) -> Iterator[Readers]:
    """Open the first connection to the shop; its snapshot is that of all the others.

    Raises:
        ConnectionError: when the shop cannot be reached.
    """
    # The threads are waited for last: behind a pooler without a free session, a connection that would join waits until
    # the first one is closed.
    with ThreadPoolExecutor(connections, thread_name_prefix="reader") as pool, _transaction(connections) as first:
        found = Readers(first, connections, pool)
        yield found
    for one in found._started:
        one.result()


def largest_first(sources: Collection[Source]) -> list[str]:
    """The names of sources, those first that the shop expects to take longest."""
    with shop_connection() as shop:
        costs = {}
        for source in sources:
            (plan,) = shop.execute(f"explain (format json) {shop_sql(source, EVERYTHING)}".encode()).fetchone() or ([],)
            costs[source.name] = float(plan[0]["Plan"]["Total Cost"])
    return sorted(costs, key=lambda name: -costs[name])


@contextmanager
def _transaction(shares: int, shared: _Shared | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session and its transaction, repeatable read in Postgres: all of its statements see the same rows.

    Args:
        shares: by how many sessions memory and cores are shared.
        shared: the snapshot that it sees; without one, its own.
    """
    with duck.session(shares) as connection:
        duck.attach(connection, "shop", settings().shop_url, read_only=True)
        connection.execute("begin")
        try:
            if shared:
                import_snapshot = f"set transaction snapshot {duck.quoted(shared.name)}"
                connection.execute("call postgres_execute('shop', ?)", [import_snapshot])
                if shop_row(connection, _WHICH_SNAPSHOT) != shared.content:
                    raise _OtherSnapshot("it reached another server")
            shop_row(connection, _EVERY_ROW)
            shop_row(connection, _END_WITH_CLIENT)
            yield connection
        finally:
            # This fails on a broken connection, but must be tried: otherwise closing it makes DuckDB end the whole
            # process.
            with suppress(duckdb.Error):
                connection.execute("rollback")


def _join(work: _Work[Any], shared: _Shared, shares: int) -> None:
    """Read on one more connection, if the shop gives one."""
    try:
        with _transaction(shares, shared) as connection:
            work.take_part(connection)
    except (duckdb.Error, OSError, _OtherSnapshot) as error:
        if not work.is_over:
            _log.warning("the shop is read on fewer connections than asked for: %s", duck.reason(error))


class _Work(Generic[_Read]):
    """The sources that are left, the connections that read some, and the first error."""

    def __init__(
        self, names: Sequence[str], read: Callable[[duckdb.DuckDBPyConnection, str], _Read], server: str
    ) -> None:
        self._server = server
        self._names, self._left, self._read = names, deque(names), read
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
            while (name := self._next()) is not None:
                read = self._read(connection, name)
                with self._changed:
                    self._done[name] = read
        except BaseException as error:  # raised where all readers are waited for
            with self._changed:
                self._error = self._error or error
                self._stopped = True
        finally:
            with self._changed:
                self._busy.pop(process, None)
                self._changed.notify_all()

    def wait(self) -> None:
        """Wait until all is read, or one failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or (not self._left and not self._busy))

    def stop(self) -> None:
        """Have all connections stop, and wait until none of them reads."""
        with self._changed:
            self._stopped = True
        while self._busy:
            self._cancel()
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

    def _next(self) -> str | None:
        with self._changed:
            return None if self._stopped or not self._left else self._left.popleft()

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
