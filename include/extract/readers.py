"""The connections that read a shop: one transaction, or several that share its snapshot and read side by side.

Belongs here: opening them, and what each may use. Does not: which of them reads what (``work``), or what is read.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

import duckdb
import pyarrow as pa

from include.extract.sql_files import Range
from include.extract.work import ReadRange, Work, shop_row
from include.lake import duckdb_session as duck
from include.settings import settings

_log = logging.getLogger(__name__)
_Read = TypeVar("_Read")
NO_RANGES: Final[Mapping[str, Sequence[Range]]] = MappingProxyType({})

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
        as_of: what ``readers`` was told to ask before the snapshot.
    """

    first: duckdb.DuckDBPyConnection
    connections: int
    as_of: datetime | None
    _pool: ThreadPoolExecutor = field(repr=False)
    _started: list[Future[None]] = field(default_factory=list, repr=False)
    _work: Work[Any] | None = field(default=None, repr=False)

    def read(
        self,
        names: Sequence[str],
        read: Callable[[duckdb.DuckDBPyConnection, str], _Read],
        ranges: Mapping[str, Sequence[Range]] = NO_RANGES,
    ) -> dict[str, _Read]:
        """Read sources: one after the other on the first connection, or side by side on several.

        The shop may refuse to open as many connections; then those that there are read all.

        Args:
            names: the sources, those first that take longest.
            read: reads one of them on a connection; of a source in ranges, it gets the rows from ``divided``.
            ranges: the ranges of those that are read in ranges.

        Returns:
            What ``read`` returned, by source.

        Raises:
            Exception: the first error of ``read``, after all other connections have stopped.
        """
        wanted = min(self.connections, sum(len(ranges.get(name, "1")) for name in names))
        if wanted <= 1:
            duck.share(self.first, 1)
            return {name: read(self.first, name) for name in names}
        shared = _Shared(shop_row(self.first, "select pg_export_snapshot()")[0], shop_row(self.first, _WHICH_SNAPSHOT))
        self._work = work = Work(names, read, ranges, shared.server, wanted)
        first = None
        try:
            first = self._start(work.take_part, self.first)
            for _ in range(wanted - 1):
                self._start(_join, work, shared, wanted)
            work.wait()
        finally:
            work.stop()
            if first is not None:
                first.result()  # it may not have begun
        return work.results()

    def divided(self, connection: duckdb.DuckDBPyConnection, name: str, read: ReadRange) -> Iterator[pa.RecordBatch]:
        """The rows of all ranges of a source that is being read; see ``Work.divided``."""
        if self._work is None:
            raise ValueError("nothing is being read")
        rows, context = self._work.divided(connection, name, read), contextvars.copy_context()
        # Delta asks for them on a thread of its own: a span of that goes below the task's too.
        return iter(lambda: context.run(next, rows, None), None)

    def _start(self, step: Callable[..., None], *arguments: Any) -> Future[None]:
        # A span of the thread goes below that of the task.
        started = self._pool.submit(contextvars.copy_context().run, step, *arguments)
        self._started.append(started)
        return started


@contextmanager
def readers(
    connections: int, before: Callable[[duckdb.DuckDBPyConnection], datetime | None] | None = None
) -> Iterator[Readers]:
    """Open the first connection to the shop; its snapshot is that of all the others.

    Args:
        connections: how many may be open at the same time.
        before: asks the shop something before there is a snapshot.

    Raises:
        ConnectionError: when the shop cannot be reached.
    """
    # The threads are waited for last: behind a pooler without a free session, a connection that would join waits until
    # the first one is closed.
    with ThreadPoolExecutor(connections, thread_name_prefix="reader") as pool, _session(connections) as session:
        as_of = before(session) if before else None
        with _transaction(session):
            found = Readers(session, connections, as_of, pool)
            yield found
    for one in found._started:
        one.result()


@contextmanager
def _session(shares: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session with the shop attached; memory and cores are shared by so many."""
    with duck.session(shares) as connection:
        duck.attach(connection, "shop", settings().shop_url, read_only=True)
        yield connection


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection, shared: _Shared | None = None) -> Iterator[None]:
    """A session's transaction, repeatable read in Postgres: all of its statements see the same rows.

    Args:
        connection: the session.
        shared: the snapshot that it sees; without one, its own.
    """
    connection.execute("begin")
    try:
        if shared:
            import_snapshot = f"set transaction snapshot {duck.quoted(shared.name)}"
            connection.execute("call postgres_execute('shop', ?)", [import_snapshot])
            if shop_row(connection, _WHICH_SNAPSHOT) != shared.content:
                raise _OtherSnapshot("it reached another server")
        shop_row(connection, _EVERY_ROW)
        shop_row(connection, _END_WITH_CLIENT)
        yield
    finally:
        # This fails on a broken connection, but must be tried: otherwise closing it makes DuckDB end the whole
        # process.
        with suppress(duckdb.Error):
            connection.execute("rollback")


def _join(work: Work[Any], shared: _Shared, shares: int) -> None:
    """Read on one more connection, if the shop gives one."""
    try:
        with _session(shares) as connection, _transaction(connection, shared):
            work.take_part(connection)
    except (duckdb.Error, OSError, _OtherSnapshot) as error:
        if not work.is_over:
            _log.warning("the shop is read on fewer connections than asked for: %s", duck.reason(error))
            work.one_less()
